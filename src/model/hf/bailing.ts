import type { DeltaRule, Ffn, Layer, LightningAttention, Mixer } from "../types.js";
import { className } from "./architecture.js";
import { flag, oneOf, size, sizeOrZero } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readLayerCount } from "./decoder.js";
import { kernelChunk } from "./fla.js";
import { readLatent } from "./latent.js";
import { notePrediction } from "./prediction.js";
import {
  attentionSizes,
  decoder,
  dense,
  firstDense,
  inputBias,
  listLayers,
  moe,
  noBias,
  rmsNorm,
  sharedWidth,
  softmax,
} from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

/** Networks of Ling, Ring and Sarvam: dense first layers, experts with shared ones and a balancing bias. */
function bailingFfn(
  config: ConfigReader,
  biasedUnlessSaid: boolean,
): (layer: number) => Pick<Layer, "ffns" | "extras"> {
  const first = firstDense(config);
  const shared = config.peek("moe_shared_expert_intermediate_size", sizeOrZero);
  const count = config.optional(["num_shared_experts", "n_shared_experts"], sizeOrZero) ?? 0;
  const experts = moe(config, {
    sharedWidth: shared === null || shared === 0 ? sharedWidth(config) : count * shared,
  });
  const plain: Ffn | null = first > 0 ? dense(config) : null;
  const biased = config.optional("moe_router_enable_expert_bias", flag) ?? biasedUnlessSaid;
  const balance = biased ? { extras: { weights: [{ name: "expert_bias", shape: [experts.experts] }] } } : {};
  config.ignore("intermediate_size", "use_bias", "use_rmsnorm", "score_function", "router_dtype", "norm_head");
  config.ignore("rotary_dim", "norm_softmax", "max_window_layers", "rope_interleave", "head_dim", "qk_head_dim");
  notePrediction(config);
  return (layer) => (plain !== null && layer < first ? { ffns: [plain] } : { ffns: [experts], ...balance });
}

/** Ling 2 (bailing_moe_v2), Sarvam's 30B: few heads of keys and values, norms per head. */
export function readLing2(config: ConfigReader): ReaderResult {
  const norm = rmsNorm(config);
  const attention = groupedAttention(config);
  const ffn = bailingFfn(config, false);
  return decoder(config, {
    layers: listLayers(
      readLayerCount(config),
      (index): Layer => ({ mixers: [attention], norm, normPlacement: "pre", ...ffn(index) }),
    ),
    finalNorm: norm,
  });
}

function groupedAttention(config: ConfigReader): Mixer {
  const { sizes, rotary } = attentionSizes(config);
  return softmax(sizes, rotary, {
    bias: config.flag("use_qkv_bias") ? inputBias : noBias,
    queryKeyNorm: config.flag("use_qk_norm") ? "per-head" : "none",
  });
}

/** Sarvam's 105B: latent attention. */
const readSarvamMla: Reader = (config) => {
  const norm = rmsNorm(config);
  const attention = readLatent(config);
  const ffn = bailingFfn(config, true);
  const period = config.peek("moe_layer_freq", size) ?? 1;
  if (period !== 1) throw config.bad("moe_layer_freq", period, "expected 1: experts in every layer behind the first");
  return decoder(config, {
    layers: listLayers(
      readLayerCount(config),
      (index): Layer => ({ mixers: [attention], norm, normPlacement: "pre", ...ffn(index) }),
    ),
    finalNorm: norm,
  });
};

/** Ring-linear (bailing_moe_linear, arXiv:2510.19338): Lightning attention, the last layer of each group with softmax. */
const readRingLinear: Reader = (config) => groupedLayers(config, readLightning(config), groupedAttention(config));

/**
 * Ring 2.5 and Ling 3 (both bailing_hybrid): the last layer of each group has latent attention; the others Lightning
 * attention in Ring 2.5, Kimi Delta Attention in Ling 3, which gates its latent attention too.
 */
const readBailingHybrid: Reader = (config) => {
  const third = className(config)?.startsWith("BailingMoeV3") ?? config.has("short_conv_kernel_size");
  const linear = third ? { mixer: readDelta(config), normed: 0 } : readLightning(config);
  const kinds = oneOf(["head_wise", "element_wise"]);
  const key = "gated_attention_proj_granularity_type";
  const granularity = third ? config.optional(key, kinds) : config.peek(key, kinds);
  const gate =
    granularity === null ? {} : ({ gate: granularity === "head_wise" ? "per-head" : "per-element" } as const);
  return groupedLayers(config, linear, readLatent(config, gate));
};

interface LinearLayer {
  readonly mixer: Mixer;
  /** Weights of the norms of queries and keys. */
  readonly normed: number;
}

function groupedLayers(config: ConfigReader, linear: LinearLayer, attention: Mixer): ReaderResult {
  const layers = readLayerCount(config);
  const group = config.size("layer_group_size");
  const norm = rmsNorm(config);
  const whole = Math.floor(layers / group) * group;
  const ffn = bailingFfn(config, false);
  const norms = linear.normed === 0 ? [] : [{ name: "query_key_norms", shape: [linear.normed] }];
  config.ignore("group_norm_size", "linear_silu", "use_linear_silu", "linear_rope", "kda_safe_gate", "kda_lower_bound");
  return decoder(config, {
    layers: listLayers(layers, (index): Layer => {
      const common = { norm, normPlacement: "pre", ...ffn(index) } as const;
      if ((index + 1) % group === 0 || index >= whole) return { mixers: [attention], ...common };
      const weights = [...norms, ...(common.extras?.weights ?? [])];
      return { mixers: [linear.mixer], ...common, ...(weights.length === 0 ? {} : { extras: { weights } }) };
    }),
    finalNorm: norm,
  });
}

function readLightning(config: ConfigReader): LinearLayer {
  const heads = config.size("num_attention_heads");
  const headDim = config.derived("head_dim", size, "hidden_size / num_attention_heads", () =>
    Math.floor(config.size("hidden_size") / heads),
  );
  for (const key of ["use_bias", "use_qkv_bias"]) {
    if (config.flag(key)) throw config.bad(key, true, "expected false: linear attention with biases is not read");
  }
  const mixer: LightningAttention = { kind: "lightning", heads, headDim, block: kernelChunk };
  return { mixer, normed: config.flag("use_qk_norm") ? 2 * headDim : 0 };
}

function readDelta(config: ConfigReader): DeltaRule {
  const heads = config.size("num_attention_heads");
  const dim = config.size("head_dim");
  if (config.optional("no_kda_lora", flag) !== true) {
    throw config.bad("no_kda_lora", config.raw("no_kda_lora"), "expected true: narrow projections are not read");
  }
  config.ignore("use_kda_lora", "use_qk_norm", "use_qkv_bias");
  return {
    kind: "delta",
    keyHeads: heads,
    valueHeads: heads,
    keyDim: dim,
    valueDim: dim,
    convolution: config.size("short_conv_kernel_size"),
    chunk: kernelChunk,
    decay: "per-channel",
    decayRank: null,
    gateRank: null,
  };
}

export const bailingReaders: Readonly<Record<string, Reader>> = {
  bailing_moe_v2: readLing2,
  bailing_moe_linear: readRingLinear,
  bailing_hybrid: readBailingHybrid,
  sarvam_moe: readLing2,
  sarvam_mla: readSarvamMla,
};
