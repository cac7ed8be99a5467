import type { DeltaRule, Ffn, LinearAttention, Mixer } from "../types.js";
import { flag, oneOf, size } from "./checks.js";
import { readLayerCount } from "./decoder.js";
import { gatedWidth, kernelChunk, wholeShare } from "./fla.js";
import { attentionSizes, decoder, dense, inputBias, layerNorm, listLayers, rmsNorm, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/** Linear attention and recurrences whose classes come with the checkpoint or with flash-linear-attention. */

/** Gated linear attention (arXiv:2312.06635) as flash-linear-attention has it. */
const readGla: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_heads");
  if (config.optional("use_gv", flag) === true) throw config.bad("use_gv", true, "expected false: values do not decay");
  const decays = config.optional("use_gk", flag) ?? true;
  const norm = rmsNorm(config, "norm_eps");
  const keyDim = wholeShare(config, "expand_k", hidden, heads);
  const mixer: LinearAttention = {
    kind: "linear",
    heads,
    keyDim,
    valueDim: wholeShare(config, "expand_v", hidden, heads),
    chunk: kernelChunk,
    causal: true,
    feature: "none",
    scale: keyDim ** -0.5,
    normalised: false,
    // gate_low_rank_dim is 16 in all published configurations and not in their files.
    decay: decays ? { rank: config.optional("gate_low_rank_dim", size) ?? 16 } : "none",
    rotary: null,
    gated: true,
  };
  const ffn = dense(config, { width: gatedWidth(config, hidden) });
  config.ignore("attn_mode", "clamp_min", "fuse_cross_entropy", "fuse_norm", "hidden_ratio");
  return decoder(config, {
    layers: listLayers(readLayerCount(config), () => ({
      mixers: [mixer],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
    contextLength: null,
  });
};

/** HGRN2 (arXiv:2404.07904) as flash-linear-attention has it: an outer product's state, bounds of its decay per layer. */
const readHgrn2: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const ratio = config.optional("expand_ratio", size);
  const named = config.optional("num_heads", size);
  if (ratio === null && named === null) config.fill("expand_ratio", 128, "class default of hgrn2");
  const heads = ratio === null && named !== null ? named : hidden / (ratio ?? 128);
  if (!Number.isInteger(heads) || hidden % heads !== 0) {
    throw config.bad("expand_ratio", ratio, `expected a divisor of hidden_size (${hidden})`);
  }
  if (config.peek("use_short_conv", flag) === true) {
    throw config.bad("use_short_conv", true, "expected false: convolutions in front of the state are not read");
  }
  const nested = config.raw("attn");
  if (nested !== undefined && nested !== null) throw config.bad("attn", "layers", "expected null: attention beside it");
  const keyDim = ratio ?? hidden / heads;
  const mixer: LinearAttention = {
    kind: "linear",
    heads,
    keyDim,
    valueDim: hidden / heads,
    chunk: kernelChunk,
    causal: true,
    feature: "none",
    scale: keyDim ** -0.5,
    normalised: false,
    decay: "none",
    rotary: null,
    gated: false,
    keyDecays: true,
    normed: true,
  };
  const layers = readLayerCount(config);
  const bounds = config.optional("use_lower_bound", flag) ?? true;
  const norm = rmsNorm(config, "norm_eps");
  const ffn = dense(config, { width: gatedWidth(config, hidden), activation: "silu" });
  config.ignore("attn", "attn_mode", "conv_size", "fuse_cross_entropy", "fuse_norm", "fuse_swiglu", "hidden_ratio");
  config.ignore("elementwise_affine", "fuse_linear_cross_entropy", "use_l2warp", "hidden_act");
  return decoder(config, {
    layers: listLayers(layers, () => ({ mixers: [mixer], ffns: [ffn], norm, normPlacement: "pre" })),
    finalNorm: norm,
    contextLength: null,
    ...(bounds ? { extras: { weights: [{ name: "lower_bounds", shape: [layers, hidden] }] } } : {}),
  });
};

/** RWKV 5 (Eagle, arXiv:2404.05892): 3.5 times the width in channel mixing, in whole 32s; one more norm in front. */
const readRwkv5: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const width = config.derived("attention_hidden_size", size, "hidden_size", () => hidden);
  const headDim = config.size("head_size");
  if (width % headDim !== 0) throw config.bad("head_size", headDim, `expected a divisor of ${width}`);
  const norm = layerNorm(config);
  const ffnWidth = config.derived("intermediate_size", size, "3.5 · hidden_size, in whole 32s", () => {
    return 32 * Math.floor(Math.floor(3.5 * hidden) / 32);
  });
  const mixer: Mixer = {
    kind: "rwkv",
    version: 5,
    width,
    headDim,
    chunk: kernelChunk,
    ranks: { mix: 0, decay: 0, rate: 0, value: 0, gate: 0 },
  };
  const ffn: Ffn = { kind: "rwkv4-ffn", width: ffnWidth };
  config.ignore("context_length", "model_version", "rescale_every");
  return decoder(config, {
    layers: listLayers(readLayerCount(config), (layer) => ({
      mixers: [mixer],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
      ...(layer === 0 ? { extras: { weights: [{ name: "pre_norm", shape: [2, hidden] }] } } : {}),
    })),
    finalNorm: norm,
    contextLength: null,
  });
};

/** Jet-Nemotron (arXiv:2508.15884): JetBlocks, a few layers of full and of windowed attention as in Qwen 2. */
const readJetNemotron: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const layers = readLayerCount(config);
  const norm = rmsNorm(config);
  const ffn = dense(config);
  const efficient = config.child("efficient_attention_config");
  const jet = efficient.child("jet");
  const heads = jet.size("num_heads");
  const keyDim = jet.size("head_dim");
  const valueDim = Math.floor(keyDim * jet.real("expand_v"));
  const delta: DeltaRule = {
    kind: "delta",
    keyHeads: heads,
    valueHeads: heads,
    keyDim,
    valueDim,
    convolution: jet.size("conv_size"),
    chunk: kernelChunk,
    decay: "per-head",
    decayRank: null,
    gateRank: null,
    dynamicConvolution: {
      rank: Math.max(1, Math.floor((heads * valueDim) / jet.size("dconv_generator_reduction"))),
    },
  };
  jet.ignoreRest();
  const windowed = efficient.child("swa");
  const full = softmax(sizes, rotary, { bias: inputBias });
  const types =
    config.perLayer("layer_types", oneOf(["jet", "attn", "swa"]), layers) ??
    Array.from({ length: layers }, () => "jet" as const);
  const local = types.includes("swa")
    ? softmax(sizes, rotary, { bias: inputBias, span: { kind: "window", size: windowed.size("window_size") } })
    : full;
  windowed.ignoreRest();
  config.ignore("max_window_layers", "use_mrope");
  const mixers = { jet: delta, attn: full, swa: local };
  return decoder(config, {
    layers: listLayers(layers, (layer) => ({
      mixers: [mixers[types[layer] ?? "jet"]],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
  });
};

export const remoteLinearReaders: Readonly<Record<string, Reader>> = {
  hgrn2: readHgrn2,
  gla: readGla,
  rwkv5: readRwkv5,
  jet_nemotron: readJetNemotron,
};
