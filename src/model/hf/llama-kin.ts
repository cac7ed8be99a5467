import type { Ffn, Layer } from "../types.js";
import { flag, oneOf, size, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readLayerCount } from "./decoder.js";
import { readDense, readQwen2 } from "./dense.js";
import {
  allBias,
  attentionSizes,
  biasOf,
  decoder,
  dense,
  flagOr,
  inputBias,
  layerNorm,
  listLayers,
  moe,
  noBias,
  rmsNorm,
  softmax,
  spans,
} from "./parts.js";
import { readMoe } from "./moe.js";
import { notePrediction } from "./prediction.js";
import type { Reader, ReaderResult } from "./reader.js";

/**
 * Decoders close to Llama, read after their published classes. Where a class has no defaults here, a missing key is an
 * error.
 */

/** MiMo: Qwen 2 with a layer for multi-token prediction. */
const readMiMo: Reader = (config) => {
  config.ignore("attention_bias", "use_mrope");
  notePrediction(config);
  return readQwen2(config);
};

/** models/cwm: Llama whose layers slide, but for every fourth from the first on. */
const readCwm: Reader = (config) =>
  readDense(config, {
    ffn: dense(config, { bias: config.flag("mlp_bias") }),
    spans: spans(config, readLayerCount(config), (layer) => (layer % 4 === 0 ? "full_attention" : "sliding_attention")),
  });

/** Llama, or Llama with what a switch of the file adds: skywork, solar, apriel, PanguEmbedded. */
const readSwitched: Reader = (config) => {
  const attention = flagOr(config, ["attention_bias", "bias"], false);
  return readDense(config, {
    bias: biasOf(attention),
    ffn: dense(config, { bias: config.flag("mlp_bias") }),
  });
};

/** HyperCLOVA X: Llama with norms behind each branch too where use_post_norm is on. */
const readHyperClova: Reader = (config) =>
  readDense(config, {
    bias: biasOf(config.flag("attention_bias")),
    ffn: dense(config, { bias: config.flag("mlp_bias") }),
    normPlacement: config.flag("use_post_norm") ? "sandwich" : "pre",
  });

/** Instella: Llama with norms over all queries and all keys of a position. */
const readInstella: Reader = (config) => readDense(config, { attention: { queryKeyNorm: "per-layer" } });

/** Jais 2, Pharia: layer norms, a plain network, biases where the file says so. */
const readPlainBiased: Reader = (config) =>
  readDense(config, {
    bias: biasOf(flagOr(config, "attention_bias", true)),
    norm: config.family === "jais2" ? layerNorm(config) : { kind: "layer", bias: true, epsilon: 1e-5, offset: false },
    ffn: dense(config, { gated: false, bias: flagOr(config, "mlp_bias", true) }),
  });

/** TeleChat and TeleChat 2: Llama under its own names, with biases of both second projections. */
const readTeleChat: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size(["n_head", "num_attention_heads"]);
  const named = config.with({
    num_attention_heads: heads,
    num_hidden_layers: config.size(["n_layer", "num_hidden_layers"]),
    rms_norm_eps: config.real("layer_norm_epsilon"),
    tie_word_embeddings: config.optional("tie_word_embeddings", flag) ?? false,
  });
  return readDense(named, {
    bias: { ...noBias, output: true },
    ffn: dense(config, { width: config.size("ffn_hidden_size"), activation: "silu" }),
    layer: { extras: { weights: [{ name: "ffn_bias", shape: [hidden] }] } },
  });
};

/**
 * Ouro (arXiv:2510.25741): all layers run total_ut_steps times over the same weights, each time with a cache of their
 * own; behind each round a gate says whether it was enough. All rounds are priced.
 */
const readOuro: Reader = (config) => {
  const rounds = config.size("total_ut_steps");
  const hidden = config.size("hidden_size");
  config.ignore("early_exit_threshold", "use_sliding_window", "sliding_window", "max_window_layers", "layer_types");
  const plain = readDense(config, { normPlacement: "sandwich" });
  const gate = { linears: [{ name: "exit_gate", inWidth: hidden, outWidth: 1, bias: true }] };
  config.note(`its layers run ${rounds} times over the same weights, each time with a cache of their own`);
  return {
    ...plain,
    stacks: plain.stacks.map((stack) => {
      const shared = stack.layers.map(
        (layer, index): Layer => ({
          ...layer,
          weightsOf: `layers.${index}`,
          ...(index === stack.layers.length - 1 ? { extras: gate } : {}),
        }),
      );
      return { ...stack, layers: Array.from({ length: rounds }, () => shared).flat() };
    }),
  };
};

/** Grok-1: norms before and after each branch, experts in every layer. */
const readGrok: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const norm = rmsNorm(config);
  const experts = moe(config, { activation: "gelu" });
  config.ignore("attn_output_multiplier", "max_attn_value", "output_multiplier_scale", "embedding_multiplier_scale");
  return decoder(config, {
    layers: listLayers(readLayerCount(config), () => ({
      mixers: [softmax(sizes, rotary, { softcap: 30 })],
      ffns: [experts],
      norm,
      normPlacement: "sandwich",
    })),
    finalNorm: norm,
  });
};

