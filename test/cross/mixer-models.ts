import type {
  Indexer,
  Attention,
  Ffn,
  LatentAttention,
  LinearAttention,
  Mixer,
  MoeFfn,
  ModelDescription,
  Norm,
} from "../../src/model/types.js";
import { smallModel } from "./shapes.js";

const small = { hidden: 32, heads: 4, kvHeads: 2, headDim: 8, ffn: 48, layers: 2, vocabulary: 50 };

function attentionModel(
  name: string,
  attention: Partial<Attention>,
  secondLayer: Partial<Attention> = attention,
): ModelDescription {
  return smallModel({ ...small, name }, { attention, secondLayer });
}

/** Attention that is more than full attention over plain heads. */
export const attentionModels: readonly ModelDescription[] = [
  attentionModel("window-1", { span: { kind: "window", size: 1 } }),
  attentionModel("window-8", { span: { kind: "window", size: 8 } }),
  attentionModel("window-3-and-full", { span: { kind: "window", size: 3 } }, {}),
  attentionModel("window-12", { span: { kind: "window", size: 12 } }),
  attentionModel("window-wider-than-all", { span: { kind: "window", size: 64 } }),
  attentionModel("streaming-4", { span: { kind: "window", size: 4, first: 2 } }),
  attentionModel("streaming-1", { span: { kind: "window", size: 1, first: 3 } }, { sinks: true }),
  attentionModel("streaming-many", { span: { kind: "window", size: 5, first: 9 } }, { valueDim: 4 }),
  attentionModel("streaming-wide", { span: { kind: "window", size: 12, first: 4 }, softcap: 3 }, {}),
  attentionModel("chunk-4", { span: { kind: "chunk", size: 4 } }),
  attentionModel("chunk-6-and-full", { span: { kind: "chunk", size: 6 } }, { rotary: null }),
  attentionModel("strided-2", { span: { kind: "strided", size: 2, local: 2, stride: 3 } }),
  attentionModel("strided-1-of-8", { span: { kind: "strided", size: 1, local: 3, stride: 8 }, sinks: true }, {}),
  attentionModel("strided-3", { span: { kind: "strided", size: 3, local: 1, stride: 2 }, valueDim: 4, kvHeads: 4 }),
  attentionModel("gpt-oss", { sinks: true, span: { kind: "window", size: 5 } }, { sinks: true }),
  attentionModel("softcap-full", { softcap: 2 }),
  attentionModel("softcap-window", { softcap: 2, span: { kind: "window", size: 6 } }),
  attentionModel("qwen3-next-attention", { gate: "per-element", queryKeyNorm: "per-head" }),
  attentionModel("gate-per-head", { gate: "per-head" }, { gate: "per-head", span: { kind: "window", size: 7 } }),
  attentionModel("norm-each-head", { queryKeyNorm: "each-head" }),
  attentionModel("key-is-value", { keyValue: "key-is-value" }),
  attentionModel("yuan-2", { filter: { width: 10 } }),
  attentionModel("heads-of-12", { keyDim: 12, valueDim: 12, rotary: { dims: 10, theta: 10_000, interleaved: true } }),
  attentionModel("narrow-values", { valueDim: 4 }, { valueDim: 4, span: { kind: "window", size: 5 } }),
  attentionModel("wide-values", { valueDim: 12, kvHeads: 4 }, { valueDim: 12, kvHeads: 1, sinks: true }),
];

/** A model whose every layer has this mixer, or every second one plain attention. */
function mixerModel(
  name: string,
  mixer: Mixer,
  choices: { readonly hybrid?: boolean; readonly norm?: Partial<Norm>; readonly ffn?: Ffn } = {},
): ModelDescription {
  const model = smallModel({ ...small, name }, { norm: choices.norm ?? {}, secondLayer: {} });
  const [stack] = model.stacks;
  if (stack === undefined) throw new Error("a small model has a stack");
  const layers = stack.layers.map((layer, index) =>
    choices.hybrid === true && index % 2 === 1
      ? layer
      : { ...layer, mixers: [mixer], ffns: choices.ffn === undefined ? layer.ffns : [choices.ffn] },
  );
  return { ...model, stacks: [{ ...stack, layers }] };
}

