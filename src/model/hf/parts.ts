import type {
  Attention,
  Biases,
  Clamp,
  DenseFfn,
  Embedding,
  Extras,
  Head,
  Layer,
  MoeFfn,
  Norm,
  Rotary,
  Span,
} from "../types.js";
import { flag, oneOf, real, size, sizeOrZero, text, tokenCount } from "./checks.js";
import type { ConfigReader, Key } from "./config-reader.js";
import {
  full,
  readActivation,
  readContextLength,
  readDtypes,
  readHead,
  readHeads,
  readRotary,
  shareEqual,
} from "./decoder.js";
import { lookingBothWays } from "./halves.js";
import type { ReaderResult } from "./reader.js";

/** Building stones of the families' readers: small, each asks the config for the keys it names. */

export const noBias: Biases = { query: false, key: false, value: false, output: false };
export const allBias: Biases = { query: true, key: true, value: true, output: true };
export const inputBias: Biases = { query: true, key: true, value: true, output: false };

export function biasOf(all: boolean): Biases {
  return all ? allBias : noBias;
}

export function rmsNorm(config: ConfigReader, key: Key = ["rms_norm_eps", "norm_eps", "layer_norm_epsilon"]): Norm {
  return { kind: "rms", bias: false, epsilon: config.real(key), offset: false };
}

export function layerNorm(
  config: ConfigReader,
  bias = true,
  key: Key = ["layer_norm_epsilon", "layer_norm_eps", "norm_eps", "layer_norm_eps"],
): Norm {
  return { kind: "layer", bias, epsilon: config.real(key), offset: false };
}

/** Norms without weights (OLMo 1, nanochat). */
export function plainNorm(kind: Norm["kind"] = "rms"): Norm {
  return { kind, bias: false, epsilon: 1e-5, offset: false, plain: true };
}

type AttentionSizes = Pick<Attention, "heads" | "kvHeads"> & { readonly headDim: number };

/** Causal softmax attention with what most families share; `more` says what is different. */
export function softmax(sizes: AttentionSizes, rotary: Rotary | null, more: Partial<Attention> = {}): Attention {
  const { heads, kvHeads, headDim } = sizes;
  return {
    kind: "attention",
    heads,
    kvHeads,
    keyDim: headDim,
    valueDim: headDim,
    bias: noBias,
    queryKeyNorm: "none",
    rotary,
    span: full,
    causal: true,
    scale: headDim ** -0.5,
    softcap: null,
    ...more,
  };
}

/** Gated SiLU-like network of `intermediate_size`, unless told otherwise. */
export function dense(
  config: ConfigReader,
  more: {
    readonly width?: number;
    readonly gated?: boolean;
    readonly bias?: boolean;
    readonly act?: Key;
    readonly activation?: DenseFfn["activation"];
    readonly clamp?: Clamp;
  } = {},
): DenseFfn {
  return {
    kind: "dense",
    width: more.width ?? config.size("intermediate_size"),
    gated: more.gated ?? true,
    activation: more.activation ?? readActivation(config, more.act ?? ["hidden_act", "hidden_activation"]),
    bias: more.bias ?? false,
    ...(more.clamp === undefined ? {} : { clamp: more.clamp }),
  };
}

const expertKeys: Key = ["num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"];
const chosenKeys: Key = [
  "num_experts_per_tok",
  "num_experts_per_token",
  "moe_topk",
  "moe_k",
  "top_k_experts",
  "moe_top_k",
];
/** Families whose classes have no width of their own for experts: those are as wide as intermediate_size says. */
const plainWidth = new Set([
  "arctic",
  "flex_olmo",
  "gpt_oss",
  "granitemoe",
  "granitemoehybrid",
  "granitemoeshared",
  "grok-1",
  "hunyuan",
  "hunyuan_v1_moe",
  "jamba",
  "jetmoe",
  "minicpm",
  "minimax",
  "minimax_m1",
  "minimax_m2",
  "minimax_text_01",
  "mixtral",
  "olmoe",
  "openai_privacy_filter",
  "phimoe",
]);

