import type { Attention, DeltaRule, Layer, LinearAttention, Mixer, Rwkv } from "../types.js";
import { integer, listOf, real, size } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readLayerCount } from "./decoder.js";
import {
  type DecoderParts,
  decoder,
  dense,
  flagOr,
  inputBias,
  layerNorm,
  listLayers,
  noBias,
  rmsNorm,
  softmax,
} from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

/** Models of flash-linear-attention, read after its layers; what its configurations leave out is filled from them. */

/** Chunk of its kernels. */
export const kernelChunk = 64;

/** GatedMLP: two thirds of hidden_ratio · hidden_size, in whole 256s, unless the file names a width. */
export function gatedWidth(config: ConfigReader, hidden: number): number {
  return config.derived("intermediate_size", size, "2/3 · hidden_ratio · hidden_size, in whole 256s", () => {
    const wanted = Math.floor((hidden * (config.optional("hidden_ratio", real) ?? 4) * 2) / 3);
    return 256 * Math.ceil(wanted / 256);
  });
}

/** Channels per head of a share of the width. */
export function wholeShare(config: ConfigReader, key: string, width: number, heads: number, otherwise = 1): number {
  const share = config.optional(key, real) ?? otherwise;
  const each = (width * share) / heads;
  if (!(Number.isInteger(each) && each >= 1)) {
    throw config.bad(key, share, `expected a factor that gives each of ${heads} heads a whole number of channels`);
  }
  return each;
}

function attentionOf(config: ConfigReader, hidden: number): Attention {
  const heads = config.size("num_heads");
  const kvHeads = config.derived("num_kv_heads", size, "num_heads", () => heads);
  if (hidden % heads !== 0) throw config.bad("num_heads", heads, `expected a divisor of hidden_size (${hidden})`);
  const headDim = hidden / heads;
  const window = config.optional("window_size", size);
  const rotary = { dims: headDim, theta: config.optional("rope_theta", real) ?? 10_000, interleaved: false };
  return softmax({ heads, kvHeads, headDim }, rotary, {
    bias: flagOr(config, "qkv_bias", false) ? inputBias : noBias,
    queryKeyNorm: flagOr(config, "qk_norm", false) ? "per-head" : "none",
    ...(window === null ? {} : { span: { kind: "window", size: window } as const }),
  });
}

const ignored = [
  "attn_mode",
  "fuse_norm",
  "fuse_swiglu",
  "fuse_cross_entropy",
  "fuse_linear_cross_entropy",
  "use_l2warp",
  "hidden_ratio",
  "elementwise_affine",
  "norm_first",
  "norm_bias",
  "clamp_min",
  "allow_neg_eigval",
  "chunk_size",
] as const;

/** Layers of one mixer; those that `attn` lists attend with softmax instead. */
function flaDecoder(
  config: ConfigReader,
  mixerOf: (layer: number) => Mixer,
  more: { readonly layer?: Partial<Layer>; readonly parts?: Partial<DecoderParts> } = {},
): ReaderResult {
  const hidden = config.size("hidden_size");
  const norm = rmsNorm(config, "norm_eps");
  const nested = config.child("attn", {});
  const listed = new Set(config.has("attn") ? nested.read("layers", listOf(integer)) : []);
  const attention = listed.size > 0 ? attentionOf(nested, hidden) : null;
  nested.ignoreRest();
  const ffn = dense(config, { width: gatedWidth(config, hidden), activation: "silu" });
  config.ignore(...ignored);
  const mixed = config.optional("attnres_block_size", size);
  if (mixed !== null)
    throw config.bad("attnres_block_size", mixed, "expected null: residuals by attention are not read");
  return decoder(config, {
    layers: listLayers(readLayerCount(config), (index) => ({
      mixers: [attention !== null && listed.has(index) ? attention : mixerOf(index)],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
      ...more.layer,
    })),
    finalNorm: norm,
    contextLength: null,
    ...more.parts,
  });
}

/** models/transformer: Llama with key names of its own. */
const readTransformer: Reader = (config) => {
  const attention = attentionOf(config, config.size("hidden_size"));
  return flaDecoder(config, () => attention);
};