const delta = {
  kind: "delta",
  keyHeads: 2,
  valueHeads: 4,
  keyDim: 8,
  valueDim: 6,
  convolution: 4,
  chunk: 64,
  decay: "per-head",
  decayRank: null,
  gateRank: null,
} as const;
const mamba1 = {
  kind: "mamba1",
  width: 24,
  stateDim: 5,
  convolution: 4,
  timeRank: 3,
  convolutionBias: true,
  bias: false,
  innerNorms: false,
} as const;
const mamba2 = {
  kind: "mamba2",
  heads: 6,
  headDim: 4,
  stateDim: 8,
  groups: 2,
  convolution: 4,
  chunk: 256,
  convolutionBias: true,
  bias: false,
  gatedNorm: true,
} as const;
const linear: LinearAttention = {
  kind: "linear",
  heads: 4,
  keyDim: 8,
  valueDim: 6,
  chunk: 64,
  causal: true,
  feature: "elu",
  scale: 1,
  normalised: true,
  decay: "none",
  rotary: null,
  gated: false,
};
const retnet: LinearAttention = {
  ...linear,
  feature: "none",
  normalised: false,
  scale: 8 ** -0.5,
  decay: "fixed",
  rotary: { dims: 8, theta: 10_000, interleaved: false },
  gated: true,
};
const rwkv = {
  kind: "rwkv",
  width: 32,
  headDim: 8,
  chunk: 64,
  ranks: { mix: 4, decay: 5, rate: 3, value: 3, gate: 6 },
} as const;

const latent: LatentAttention = {
  kind: "latent",
  heads: 4,
  queryRank: null,
  kvRank: 12,
  nopeDim: 8,
  ropeDim: 8,
  valueDim: 6,
  bias: false,
  scale: 0.25,
  rotary: { dims: 8, theta: 10_000, interleaved: true },
};

/** Attention over a latent that all heads share. */
export const latentModels: readonly ModelDescription[] = [
  mixerModel("deepseek-v2-lite", latent),
  mixerModel("deepseek-v3", { ...latent, queryRank: 10, bias: true }),
  mixerModel("latent-unaligned", { ...latent, ropeDim: 4, rotary: { dims: 4, theta: 10_000, interleaved: false } }),
  mixerModel("latent-wide-values", { ...latent, valueDim: 20, sinks: true }),
  mixerModel("latent-equal", { ...latent, valueDim: 16, sinks: true }),
  mixerModel("kimi-linear", { ...latent, rotary: null }, { hybrid: true, norm: { offset: true } }),
  mixerModel("latent-without-rope", { ...latent, ropeDim: 0, rotary: null, gate: "per-head" }),
  mixerModel("axk2", { ...latent, queryRank: 10, queryWidth: 10, gate: "per-element", gateFromQuery: true }),
];

const compressed = {
  kind: "compressed",
  heads: 4,
  dim: 8,
  queryRank: 10,
  window: 3,
  outputGroups: 2,
  outputRank: 6,
  ratio: 4,
  indexer: null,
} as const;

/** A window of plain keys and compressed keys of groups of tokens. */
export const compressedModels: readonly ModelDescription[] = [
  mixerModel("window-of-plain-keys", { ...compressed, ratio: 0 }),
  mixerModel("groups-of-4", compressed),
  mixerModel("groups-of-3", { ...compressed, ratio: 3, window: 5, outputGroups: 4 }, { hybrid: true }),
  mixerModel("turned-groups", { ...compressed, rotary: { dims: 4, theta: 100, interleaved: true } }),
  mixerModel("turned-chosen-groups", {
    ...compressed,
    ratio: 2,
    rotary: { dims: 6, theta: 100, interleaved: true },
    indexer: { heads: 3, dim: 6, chosen: 3 },
  }),
  mixerModel("overlapping-groups", { ...compressed, ratio: 2, indexer: { heads: 3, dim: 6, chosen: 20 } }),
  mixerModel("chosen-groups", { ...compressed, ratio: 2, indexer: { heads: 3, dim: 6, chosen: 3 } }),
  mixerModel("chosen-single-groups", { ...compressed, ratio: 3, window: 1, indexer: { heads: 2, dim: 4, chosen: 1 } }),
];

const indexer: Indexer = { heads: 3, dim: 8, queryWidth: 32, chosen: 4, norm: "layer", weighted: true };
const chosen = (count: number, more: Partial<Indexer> = {}): Partial<Attention> => ({
  span: { kind: "chosen", size: count },
  indexer: { ...indexer, chosen: count, ...more },
});

