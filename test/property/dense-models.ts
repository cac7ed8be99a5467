import fc from "fast-check";
import type { Attention, DenseFfn, Layer, ModelDescription, Span } from "../../src/model/types.js";

/** Small dense decoders of every shape the types allow, for properties that must hold for all of them. */
export const denseModels: fc.Arbitrary<ModelDescription> = fc
  .record({
    layers: fc.integer({ min: 1, max: 3 }),
    hidden: fc.constantFrom(8, 12, 20),
    kvHeads: fc.constantFrom(1, 2, 3),
    group: fc.constantFrom(1, 2, 4),
    keyDim: fc.constantFrom(2, 4, 6),
    width: fc.constantFrom(8, 30),
    gated: fc.boolean(),
    bias: fc.boolean(),
    tied: fc.boolean(),
    vocabulary: fc.constantFrom(11, 40),
    queryKeyNorm: fc.constantFrom("none" as const, "per-head" as const, "per-layer" as const),
    normPlacement: fc.constantFrom(
      "pre" as const,
      "post-branch" as const,
      "sandwich" as const,
      "post-residual" as const,
    ),
    span: fc.constantFrom<Span>(
      { kind: "full" },
      { kind: "window", size: 1 },
      { kind: "window", size: 5 },
      { kind: "chunk", size: 4 },
    ),
  })
  .map((shape) => {
    const bias = { query: shape.bias, key: shape.bias, value: shape.bias, output: shape.bias };
    const attention: Attention = {
      kind: "attention",
      heads: shape.kvHeads * shape.group,
      kvHeads: shape.kvHeads,
      keyDim: shape.keyDim,
      valueDim: shape.keyDim,
      bias,
      queryKeyNorm: shape.queryKeyNorm,
      rotary: { dims: shape.keyDim, theta: 10_000, interleaved: false },
      span: shape.span,
      causal: true,
      scale: 1 / Math.sqrt(shape.keyDim),
      softcap: null,
    };
    const ffn: DenseFfn = {
      kind: "dense",
      width: shape.width,
      gated: shape.gated,
      activation: "silu",
      bias: shape.bias,
    };
    const norm = { kind: "rms" as const, bias: false, epsilon: 1e-6, offset: false };
    const layer: Layer = { mixers: [attention], ffns: [ffn], norm, normPlacement: shape.normPlacement };
    return {
      name: "random",
      modelType: "test",
      source: "test",
      hiddenSize: shape.hidden,
      vocabularySize: shape.vocabulary,
      contextLength: null,
      embedding: { rows: shape.vocabulary, width: shape.hidden, scale: null },
      head: { kind: "lm" as const, tied: shape.tied, bias: false, softcap: null },
      stacks: [
        { kind: "decoder" as const, layers: Array.from({ length: shape.layers }, () => layer), finalNorm: norm },
      ],
      dtypes: { weights: "float32" as const, kv: "float16" as const, activations: "float32" as const },
      filled: [],
      notes: [],
    };
  });