/** models/retnet: multi-scale retention (arXiv:2307.08621). */
const readRetNet: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_heads");
  const plain = (key: string, wanted: unknown): void => {
    const found = config.raw(key);
    if (found !== undefined && found !== null && found !== wanted) {
      throw config.bad(key, found, `expected ${JSON.stringify(wanted)}: anything else is not understood yet`);
    }
    config.ignore(key);
  };
  plain("use_short_conv", false);
  plain("use_output_gate", true);
  plain("feature_map", null);
  plain("num_kv_heads", heads);
  config.ignore("conv_size");
  const keyDim = wholeShare(config, "expand_k", hidden, heads);
  const mixer: LinearAttention = {
    kind: "linear",
    heads,
    keyDim,
    valueDim: wholeShare(config, "expand_v", hidden, heads, 2),
    chunk: kernelChunk,
    causal: true,
    feature: "none",
    scale: keyDim ** -0.5,
    normalised: false,
    decay: "fixed",
    rotary: { dims: keyDim, theta: 10_000, interleaved: false },
    gated: true,
  };
  const withRatio = config.has("hidden_ratio") ? config : config.with({ hidden_ratio: 2 });
  return flaDecoder(withRatio, () => mixer);
};

function shortConvolution(config: ConfigReader): number {
  if (!flagOr(config, "use_short_conv", true)) {
    throw config.bad("use_short_conv", false, "expected true: without a convolution it is not understood yet");
  }
  return config.optional("conv_size", size) ?? 4;
}

/** models/delta_net (arXiv:2406.06484): the delta rule without decay. */
const readDeltaNet: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_heads");
  if (!flagOr(config, "use_beta", true)) throw config.bad("use_beta", false, "expected true");
  config.ignore("qk_norm", "qk_activation", "use_output_norm");
  const mixer: DeltaRule = {
    kind: "delta",
    keyHeads: heads,
    valueHeads: heads,
    keyDim: wholeShare(config, "expand_k", hidden, heads),
    valueDim: wholeShare(config, "expand_v", hidden, heads),
    convolution: shortConvolution(config),
    chunk: kernelChunk,
    decay: "none",
    decayRank: null,
    gateRank: null,
    ...(flagOr(config, "use_gate", false) ? {} : { ungated: true as const }),
  };
  return flaDecoder(config, () => mixer);
};

/** Heads of Gated DeltaNet and KDA: values may have more than keys, and be wider. */
function deltaHeads(config: ConfigReader, expand: number) {
  const keyHeads = config.size("num_heads");
  const keyDim = config.size("head_dim");
  const valueHeads = config.derived("num_v_heads", size, "num_heads", () => keyHeads);
  if (valueHeads % keyHeads !== 0) throw config.bad("num_v_heads", valueHeads, `expected a multiple of ${keyHeads}`);
  const valueDim = wholeShare(config, "expand_v", keyDim, 1, expand);
  return { keyHeads, keyDim, valueHeads, valueDim, convolution: shortConvolution(config), chunk: kernelChunk };
}

/** models/gated_deltanet (arXiv:2412.06464). */
const readGatedDeltaNet: Reader = (config) => {
  const ungated = !flagOr(config, "use_gate", true);
  const mixer: DeltaRule = {
    kind: "delta",
    ...deltaHeads(config, 2),
    decay: "per-head",
    decayRank: null,
    gateRank: null,
    ...(ungated ? { ungated } : {}),
  };
  return flaDecoder(config, () => mixer);
};

/** models/kda: Kimi Delta Attention, whose gate has a bias here. */
const readKda: Reader = (config) => {
  const heads = deltaHeads(config, 1);
  const mixer: DeltaRule = {
    kind: "delta",
    ...heads,
    decay: "per-channel",
    decayRank: heads.valueDim,
    gateRank: heads.valueDim,
  };
  config.ignore("safe_gate", "lower_bound");
  const bias = { name: "gate_bias", shape: [heads.valueHeads * heads.valueDim] };
  if (config.has("attn")) throw config.bad("attn", "layers", "expected null: attention beside KDA is not read");
  return flaDecoder(config, () => mixer, { layer: { extras: { weights: [bias] } } });
};

interface RwkvParts {
  readonly width: number;
  readonly mixer: (layer: number) => Rwkv;
  readonly ffnWidth: number;
}

/** Norms with biases, one more in front of the first layer. */
function rwkvDecoder(config: ConfigReader, parts: RwkvParts): ReaderResult {
  const hidden = config.size("hidden_size");
  const norm = layerNorm(config, true, ["norm_eps", "layer_norm_epsilon"]);
  const ungated = parts.mixer(0).version === 7;
  const first = { weights: [{ name: "pre_norm", shape: [2, hidden] }] };
  for (const key of ["norm_first", "norm_bias"]) {
    if (!flagOr(config, key, true)) throw config.bad(key, false, "expected true");
  }
  if (config.has("attn")) throw config.bad("attn", "layers", "expected null: attention beside RWKV is not read");
  config.ignore(...ignored, "context_length", "model_version", "rescale_every", "head_size_divisor", "hidden_act");
  return decoder(config, {
    layers: listLayers(readLayerCount(config), (index) => ({
      mixers: [parts.mixer(index)],
      ffns: [{ kind: "rwkv4-ffn", width: parts.ffnWidth, ...(ungated ? { ungated } : {}) }],
      norm,
      normPlacement: "pre",
      ...(index === 0 ? { extras: first } : {}),
    })),
    finalNorm: norm,
    contextLength: null,
  });
}

