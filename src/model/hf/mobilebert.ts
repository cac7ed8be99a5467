import type { Activation, Head, Layer, Norm } from "../types.js";
import { purposeOf } from "./architecture.js";
import { layerCount, sizeOrZero, text, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readDtypes, shareEqual } from "./decoder.js";
import { allBias, dense, listLayers, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/**
 * models/mobilebert (arXiv:2004.02984): layers work in a bottleneck narrower than the stream, with several feed-forward
 * networks each; "norms" are a scale and a shift; three neighbouring embeddings are joined.
 */
const readMobileBert: Reader = (config) => {
  refuseOthers(config);
  const hidden = config.size("hidden_size");
  const inner = config.size("intra_bottleneck_size");
  const narrow = config.size("embedding_size");
  const heads = config.size("num_attention_heads");
  const vocabularySize = config.read("vocab_size", tokenCount);
  const positions = config.read("max_position_embeddings", tokenCount);
  const types = config.optional("type_vocab_size", sizeOrZero) ?? 0;
  if (inner % heads !== 0) throw config.bad("num_attention_heads", heads, `expected a divisor of ${inner}`);
  const norm: Norm = { kind: "layer", bias: true, epsilon: config.real("layer_norm_eps"), offset: false };
  const network = dense(config, { gated: false, bias: true });
  const headDim = inner / heads;
  const layer: Layer = {
    mixers: [softmax({ heads, kvHeads: heads, headDim }, null, { causal: false, bias: allBias })],
    ffns: Array.from({ length: config.size("num_feedforward_networks") }, () => network),
    norm: { ...norm, affine: true },
    normPlacement: "post-residual",
    extras: {
      linears: [
        { name: "into", inWidth: hidden, outWidth: inner, bias: true },
        { name: "into_attention", inWidth: hidden, outWidth: inner, bias: true },
        // Values are projected from the whole stream.
        { name: "value_rest", inWidth: hidden - inner, outWidth: inner, bias: false },
        { name: "out", inWidth: inner, outWidth: hidden, bias: true },
      ],
      weights: [
        { name: "into_norms", shape: [2, 2, inner] },
        { name: "out_norm", shape: [2, hidden] },
      ],
    },
  };
  const logits = purposeOf(config) === "language-model";
  return {
    hiddenSize: hidden,
    vocabularySize,
    contextLength: positions,
    embedding: {
      rows: vocabularySize,
      width: narrow,
      scale: null,
      tables: [
        { name: "positions", rows: positions, width: hidden },
        { name: "types", rows: types, width: hidden },
      ],
      projection: { bias: true },
    },
    head: logits ? headOf(hidden, narrow, norm, network.activation) : pooler,
    extras: {
      linears: [{ name: "neighbours", inWidth: 2 * narrow, outWidth: hidden, bias: false }],
      weights: [{ name: "embedding_norm", shape: [2, hidden] }],
    },
    stacks: [
      {
        kind: "encoder",
        hiddenSize: inner,
        layers: shareEqual(listLayers(config.read("num_hidden_layers", layerCount), () => layer)),
        finalNorm: null,
        length: { kind: "new" },
      },
    ],
    dtypes: readDtypes(config),
  };
};

const pooler: Head = { kind: "pooler", tied: false, bias: true, softcap: null };

/** The tied head reads the first `narrow` of the stream's channels; the rest has a projection of its own. */
function headOf(hidden: number, narrow: number, norm: Norm, activation: Activation): Head {
  return {
    kind: "lm",
    tied: true,
    bias: true,
    softcap: null,
    transform: { width: hidden, bias: true, norm, activation },
    inWidth: narrow,
    rest: hidden - narrow,
  };
}

/** Only the published form is understood: one shared bottleneck for queries and keys. */
function refuseOthers(config: ConfigReader): void {
  const wanted = { use_bottleneck: true, use_bottleneck_attention: false, key_query_shared_bottleneck: true } as const;
  for (const [key, value] of Object.entries({ ...wanted, trigram_input: true })) {
    const found = config.flag(key);
    if (found !== value)
      throw config.bad(key, found, `expected ${value}: another form of MobileBERT is not understood`);
  }
  const norms = config.read("normalization_type", text);
  if (norms !== "no_norm") throw config.bad("normalization_type", norms, 'expected "no_norm"');
  config.ignore("true_hidden_size", "classifier_activation");
}

export const mobileBertReaders: Readonly<Record<string, Reader>> = { mobilebert: readMobileBert };
