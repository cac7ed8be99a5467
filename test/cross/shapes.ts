import type { Activation, Attention, Layer, ModelDescription, Norm } from "../../src/model/types.js";

/** The dimensions of a small decoder; everything else follows from them. */
export interface SmallShape {
  readonly name: string;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  readonly layers: number;
  readonly vocabulary: number;
}

interface Choices {
  readonly attention?: Partial<Attention>;
  readonly norm?: Partial<Norm>;
  readonly normPlacement?: Layer["normPlacement"];
  readonly arrangement?: "sequence" | "parallel" | "parallel-two-norms";
  readonly activation?: Activation;
  readonly gated?: boolean;
  readonly ffnBias?: boolean;
  readonly tied?: boolean;
  readonly headBias?: boolean;
  readonly headSoftcap?: number | null;
  readonly embeddingScale?: number | null;
  /** Changes to the attention of every second layer. */
  readonly secondLayer?: Partial<Attention>;
}

/** A decoder of that shape, llama-like but for the choices. */
export function smallModel(shape: SmallShape, choices: Choices = {}): ModelDescription {
  const { hidden, heads, kvHeads, headDim, ffn, layers, vocabulary } = shape;
  const norm: Norm = { kind: "rms", bias: false, epsilon: 1e-5, offset: false, ...choices.norm };
  const layer = (own: Partial<Attention>): Layer => ({
    mixers: [
      {
        kind: "attention",
        heads,
        kvHeads,
        keyDim: headDim,
        valueDim: headDim,
        bias: { query: false, key: false, value: false, output: false },
        queryKeyNorm: "none",
        rotary: { dims: headDim, theta: 10_000, interleaved: false },
        span: { kind: "full" },
        causal: true,
        scale: 1 / Math.sqrt(headDim),
        softcap: null,
        ...choices.attention,
        ...own,
      },
    ],
    ffns: [
      {
        kind: "dense",
        width: ffn,
        gated: choices.gated ?? true,
        activation: choices.activation ?? "silu",
        bias: choices.ffnBias ?? false,
      },
    ],
    norm,
    normPlacement: choices.normPlacement ?? "pre",
    arrangement: choices.arrangement ?? "sequence",
  });
  const first = layer({});
  const second = choices.secondLayer === undefined ? first : layer(choices.secondLayer);
  return {
    name: shape.name,
    modelType: shape.name,
    source: "test",
    hiddenSize: hidden,
    vocabularySize: vocabulary,
    contextLength: null,
    embedding: { rows: vocabulary, width: hidden, scale: choices.embeddingScale ?? null },
    head: {
      kind: "lm",
      tied: choices.tied ?? false,
      bias: choices.headBias ?? false,
      softcap: choices.headSoftcap ?? null,
    },
    stacks: [
      {
        kind: "decoder",
        layers: Array.from({ length: layers }, (_, index) => (index % 2 === 0 ? first : second)),
        finalNorm: norm,
      },
    ],
    dtypes: { weights: "float32", kv: "float32", activations: "float32" },
    filled: [],
    notes: [],
  };
}

const small = { hidden: 32, heads: 4, kvHeads: 2, headDim: 8, ffn: 48, layers: 2, vocabulary: 50 };
const biased = { query: true, key: true, value: true, output: false };

/** One small model for each thing that a dense decoder may do differently. */
export const smallModels: readonly ModelDescription[] = [
  smallModel({ ...small, name: "llama" }),
  smallModel({ ...small, name: "llama-tied", heads: 6, kvHeads: 2, headDim: 16, layers: 3 }, { tied: true }),
  smallModel({ ...small, name: "multi-head", kvHeads: 4 }),
  smallModel({ ...small, name: "multi-query", kvHeads: 1, headDim: 24, hidden: 40 }),
  smallModel({ ...small, name: "qwen2" }, { attention: { bias: biased }, tied: true }),
  smallModel({ ...small, name: "qwen3", headDim: 16 }, { attention: { queryKeyNorm: "per-head" } }),
  smallModel({ ...small, name: "olmo2" }, { attention: { queryKeyNorm: "per-layer" }, normPlacement: "post-branch" }),
  smallModel(
    { ...small, name: "gemma", headDim: 16 },
    { norm: { offset: true }, activation: "gelu-tanh", embeddingScale: Math.sqrt(32), tied: true },
  ),
  smallModel(
    { ...small, name: "gemma2", headDim: 16 },
    {
      norm: { offset: true },
      activation: "gelu-tanh",
      embeddingScale: Math.sqrt(32),
      tied: true,
      normPlacement: "sandwich",
      attention: { softcap: 5, span: { kind: "window", size: 4 }, scale: 0.3 },
      secondLayer: { span: { kind: "full" } },
      headSoftcap: 3,
    },
  ),
  smallModel({ ...small, name: "mistral" }, { attention: { span: { kind: "window", size: 5 } } }),
  smallModel({ ...small, name: "smollm3", headDim: 16 }, { secondLayer: { rotary: null } }),
  smallModel(
    { ...small, name: "phi3-partial", headDim: 32 },
    { attention: { rotary: { dims: 16, theta: 10_000, interleaved: false } } },
  ),
  smallModel(
    { ...small, name: "stablelm-partial", headDim: 16 },
    { attention: { rotary: { dims: 4, theta: 10_000, interleaved: false } } },
  ),
  smallModel(
    { ...small, name: "falcon-40b" },
    { arrangement: "parallel-two-norms", norm: { kind: "layer", bias: true } },
  ),
  smallModel(
    { ...small, name: "glm-interleaved", headDim: 16 },
    { attention: { rotary: { dims: 16, theta: 10_000, interleaved: true } } },
  ),
  smallModel(
    { ...small, name: "layer-norm" },
    {
      norm: { kind: "layer", bias: true },
      activation: "gelu",
      gated: false,
      ffnBias: true,
      headBias: true,
      attention: { bias: { query: true, key: false, value: true, output: true } },
    },
  ),
  smallModel(
    { ...small, name: "cohere" },
    {
      norm: { kind: "layer" },
      arrangement: "parallel",
      attention: { queryKeyNorm: "per-head", queryKeyLayerNorm: { bias: false } },
    },
  ),
  smallModel(
    { ...small, name: "post-residual" },
    { normPlacement: "post-residual", activation: "relu2", gated: false },
  ),
];