function rwkvWidth(config: ConfigReader, hidden: number, ratio: number): number {
  const from = `hidden_ratio (${ratio}) · hidden_size, in whole 32s`;
  return config.derived("intermediate_size", size, from, () => {
    const wanted = Math.floor((config.optional("hidden_ratio", real) ?? ratio) * hidden);
    return 32 * Math.ceil(wanted / 32);
  });
}

/** RWKV 6 (Finch, arXiv:2404.05892), as RWKV's own files and as flash-linear-attention's name its sizes. */
const readRwkv6: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const own = config.has("attention_hidden_size") || config.has("head_size");
  const width = config.derived("attention_hidden_size", size, "hidden_size", () => hidden);
  const share = own ? 1 : (config.optional("expand_k", real) ?? 0.5);
  const values = own ? 1 : (config.optional("expand_v", real) ?? 1);
  if (share !== 1 || values !== 1) {
    throw config.bad(
      "expand_k",
      share,
      "expected 1, for expand_v too: heads that are not square are not understood yet",
    );
  }
  const headDim = own ? config.size("head_size") : hidden / config.size("num_heads");
  if (!Number.isInteger(headDim) || width % headDim !== 0) {
    throw config.bad(["head_size", "num_heads"], headDim, `expected a size of heads that divides ${width}`);
  }
  // Its own class takes twice the ranks from a width of 4096 on.
  const wide = own && hidden >= 4096 ? 2 : 1;
  const mix = config.derived("proj_low_rank_dim", size, "32, or 64 from 4096 channels on", () => 32 * wide);
  const decay = config.derived("gate_low_rank_dim", size, "64, or 128 from 4096 channels on", () => 64 * wide);
  const ranks = { mix, decay, rate: 0, value: 0, gate: 0 };
  const mixer: Rwkv = { kind: "rwkv", version: 6, width, headDim, chunk: kernelChunk, ranks };
  return rwkvDecoder(config, { width, mixer: () => mixer, ffnWidth: rwkvWidth(config, hidden, 3.5) });
};

/** RWKV 7 (Goose, arXiv:2503.14456). */
const readRwkv7: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const headDim = config.derived("head_dim", size, "hidden_size / num_heads, or 64", () => {
    const heads = config.optional("num_heads", size);
    return heads === null ? 64 : hidden / heads;
  });
  if (hidden % headDim !== 0) throw config.bad("head_dim", headDim, `expected a divisor of hidden_size (${hidden})`);
  config.ignore("num_heads");
  const values = config.raw("value_dim");
  const widths = Array.isArray(values) ? values : values === undefined || values === null ? [] : [values];
  if (widths.some((width) => width !== hidden)) {
    throw config.bad("value_dim", values, `expected hidden_size (${hidden}): other widths are not understood yet`);
  }
  config.ignore("value_dim");
  const rank = (key: string, factor: number, scaled: boolean): number =>
    config.derived(key, size, `${factor} · √hidden_size, in whole 32s`, () => {
      const wanted = factor * Math.sqrt(hidden) * (scaled ? headDim / 64 : 1);
      return Math.max(32, Math.round(wanted / 32) * 32);
    });
  const ranks = {
    mix: 0,
    decay: rank("decay_low_rank_dim", 2.5, true),
    rate: rank("a_low_rank_dim", 2.5, true),
    value: rank("v_low_rank_dim", 1.7, true),
    gate: rank("gate_low_rank_dim", 5, false),
  };
  const mixer: Rwkv = { kind: "rwkv", version: 7, width: hidden, headDim, chunk: kernelChunk, ranks };
  const first: Rwkv = { ...mixer, first: true };
  return rwkvDecoder(config, {
    width: hidden,
    mixer: (index) => (index === 0 ? first : mixer),
    ffnWidth: rwkvWidth(config, hidden, 4),
  });
};

export const flaReaders: Readonly<Record<string, Reader>> = {
  transformer: readTransformer,
  retnet: readRetNet,
  delta_net: readDeltaNet,
  gated_deltanet: readGatedDeltaNet,
  kda: readKda,
  rwkv6: readRwkv6,
  rwkv7: readRwkv7,
};