/** Attention to the tokens that an indexer chooses: by a mask, or by gathering what is chosen. */
export const chosenModels: readonly ModelDescription[] = [
  attentionModel("top-4", chosen(4)),
  attentionModel("top-4-and-full", { ...chosen(4, { weighted: false, norm: "none" }), sinks: true }, {}),
  attentionModel("top-64", chosen(64)),
  attentionModel("top-2-gathered", { ...chosen(2, { norm: "rms" }), heads: 16, kvHeads: 1, gate: "per-head" }),
  attentionModel("top-3-gathered", { ...chosen(3), heads: 32, kvHeads: 2, softcap: 2, sinks: true, valueDim: 4 }),
  attentionModel("top-3-wide-rotary", { ...chosen(3, { dim: 6, norm: "rms" }), queryKeyNorm: "per-head" }),
  mixerModel("deepseek-v3.2", { ...latent, queryRank: 10, indexer: { ...indexer, queryWidth: 10 } }),
  mixerModel("glm-5", { ...latent, sinks: true, indexer: { ...indexer, chosen: 7 } }, { hybrid: true }),
];

/** Every second layer reads the choice of the layer before it. */
export const sharedChoiceModel: ModelDescription = alternating("shared-choice", [
  { ...latent, indexer },
  { ...latent, sharedIndexer: { chosen: 4 } },
]);

function alternating(name: string, mixers: readonly Mixer[]): ModelDescription {
  const [first] = mixers;
  if (first === undefined) throw new Error("no mixers");
  const model = mixerModel(name, first);
  const stacks = model.stacks.map((stack) => ({
    ...stack,
    layers: stack.layers.map((layer, i) => ({ ...layer, mixers: [mixers[i % mixers.length] ?? first] })),
  }));
  return { ...model, stacks };
}

/** Mixers whose memory is a state of constant size. */
export const stateModels: readonly ModelDescription[] = [
  mixerModel("linear", linear),
  mixerModel("performer", { ...linear, feature: { random: 12 } }, { hybrid: true }),
  mixerModel("retnet", retnet),
  mixerModel("gla", { ...retnet, decay: { rank: 3 }, rotary: null }, { norm: { offset: true } }),
  mixerModel("lstm", { kind: "cell", cell: "lstm", width: 32, bias: true }),
  mixerModel("lstm-narrow", { kind: "cell", cell: "lstm", width: 20, bias: false }, { hybrid: true }),
  mixerModel("gru", { kind: "cell", cell: "gru", width: 24, bias: true }),
  mixerModel("rwkv4", { kind: "rwkv4", width: 24 }, { ffn: { kind: "rwkv4-ffn", width: 40 } }),
  mixerModel("rwkv5", { ...rwkv, version: 5 }, { norm: { kind: "layer", bias: true } }),
  mixerModel("rwkv6", { ...rwkv, version: 6 }, { ffn: { kind: "rwkv4-ffn", width: 40, ungated: true } }),
  alternating("rwkv7", [
    { ...rwkv, version: 7, first: true },
    { ...rwkv, version: 7 },
  ]),
  mixerModel(
    "rwkv7-first",
    { ...rwkv, version: 7, first: true, headDim: 4 },
    { ffn: { kind: "rwkv4-ffn", width: 40, ungated: true } },
  ),
  mixerModel("gated-deltanet", delta),
  mixerModel("deltanet", { ...delta, decay: "none", ungated: true }),
  mixerModel("qwen3-next", delta, { hybrid: true, norm: { offset: true } }),
  mixerModel("kda", { ...delta, keyHeads: 4, decay: "per-channel", decayRank: 4, gateRank: 5 }),
  mixerModel("jetblock", { ...delta, dynamicConvolution: { rank: 3 } }, { hybrid: true }),
  mixerModel("mamba", mamba1),
  mixerModel("jamba", { ...mamba1, innerNorms: true, bias: true, convolutionBias: false }, { hybrid: true }),
  mixerModel("zamba-mamba", { ...mamba1, heads: 3 }),
  mixerModel("mamba2", mamba2),
  mixerModel("bamba", { ...mamba2, groups: 1, bias: true, gatedNorm: false }, { hybrid: true }),
  mixerModel("lightning", { kind: "lightning", heads: 4, headDim: 8, block: 256 }, { hybrid: true }),
  mixerModel("xlstm", { kind: "mlstm", heads: 3, keyDim: 4, valueDim: 8, chunk: 64 }),
  mixerModel(
    "xlstm-layer-norm",
    { kind: "mlstm", heads: 2, keyDim: 8, valueDim: 5, chunk: 64 },
    { norm: { kind: "layer", bias: true } },
  ),
  mixerModel("recurrentgemma", { kind: "rg-lru", width: 24, heads: 3, convolution: 4 }, { hybrid: true }),
  mixerModel("lfm2", { kind: "short-convolution", width: 20, convolution: 3, bias: false }, { hybrid: true }),
  mixerModel("short-convolution-biased", { kind: "short-convolution", width: 20, convolution: 2, bias: true }),
];

const encoderAttention = (name: string, attention: Partial<Attention>): ModelDescription =>
  attentionModel(name, { causal: false, ...attention });

