import type { DeltaRule, Ffn, Layer, LightningAttention, Mixer, ShortConvolution } from "../types.js";
import { flag, integer, listOf, oneOf, real, size } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readActivation, readLayerCount } from "./decoder.js";
import { notePrediction } from "./prediction.js";
import { attentionSizes, biasOf, decoder, dense, flagOr, listLayers, moe, rmsNorm, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/** Decoders that mix linear attention, recurrences and convolutions with softmax attention. */

const kinds = ["linear_attention", "full_attention", "attention", "conv", "recurrent", "sliding_attention"] as const;

/** Which layers attend with softmax: layer_types, or every n-th. */
export function attending(config: ConfigReader, layers: number, otherwise: (layer: number) => boolean): boolean[] {
  const types = config.perLayer("layer_types", oneOf(kinds), layers);
  if (types === null) return Array.from({ length: layers }, (_, layer) => otherwise(layer));
  return types.map((type) => type === "full_attention" || type === "attention");
}

/** Chunk of the delta rule's kernels, fixed in the reference. */
export const deltaChunk = 64;

/** Gated DeltaNet as Qwen's configs name its sizes. */
export function readDelta(config: ConfigReader): DeltaRule {
  return {
    kind: "delta",
    keyHeads: config.size("linear_num_key_heads"),
    valueHeads: config.size("linear_num_value_heads"),
    keyDim: config.size("linear_key_head_dim"),
    valueDim: config.size("linear_value_head_dim"),
    convolution: config.size("linear_conv_kernel_dim"),
    chunk: deltaChunk,
    decay: "per-head",
    decayRank: null,
    gateRank: null,
  };
}

/** models/qwen3_next, models/qwen3_5(_moe): three Gated DeltaNet layers to one of gated attention. */
function readQwenNext(config: ConfigReader, ffn: Ffn) {
  const { sizes, rotary } = attentionSizes(config);
  const layers = readLayerCount(config);
  const norm = { ...rmsNorm(config), offset: true };
  const interval = config.derived("full_attention_interval", size, "class default", () => 4);
  const attends = attending(config, layers, (layer) => (layer + 1) % interval === 0);
  config.ignore(
    "attn_output_gate",
    "use_sliding_window",
    "mamba_ssm_dtype",
    "mtp_use_dedicated_embeddings",
    "decoder_sparse_step",
    "mlp_only_layers",
  );
  const attention = softmax(sizes, rotary, {
    bias: biasOf(config.flag("attention_bias")),
    queryKeyNorm: "per-head",
    gate: "per-element",
  });
  const delta = readDelta(config);
  notePrediction(config);
  return decoder(config, {
    layers: listLayers(layers, (layer) => ({
      mixers: [attends[layer] === true ? attention : delta],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
  });
}

function gatedExperts(config: ConfigReader): Ffn {
  config.ignore("intermediate_size");
  return moe(config, { sharedWidth: config.size("shared_expert_intermediate_size"), sharedGate: true });
}

const readQwenNextMoe: Reader = (config) => readQwenNext(config, gatedExperts(config));
const readQwenNextDense: Reader = (config) => readQwenNext(config, dense(config));

/** models/olmo_hybrid: Gated DeltaNet with norms before, attention with norms after each branch. */
const readOlmoHybrid: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const layers = readLayerCount(config);
  const norm = rmsNorm(config);
  const ffn = dense(config);
  const attends = attending(config, layers, (layer) => (layer + 1) % 4 === 0);
  const attention = softmax(sizes, rotary, { bias: biasOf(config.flag("attention_bias")), queryKeyNorm: "per-layer" });
  const delta = readDelta(config);
  config.ignore("linear_allow_neg_eigval");
  return decoder(config, {
    layers: listLayers(layers, (layer): Layer => {
      const full = attends[layer] === true;
      return { mixers: [full ? attention : delta], ffns: [ffn], norm, normPlacement: full ? "post-branch" : "pre" };
    }),
    finalNorm: norm,
  });
};

/** models/minimax: Lightning attention and softmax attention, experts in every layer. */
const readMiniMax: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const layers = readLayerCount(config);
  const norm = rmsNorm(config);
  const listed = config.perLayer("attn_type_list", integer, layers);
  const attends = attending(config, layers, (layer) => (listed === null ? layer % 2 === 0 : listed[layer] === 1));
  config.ignore("postnorm", "rotary_dim", "shared_intermediate_size", "shared_moe_mode", "sliding_window");
  const lightning: LightningAttention = {
    kind: "lightning",
    heads: sizes.heads,
    headDim: sizes.headDim,
    block: config.derived("block_size", size, "class default of minimax", () => 256),
  };
  const attention = softmax(sizes, rotary);
  const experts = moe(config);
  return decoder(config, {
    layers: listLayers(layers, (layer) => ({
      mixers: [attends[layer] === true ? attention : lightning],
      ffns: [experts],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
  });
};

/** models/recurrent_gemma: two recurrent layers to one of local attention; networks half as wide as the key says. */
const readRecurrentGemma: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const norm = { ...rmsNorm(config), offset: true };
  const blocks = config.read(["block_types", "_block_types"], listOf(oneOf(["recurrent", "attention"])));
  const window = config.size("attention_window_size");
  const attention = softmax(sizes, rotary, {
    bias: {
      query: config.flag("attention_bias"),
      key: config.flag("attention_bias"),
      value: config.flag("attention_bias"),
      output: true,
    },
    span: { kind: "window", size: window },
  });
  const hidden = config.size("hidden_size");
  const width = config.derived("lru_width", size, "hidden_size", () => hidden);
  const recurrent: Mixer = { kind: "rg-lru", width, heads: sizes.heads, convolution: config.size("conv1d_width") };
  const ffn: Ffn = {
    kind: "dense",
    width: config.size("intermediate_size") / 2,
    gated: true,
    activation: readActivation(config, "hidden_activation"),
    bias: true,
  };
  const kindOf = (layer: number): string => blocks[layer % Math.max(1, blocks.length)] ?? "recurrent";
  return decoder(config, {
    layers: listLayers(readLayerCount(config), (layer) => ({
      mixers: [kindOf(layer) === "attention" ? attention : recurrent],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
    embedding: { scale: flagOr(config, "embeddings_scale_by_sqrt_dim", true) ? Math.sqrt(hidden) : null },
    head: { softcap: config.optional("logits_soft_cap", real) },
    contextLength: null,
  });
};

/** models/lfm2, models/lfm2_moe: short convolutions and attention with norms of queries and keys. */
function readLfm2(config: ConfigReader, ffnOf: (layer: number) => readonly Ffn[], biased: (layer: number) => number) {
  const { sizes, rotary } = attentionSizes(config);
  const layers = readLayerCount(config);
  const norm = rmsNorm(config, ["norm_eps", "block_norm_eps"]);
  const indices = config.optional("full_attn_idxs", listOf(integer));
  // The class of the dense models takes every layer for attention then; that of the others does not build.
  if (config.family === "lfm2_moe" && indices === null && !config.has("layer_types")) {
    throw config.bad("layer_types", config.raw("layer_types"), "expected one kind per layer: the class has no default");
  }
  const attends = attending(config, layers, (layer) => indices === null || indices.includes(layer));
  const convolution: ShortConvolution = {
    kind: "short-convolution",
    width: config.size("hidden_size"),
    convolution: config.size("conv_L_cache"),
    bias: config.flag("conv_bias"),
  };
  const attention = softmax(sizes, rotary, { queryKeyNorm: "per-head" });
  return decoder(config, {
    layers: listLayers(layers, (layer): Layer => {
      const bias = biased(layer);
      return {
        mixers: [attends[layer] === true ? attention : convolution],
        ffns: ffnOf(layer),
        norm,
        normPlacement: "pre",
        ...(bias === 0 ? {} : { extras: { weights: [{ name: "expert_bias", shape: [bias] }] } }),
      };
    }),
    finalNorm: norm,
    head: { tied: config.optional(["tie_word_embeddings", "tie_embedding"], flag) ?? true },
  });
}

const readLfm2Dense: Reader = (config) => {
  config.ignore(
    "block_dim",
    "block_use_swiglu",
    "conv_dim",
    "conv_dim_out",
    "num_heads",
    "use_pos_enc",
    "intermediate_size",
  );
  const ffn: Ffn = { kind: "dense", width: lfm2Width(config), gated: true, activation: "silu", bias: false };
  return readLfm2(
    config,
    () => [ffn],
    () => 0,
  );
};

/** Two thirds of the width, times a factor, up to a multiple, where block_auto_adjust_ff_dim is on. */
function lfm2Width(config: ConfigReader): number {
  const given = config.size(["block_ff_dim", "intermediate_size"]);
  if (!flagOr(config, "block_auto_adjust_ff_dim", true)) return given;
  const factor = config.optional("block_ffn_dim_multiplier", real) ?? 1;
  const multiple = config.size("block_multiple_of");
  const adjusted = Math.floor(factor * Math.floor((2 * given) / 3));
  return multiple * Math.ceil(adjusted / multiple);
}

const readLfm2Moe: Reader = (config) => {
  const first = config.sizeOrZero("num_dense_layers");
  const plain: Ffn = {
    kind: "dense",
    width: config.size("intermediate_size"),
    gated: true,
    activation: "silu",
    bias: false,
  };
  const experts = moe(config, { activation: "silu" });
  const bias = config.flag("use_expert_bias") ? experts.experts : 0;
  return readLfm2(
    config,
    (layer) => [layer < first ? plain : experts],
    (layer) => (layer < first ? 0 : bias),
  );
};

export const linearReaders: Readonly<Record<string, Reader>> = {
  qwen3_next: readQwenNextMoe,
  qwen3_5_moe_text: readQwenNextMoe,
  qwen3_5_text: readQwenNextDense,
  olmo_hybrid: readOlmoHybrid,
  minimax: readMiniMax,
  minimax_m1: readMiniMax,
  minimax_text_01: readMiniMax,
  recurrent_gemma: readRecurrentGemma,
  lfm2: readLfm2Dense,
  lfm2_moe: readLfm2Moe,
};
