import { gatedKind, normalisedKind, retentionKind } from "../model/linear-kinds.js";
import type { Mixer } from "../model/types.js";
import { greatestDivisor } from "./divisor.js";
import { type HeadSizes, type LayerChange, type Place, changeSelfAttention, headSizes, oneWay } from "./layers.js";

/**
 * Variants that replace softmax attention by another mixer of the same heads. The feed-forward parts stay, so that two
 * variants differ by their mixers alone.
 */
function mixer(make: (sizes: HeadSizes, place: Place) => Mixer): LayerChange {
  return (layer, place) => changeSelfAttention(layer, place, (attention) => make(headSizes(attention), place));
}

/** A mixer that works token by token or chunk by chunk from left to right. */
function causal(variant: string, make: (sizes: HeadSizes, place: Place) => Mixer): LayerChange {
  return oneWay("causal", variant, "expected causal attention to replace", mixer(make));
}

/** A mixer that looks both ways. */
function bothWays(variant: string, make: (sizes: HeadSizes, place: Place) => Mixer): LayerChange {
  return oneWay("both-ways", variant, "expected an encoder such as BERT: it looks both ways", mixer(make));
}

/** Linear attention (arXiv:2006.16236): φ = elu + 1, normalised, nothing forgotten. */
export const linear = mixer(({ heads, keyDim, valueDim, causal: ordered }) => ({
  kind: "linear",
  heads,
  keyDim,
  valueDim,
  chunk: 64,
  causal: ordered,
  ...normalisedKind("elu"),
}));

/** Performer (arXiv:2009.14794): random features whose products are the softmax's kernel in expectation. */
export function performer(features: number): LayerChange {
  return mixer(({ heads, keyDim, valueDim, causal: ordered }) => ({
    kind: "linear",
    heads,
    keyDim,
    valueDim,
    chunk: 64,
    causal: ordered,
    ...normalisedKind({ random: features }),
  }));
}

/** RetNet (arXiv:2307.08621): a fixed decay per head, a norm and a gate on the mixture. */
export const retnet = causal("retnet", ({ heads, keyDim, valueDim }) => ({
  kind: "linear",
  heads,
  keyDim,
  valueDim,
  chunk: 64,
  causal: true,
  ...retentionKind(keyDim),
}));

/** Gated linear attention (arXiv:2312.06635): a decay per channel of the keys, from a projection of rank 16. */
export const gla = causal("gla", ({ heads, keyDim, valueDim }) => ({
  kind: "linear",
  heads,
  keyDim,
  valueDim,
  chunk: 64,
  causal: true,
  ...gatedKind(keyDim),
}));

/** A recurrent cell as wide as the stream: one token after the other. */
export function cell(name: "lstm" | "gru"): LayerChange {
  return causal(name, (_sizes, { hidden }) => ({ kind: "cell", cell: name, width: hidden, bias: true }));
}

const linformerPositions = 2 ** 14;

/** Linformer (arXiv:2006.04768): all keys and values projected to `length` rows by learned matrices. */
export function linformer(length: number): LayerChange {
  return bothWays("linformer", ({ heads, keyDim }, { model }) => ({
    kind: "linformer",
    heads,
    headDim: keyDim,
    length,
    positions: Math.max(length, model.contextLength ?? linformerPositions),
    shared: false,
    bias: false,
  }));
}

/** Gated DeltaNet (arXiv:2412.06464) as Qwen3-Next has it: a short convolution, a decay and a rate per head. */
export const gatedDelta = causal("gated-delta", ({ heads, keyDim, valueDim }) => ({
  kind: "delta",
  keyHeads: heads,
  valueHeads: heads,
  keyDim,
  valueDim,
  convolution: 4,
  chunk: 64,
  decay: "per-head",
  decayRank: null,
  gateRank: null,
}));

const mambaHead = 64;

/** Mamba 2 (arXiv:2405.21060) with its published proportions: twice the width, heads of 64, a state of 128. */
export const mamba2 = causal("mamba2", (_sizes, { hidden }) => {
  const width = 2 * hidden;
  const headDim = greatestDivisor(width, mambaHead);
  return {
    kind: "mamba2",
    heads: width / headDim,
    headDim,
    stateDim: 128,
    groups: 1,
    convolution: 4,
    chunk: 256,
    convolutionBias: true,
    bias: false,
    gatedNorm: true,
  };
});

/** Mamba (arXiv:2312.00752): twice the width, a state of 16 per channel. */
export const mamba1 = causal("mamba", (_sizes, { hidden }) => ({
  kind: "mamba1",
  width: 2 * hidden,
  stateDim: 16,
  convolution: 4,
  timeRank: Math.ceil(hidden / 16),
  convolutionBias: true,
  bias: false,
  innerNorms: false,
}));

/** Nyströmformer (arXiv:2102.03902), without its convolution of values. */
export function nystrom(landmarks: number): LayerChange {
  return bothWays("nystrom", ({ heads, keyDim }) => ({
    kind: "nystrom",
    heads,
    headDim: keyDim,
    landmarks,
    convolution: null,
  }));
}

/** Fourier transforms in place of attention (FNet, arXiv:2105.03824). */
export const fourier = bothWays("fnet", () => ({ kind: "fourier" }));