/** Width of one expert; where neither file nor class has it, intermediate_size, which is reported. */
function expertWidth(config: ConfigReader): number {
  const own: Key = ["moe_intermediate_size", "expert_ffn_hidden_size"];
  if (plainWidth.has(config.family) && !config.has(own)) return config.size("intermediate_size");
  return config.derived(own, size, "intermediate_size", () => config.size("intermediate_size"));
}

/** Mixture of experts with the names that most families use. */
export function moe(
  config: ConfigReader,
  more: Partial<Omit<MoeFfn, "kind">> & {
    readonly sharedWidth?: number;
    readonly sharedGate?: boolean;
    readonly sharedClamp?: Clamp | undefined;
  } = {},
): MoeFfn {
  const { sharedWidth: wide = 0, sharedGate, sharedClamp, ...given } = more;
  const experts = given.experts ?? config.size(expertKeys);
  const chosen = given.chosen ?? config.derived(chosenKeys, size, "assumed: the class names none", () => 1);
  if (chosen > experts) throw config.bad(chosenKeys, chosen, `expected at most the number of experts (${experts})`);
  return {
    kind: "moe",
    width: given.width ?? expertWidth(config),
    gated: true,
    activation: given.activation ?? readActivation(config, ["hidden_act", "hidden_activation"]),
    bias: false,
    routerBias: false,
    ...routerOf(config),
    ...given,
    experts,
    chosen,
    ...(wide === 0
      ? {}
      : {
          shared: {
            width: wide,
            gate: sharedGate ?? false,
            ...(sharedClamp === undefined ? {} : { clamp: sharedClamp }),
          },
        }),
  };
}

/** Families whose code takes the sigmoid, whatever the file says. */
const sigmoidFamilies = new Set(["deepseek_v3", "deepseek_v32", "dots1", "glm4_moe", "kimi_linear"]);

/** What files and classes of DeepSeek's kin say of how scores become weights. */
function routerOf(config: ConfigReader): Pick<MoeFfn, "router"> {
  const own = sigmoidFamilies.has(config.family) ? "sigmoid" : null;
  const named = own ?? config.peek("scoring_func", text);
  const scores = named === "sigmoid" || named === "sqrtsoftplus" ? named : "softmax";
  const normalised = config.peek("norm_topk_prob", flag) ?? true;
  const scale = config.peek("routed_scaling_factor", real) ?? 1;
  return scores === "softmax" && normalised && scale === 1 ? {} : { router: { scores, normalised, scale } };
}

/** Width of DeepSeek-style shared experts: their number times the width of one. */
export function sharedWidth(config: ConfigReader, countKey: Key = ["n_shared_experts", "num_shared_experts"]): number {
  const count = config.optional(countKey, sizeOrZero) ?? 0;
  return count === 0 ? 0 : count * expertWidth(config);
}

/** Which layers are sparse: `mlp_layer_types`, or all from `first_k_dense_replace` on. */
export function sparseLayers(config: ConfigReader, layers: number, firstSparse: () => number): boolean[] {
  const types = config.perLayer("mlp_layer_types", oneOf(["dense", "sparse"]), layers);
  if (types !== null) return types.map((type) => type === "sparse");
  const first = firstSparse();
  return Array.from({ length: layers }, (_, layer) => layer >= first);
}

export function firstDense(config: ConfigReader): number {
  return config.optional("first_k_dense_replace", sizeOrZero) ?? 0;
}

const spanNames = [
  "full_attention",
  "sliding_attention",
  "chunked_attention",
  "linear_attention",
  "attention",
] as const;
type SpanName = (typeof spanNames)[number];

