import type { ExtraTable, Layer, Norm } from "../types.js";
import { flag, layerCount, sizeOrZero, text, tokenCount } from "./checks.js";
import { readRotary } from "./decoder.js";
import { encoder, readBertLike } from "./encoder.js";
import { allBias, dense, flagOr, layerNorm, listLayers, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/** Encoders close to BERT, read after their published classes: what a file leaves out is an error. */

/** models/esm (protein language models): norms before each branch, rotary positions, a head that predicts contacts. */
const readEsm: Reader = (config) => {
  const kind = config.optional("position_embedding_type", text) ?? "absolute";
  if (kind !== "rotary" && kind !== "absolute") {
    throw config.bad("position_embedding_type", kind, 'expected "rotary" or "absolute"');
  }
  if (config.flag("is_folding_model"))
    throw config.bad("is_folding_model", true, "expected false: folding is not read");
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  const layers = config.read("num_hidden_layers", layerCount);
  const headDim = Math.floor(hidden / heads);
  const named = config.has("hidden_act") ? config : config.with({ hidden_act: "gelu" });
  const rotated = softmax({ heads, kvHeads: heads, headDim }, readRotary(config, headDim), {
    causal: false,
    bias: allBias,
  });
  config.ignore("token_dropout", "esmfold_config", "vocab_list");
  return readBertLike(named, {
    placement: "pre",
    embeddingNorm: flagOr(config, "emb_layer_norm_before", false),
    finalNorm: true,
    tables: kind === "absolute" ? ["positions"] : [],
    pooler: true,
    layer: () => (kind === "rotary" ? { mixers: [rotated] } : {}),
    extras: { weights: [{ name: "contacts", shape: [layers * heads + 1] }] },
  });
};

/** models/rembert: a narrow embedding going in and a wider one, not tied to it, coming out. */
const readRemBert: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  if (hidden % heads !== 0) throw config.bad("num_attention_heads", heads, `expected a divisor of ${hidden}`);
  const width = config.size("input_embedding_size");
  const norm = layerNorm(config);
  const types = config.optional("type_vocab_size", sizeOrZero) ?? 0;
  const tables: ExtraTable[] = [
    { name: "positions", rows: config.read("max_position_embeddings", tokenCount), width },
    ...(types > 0 ? [{ name: "types", rows: types, width }] : []),
  ];
  const layer: Layer = {
    mixers: [softmax({ heads, kvHeads: heads, headDim: hidden / heads }, null, { causal: false, bias: allBias })],
    ffns: [dense(config, { gated: false, bias: true })],
    norm,
    normPlacement: "post-residual",
  };
  config.ignore("classifier_dropout_prob", "is_decoder");
  return encoder(config, {
    hidden,
    width,
    layers: listLayers(config.read("num_hidden_layers", layerCount), () => layer),
    finalNorm: null,
    projectionBias: true,
    tables,
    embeddingNorm: norm,
    transform: { width: config.size("output_embedding_size"), bias: true, norm },
    headBias: true,
    pooler: true,
    tied: config.optional("tie_word_embeddings", flag) ?? false,
  });
};

/** models/roberta_prelayernorm: RoBERTa with norms before each branch and at the end. */
const readRobertaPre: Reader = (config) => readBertLike(config, { placement: "pre", finalNorm: true });

/** models/xlm, models/flaubert: networks of four times the width, a table of languages, a biased head. */
const readXlm: Reader = (config) => {
  const hidden = config.size("emb_dim");
  const heads = config.size("n_heads");
  if (hidden % heads !== 0) throw config.bad("n_heads", heads, `expected a divisor of emb_dim (${hidden})`);
  for (const [key, wanted] of [
    ["asm", false],
    ["pre_norm", false],
    ["is_encoder", true],
  ] as const) {
    if (flagOr(config, key, wanted) !== wanted) throw config.bad(key, !wanted, `expected ${wanted}`);
  }
  const epsilon = config.has("layer_norm_eps") ? config.real("layer_norm_eps") : 1e-12;
  const norm: Norm = { kind: "layer", bias: true, epsilon, offset: false };
  const languages = flagOr(config, "use_lang_emb", true) ? (config.optional("n_langs", sizeOrZero) ?? 1) : 1;
  const layer: Layer = {
    mixers: [
      softmax({ heads, kvHeads: heads, headDim: hidden / heads }, null, {
        causal: config.flag("causal"),
        bias: allBias,
      }),
    ],
    ffns: [
      {
        kind: "dense",
        width: 4 * hidden,
        gated: false,
        activation: flagOr(config, "gelu_activation", true) ? "gelu" : "relu",
        bias: true,
      },
    ],
    norm,
    normPlacement: "post-residual",
  };
  const rows = config.read(["n_words", "vocab_size"], tokenCount);
  const positions = config.read("max_position_embeddings", tokenCount);
  const count = config.read("n_layers", layerCount);
  const named = config.with({ vocab_size: rows });
  return encoder(named, {
    hidden,
    layers: listLayers(count, () => layer),
    finalNorm: null,
    tables: [
      { name: "positions", rows: positions, width: hidden },
      ...(languages > 1 ? [{ name: "languages", rows: languages, width: hidden }] : []),
    ],
    embeddingNorm: norm,
    headBias: true,
    tied: true,
  });
};

export const encoderKinReaders: Readonly<Record<string, Reader>> = {
  esm: readEsm,
  rembert: readRemBert,
  "roberta-prelayernorm": readRobertaPre,
  xlm: readXlm,
  flaubert: readXlm,
};
