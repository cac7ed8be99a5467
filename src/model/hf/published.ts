import type { Layer, Norm } from "../types.js";
import { flag, size, tokenCount } from "./checks.js";
import { readClassic } from "./classic.js";
import type { ConfigReader } from "./config-reader.js";
import { readDeciLm } from "./decilm.js";
import { readDense } from "./dense.js";
import { encoder, readBertLike } from "./encoder.js";
import { readRotary } from "./decoder.js";
import { allBias, biasOf, dense, flagOr, layerNorm, listLayers, softmax } from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

/**
 * Families without class defaults here, read after their published classes: what a file leaves out is an error, but for
 * the head, which these classes tie unless the file says otherwise.
 */

const layer5: Norm = { kind: "layer", bias: true, epsilon: 1e-5, offset: false };

/** The head reads the embedding's table where the file says nothing. */
function tiedUnlessSaid(config: ConfigReader, read: () => ReaderResult): ReaderResult {
  const said = config.has("tie_word_embeddings");
  if (!said) config.fill("tie_word_embeddings", true, `class default of ${config.family}`);
  const result = read();
  return said ? result : { ...result, head: { ...result.head, tied: true } };
}

/** InternLM: Llama with one switch for all biases of attention. */
const readInternLm: Reader = (config) => readDense(config, { bias: biasOf(flagOr(config, "bias", true)) });

/** InternLM 3: biases of queries, keys and values apart from the rest. */
const readInternLm3: Reader = (config) => {
  const input = config.flag("qkv_bias");
  const other = config.flag("bias");
  return readDense(config, {
    bias: { query: input, key: input, value: input, output: other },
    ffn: dense(config, { bias: other }),
  });
};

/** Yi under its first name, Aquila: Llama. */
const readPlain: Reader = (config) => readDense(config, {});

/** models/bitnet: Llama with a norm before each second projection and a squared-ReLU gate. */
const readBitNet: Reader = (config) => {
  const weights = [
    { name: "attention_norm", shape: [config.size("hidden_size")] },
    { name: "ffn_norm", shape: [config.size("intermediate_size")] },
  ];
  return readDense(config, { layer: { extras: { weights } } });
};

/** models/helium: Llama; only queries, keys and values may have biases. */
const readHelium: Reader = (config) => {
  const bias = config.flag("attention_bias");
  return readDense(config, {
    bias: { query: bias, key: bias, value: bias, output: false },
    ffn: dense(config, { bias: config.flag("mlp_bias") }),
  });
};

/** models/persimmon: layer norms, biases everywhere, norms of queries and keys, a plain network. */
const readPersimmon: Reader = (config) =>
  readDense(config, {
    bias: allBias,
    norm: layerNorm(config),
    ffn: dense(config, { gated: false, bias: true }),
    attention: flagOr(config, "qk_layernorm", true)
      ? { queryKeyNorm: "per-head", queryKeyLayerNorm: { bias: true } }
      : {},
  });

/** models/xglm: sinusoids for positions, which are no parameters. */
const readXglm: Reader = (config) =>
  tiedUnlessSaid(config, () => {
    config.ignore("scale_embedding", "num_hidden_layers");
    return readClassic(config, { norm: layer5, width: config.size("ffn_dim") });
  });

/** models/biogpt: learned positions that start at 2. */
const readBioGpt: Reader = (config) =>
  tiedUnlessSaid(config, () => {
    config.ignore("scale_embedding");
    return readClassic(config, {
      norm: layer5,
      positions: config.read("max_position_embeddings", tokenCount) + 2,
      activationKey: "hidden_act",
    });
  });

/** models/openai: the first GPT, norms after each residual and none at the end. */
const readOpenAiGpt: Reader = (config) =>
  tiedUnlessSaid(config, () => {
    config.ignore("afn");
    const result = readClassic(config, {
      norm: layer5,
      positions: config.read("n_positions", tokenCount),
      activation: "gelu",
      layer: { normPlacement: "post-residual" },
    });
    return { ...result, stacks: result.stacks.map((stack) => ({ ...stack, finalNorm: null })) };
  });

/** models/xlm_roberta_xl: norms before each branch and at the end. */
const readRobertaXl: Reader = (config) =>
  readBertLike(config, { placement: "pre", embeddingNorm: false, finalNorm: true });

/** GTE's own encoder (`new`): rotary positions, gated networks whose second projection alone has a bias. */
const readGte: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  if (hidden % heads !== 0) {
    throw config.bad("num_attention_heads", heads, `expected a divisor of the hidden size (${hidden})`);
  }
  const kind = config.text("position_embedding_type");
  if (kind !== "rope") throw config.bad("position_embedding_type", kind, 'only "rope" is understood yet');
  const headDim = hidden / heads;
  const norm = layerNorm(config);
  const types = config.sizeOrZero("type_vocab_size");
  const attention = softmax({ heads, kvHeads: heads, headDim }, readRotary(config, headDim), {
    causal: false,
    bias: allBias,
  });
  config.ignore("pack_qkv", "logn_attention_scale", "logn_attention_clip1", "layer_norm_type");
  config.ignore("unpad_inputs", "use_memory_efficient_attention");
  const layer: Layer = {
    mixers: [attention],
    ffns: [dense(config)],
    norm,
    normPlacement: "post-residual",
    extras: { weights: [{ name: "ffn_bias", shape: [hidden] }] },
  };
  return encoder(config, {
    hidden,
    layers: listLayers(config.read("num_hidden_layers", size), () => layer),
    finalNorm: null,
    tables: types === 0 ? [] : [{ name: "types", rows: types, width: hidden }],
    embeddingNorm: norm,
    transform: { width: hidden, bias: true, norm },
    headBias: true,
    tied: config.optional("tie_word_embeddings", flag) ?? true,
  });
};

export const publishedReaders: Readonly<Record<string, Reader>> = {
  internlm: readInternLm,
  internlm3: readInternLm3,
  Yi: readPlain,
  aquila: readPlain,
  bitnet: readBitNet,
  helium: readHelium,
  persimmon: readPersimmon,
  xglm: readXglm,
  biogpt: readBioGpt,
  "openai-gpt": readOpenAiGpt,
  "xlm-roberta-xl": readRobertaXl,
  "data2vec-text": (config) => readBertLike(config),
  new: readGte,
  "nemotron-nas": readDeciLm,
};