/** Snowflake Arctic: a network as wide as the model beside the experts, on the same residual but with its own norm. */
const readArctic: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const { sizes, rotary } = attentionSizes(config);
  const norm = rmsNorm(config);
  const frequency = config.size("moe_layer_frequency");
  const beside = flagOr(config, "use_residual", true);
  const experts = moe(config);
  const plain = dense(config);
  const residual = dense(config, { width: hidden });
  config.ignore("parallel_attn_mlp_res", "enable_expert_tensor_parallelism", "moe_train_capacity_factor");
  config.ignore("moe_eval_capacity_factor", "moe_min_capacity", "moe_token_dropping", "quantization");
  return decoder(config, {
    layers: listLayers(readLayerCount(config), (index) => {
      const sparse = (index + 1) % frequency === 0;
      const ffns: Ffn[] = sparse ? (beside ? [residual, experts] : [experts]) : [plain];
      return { mixers: [softmax(sizes, rotary)], ffns, norm, normPlacement: "pre" };
    }),
    finalNorm: norm,
  });
};

/** models/flex_olmo: OLMo 2's norms and attention, experts in every layer. */
const readFlexOlmo: Reader = (config) => {
  const experts = moe(config);
  const bias = biasOf(config.flag("attention_bias"));
  return readMoe(config, {
    ffn: () => [experts],
    attention: () => ({ bias, queryKeyNorm: "per-layer" }),
    normPlacement: "post-branch",
  });
};

/** OLMo (the first) under the key names of its trainer: norms without weights. */
const readOlmoRemote: Reader = (config) => {
  const hidden = config.size("d_model");
  const heads = config.size("n_heads");
  const kvHeads = config.derived("n_kv_heads", size, "n_heads", () =>
    config.flag("multi_query_attention") ? 1 : heads,
  );
  if (hidden % heads !== 0) throw config.bad("n_heads", heads, `expected a divisor of d_model (${hidden})`);
  return plainLlama(config, { hidden, heads, kvHeads, norm: "plain-layer" });
};

interface PlainLlama {
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly norm: "rms" | "plain-layer";
}

/** The key names of OLMo's trainer, which LLaDA kept. */
export function plainLlama(config: ConfigReader, { hidden, heads, kvHeads, norm: kind }: PlainLlama): ReaderResult {
  const norm =
    kind === "rms"
      ? ({ kind: "rms", bias: false, epsilon: 1e-5, offset: false } as const)
      : ({ kind: "layer", bias: false, epsilon: 1e-5, offset: false, plain: true } as const);
  config.peek("layer_norm_type", oneOf(kind === "rms" ? ["rms"] : ["default", "low_precision"]));
  const bias = config.flag("include_bias");
  const headDim = hidden / heads;
  const rotary = { dims: headDim, theta: config.optional("rope_theta", size) ?? 10_000, interleaved: false };
  // mlp_hidden_size of OLMo counts both halves of the gated network, LLaDA's its width.
  const width = kind === "rms" ? config.size("mlp_hidden_size") : olmoWidth(config, hidden);
  const rows = config.derived("embedding_size", tokenCount, "vocab_size", () => config.read("vocab_size", tokenCount));
  const attention = softmax({ heads, kvHeads, headDim }, rotary, {
    bias: config.flag("include_qkv_bias") && !bias ? inputBias : bias ? allBias : noBias,
  });
  const ffn: Ffn = { kind: "dense", width, gated: true, activation: "silu", bias };
  const count = config.size("n_layers");
  const tied = config.optional("weight_tying", flag) ?? false;
  const result = decoder(config.with({ vocab_size: rows, tie_word_embeddings: tied }), {
    hiddenSize: hidden,
    contextLength: config.tokens("max_sequence_length"),
    layers: listLayers(count, () => ({ mixers: [attention], ffns: [ffn], norm, normPlacement: "pre" })),
    finalNorm: norm,
  });
  return { ...result, head: { ...result.head, kind: "lm" } };
}

function olmoWidth(config: ConfigReader, hidden: number): number {
  const given = config.optional("mlp_hidden_size", size);
  return Math.floor((given ?? config.size("mlp_ratio") * hidden) / 2);
}

export const llamaKinReaders: Readonly<Record<string, Reader>> = {
  mimo: readMiMo,
  cwm: readCwm,
  skywork: readSwitched,
  solar: readSwitched,
  apriel: readSwitched,
  PanguEmbedded: readSwitched,
  telechat3: readSwitched,
  iquestcoder: readSwitched,
  hyperclovax: readHyperClova,
  instella: readInstella,
  jais2: readPlainBiased,
  "pharia-v1": readPlainBiased,
  telechat: readTeleChat,
  "grok-1": readGrok,
  ouro: readOuro,
  arctic: readArctic,
  flex_olmo: readFlexOlmo,
  hf_olmo: readOlmoRemote,
};