/** The span of each layer from `layer_types`, or from `fallback` where the file has none. */
export function spans(
  config: ConfigReader,
  layers: number,
  fallback: (layer: number) => SpanName,
  keys: { readonly window?: Key; readonly chunk?: Key } = {},
): Span[] {
  const types =
    config.perLayer("layer_types", oneOf(spanNames), layers) ?? Array.from({ length: layers }, (_, i) => fallback(i));
  const sized = (kind: "window" | "chunk", key: Key): Span => ({ kind, size: config.read(key, tokenCount) });
  return types.map((type) => {
    if (type === "sliding_attention") return sized("window", keys.window ?? "sliding_window");
    if (type === "chunked_attention") return sized("chunk", keys.chunk ?? "attention_chunk_size");
    return full;
  });
}

/** Every `period`-th layer is full, the others slide. */
export function everyFull(period: number): (layer: number) => SpanName {
  return (layer) => ((layer + 1) % period === 0 ? "full_attention" : "sliding_attention");
}

export interface DecoderParts {
  readonly layers: readonly Layer[];
  readonly finalNorm: Norm | null;
  readonly embedding?: Partial<Embedding>;
  readonly head?: Partial<Head>;
  readonly extras?: Extras;
  readonly hiddenSize?: number;
  readonly contextLength?: number | null;
}

/**
 * A decoder-only model of these layers, with the embedding and the head that nearly all have. Files of embedding models
 * made of one say that it looks both ways: an encoder.
 */
export function decoder(config: ConfigReader, parts: DecoderParts): ReaderResult {
  const result = causalDecoder(config, parts);
  const both = config.raw("use_bidirectional_attention");
  return config.raw("is_causal") === false || both === true || both === "all" ? lookingBothWays(result) : result;
}

function causalDecoder(config: ConfigReader, parts: DecoderParts): ReaderResult {
  const hiddenSize = parts.hiddenSize ?? config.size("hidden_size");
  const vocabularySize = config.read("vocab_size", tokenCount);
  return {
    hiddenSize,
    vocabularySize,
    contextLength: parts.contextLength === undefined ? readContextLength(config) : parts.contextLength,
    embedding: { rows: vocabularySize, width: hiddenSize, scale: null, ...parts.embedding },
    head: { ...readHead(config), ...parts.head },
    ...(parts.extras === undefined ? {} : { extras: parts.extras }),
    stacks: [{ kind: "decoder", layers: shareEqual(parts.layers), finalNorm: parts.finalNorm }],
    dtypes: readDtypes(config),
  };
}

/** Sizes of attention and its rotary embedding, as most families name them. */
export function attentionSizes(
  config: ConfigReader,
  rounding: "exact" | "down" = "exact",
): { readonly sizes: AttentionSizes; readonly rotary: Rotary } {
  const sizes = readHeads(config, config.size("hidden_size"), rounding);
  return { sizes, rotary: readRotary(config, sizes.headDim) };
}

export function listLayers(count: number, layer: (index: number) => Layer): Layer[] {
  return Array.from({ length: count }, (_, index) => layer(index));
}

/** Equal layers of full attention and a plain network, biases everywhere: those of towers for text, images and sound. */
export function plainLayers(
  count: number,
  parts: {
    readonly hidden: number;
    readonly heads: number;
    readonly width: number;
    readonly norm: Norm;
    readonly causal: boolean;
    readonly placement?: Layer["normPlacement"];
  },
): readonly Layer[] {
  const { hidden, heads, width, norm, causal } = parts;
  const layer: Layer = {
    mixers: [softmax({ heads, kvHeads: heads, headDim: hidden / heads }, null, { causal, bias: allBias })],
    ffns: [{ kind: "dense", width, gated: false, activation: "gelu", bias: true }],
    norm,
    normPlacement: parts.placement ?? "pre",
  };
  return listLayers(count, () => layer);
}

/** A flag that is on unless the file says otherwise. */
export function flagOr(config: ConfigReader, key: Key, otherwise: boolean): boolean {
  return config.optional(key, flag) ?? otherwise;
}