/** Attention of encoders that leaves out most pairs, and the lengths where its pattern changes. */
export const patternModels: readonly (readonly [ModelDescription, readonly number[]])[] = [
  [encoderAttention("bigbird", { span: { kind: "blocks", size: 4, random: 3 } }), [1, 3, 44, 45, 48, 61, 96]],
  [encoderAttention("bigbird-one-random", { span: { kind: "blocks", size: 3, random: 1 } }), [21, 22, 23, 24, 40]],
  [encoderAttention("bigbird-none-random", { span: { kind: "blocks", size: 2, random: 0 } }), [10, 11, 12, 13, 31]],
  [encoderAttention("longformer", { span: { kind: "window", size: 5, first: 1 } }), [1, 2, 5, 9, 10, 11, 33]],
  [encoderAttention("longformer-global", { span: { kind: "window", size: 9, first: 6 } }), [1, 6, 7, 8, 15, 16, 40]],
  [encoderAttention("longformer-narrow", { span: { kind: "window", size: 1, first: 2 } }), [2, 3, 12]],
  [encoderAttention("window-both-ways", { span: { kind: "window", size: 6 } }), [1, 6, 7, 29]],
];

/** Mixers that look both ways, which no token can be decoded with. */
export const bothWaysModels: readonly ModelDescription[] = [
  mixerModel("linear-both-ways", { ...linear, causal: false }),
  mixerModel("performer-both-ways", { ...linear, causal: false, feature: { random: 10 }, gated: true }),
  mixerModel("linformer", {
    kind: "linformer",
    heads: 4,
    headDim: 8,
    length: 5,
    positions: 24,
    shared: false,
    bias: true,
  }),
  mixerModel("linformer-shared", {
    kind: "linformer",
    heads: 2,
    headDim: 8,
    length: 3,
    positions: 19,
    shared: true,
    bias: false,
  }),
  mixerModel("nystromformer", { kind: "nystrom", heads: 4, headDim: 8, landmarks: 4, convolution: 5 }),
  mixerModel("nystromformer-plain", { kind: "nystrom", heads: 2, headDim: 8, landmarks: 6, convolution: null }),
];

/** A model whose networks are all this one. */
function networkModel(name: string, ffn: Ffn): ModelDescription {
  const model = smallModel({ ...small, name });
  const stacks = model.stacks.map((stack) => ({
    ...stack,
    layers: stack.layers.map((layer) => ({ ...layer, ffns: [ffn] })),
  }));
  return { ...model, stacks };
}

function expertsModel(name: string, ffn: Partial<MoeFfn>): ModelDescription {
  return networkModel(name, {
    kind: "moe",
    experts: 6,
    chosen: 2,
    width: 12,
    gated: true,
    activation: "silu",
    bias: false,
    routerBias: false,
    ...ffn,
  });
}

/** Layers whose feed-forward part is chosen token by token. */
export const expertsModels: readonly ModelDescription[] = [
  expertsModel("moe", {}),
  expertsModel("moe-biased", { bias: true, routerBias: true, chosen: 1 }),
  expertsModel("moe-plain", { gated: false, activation: "relu2", chosen: 6 }),
  expertsModel("moe-shared", { shared: { width: 20, gate: true }, activation: "gelu-tanh" }),
  expertsModel("moe-idle", { idle: 5, chosen: 3 }),
  expertsModel("moe-gpt-oss", { bias: true, routerBias: true, clamp: { limit: 0.4, slope: 1.702, shift: 1 } }),
  expertsModel("moe-clamped", {
    clamp: { limit: 0.3, slope: 1, shift: 0 },
    shared: { width: 20, gate: false, clamp: { limit: 0.2, slope: 1, shift: 0 } },
  }),
  networkModel("clamped", {
    kind: "dense",
    width: 24,
    gated: true,
    activation: "silu",
    bias: true,
    clamp: { limit: 0.3, slope: 1.702, shift: 1 },
  }),
  expertsModel("moe-sigmoid", { router: { scores: "sigmoid", normalised: true, scale: 2.5 } }),
  expertsModel("moe-sqrtsoftplus", { router: { scores: "sqrtsoftplus", normalised: true, scale: 1.5 }, idle: 2 }),
  expertsModel("moe-of-all", { router: { scores: "softmax", normalised: false, scale: 16 }, chosen: 3 }),
  expertsModel("moe-scaled", { router: { scores: "softmax", normalised: true, scale: 3 } }),
  expertsModel("moe-latent-normed", { latentWidth: 16, latentNorm: true }),
  expertsModel("moe-latent", { latentWidth: 16, shared: { width: 10, gate: false } }),
];
