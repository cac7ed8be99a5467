import { affine } from "../../math/affine.js";
import { Expression, b, c, n } from "../../math/expression.js";
import type { Attention, Dtypes } from "../../model/types.js";
import type { BlockBuilder } from "../block-builder.js";
import type { AttentionShape, GraphOptions } from "../types.js";

/** Everything that must be cached: c earlier tokens and the n new ones. */
const total = Expression.affine(affine({ c: 1, n: 1 }));

/**
 * Softmax attention with its projections: queries, keys and values from `input`, [b, n, hidden], to the projected
 * mixture, [b, n, hidden]. `epsilon` is that of the norms of queries and keys.
 *
 * @returns name of the output value
 */
export function addAttention(
  block: BlockBuilder,
  prefix: string,
  input: string,
  mixer: Attention,
  hidden: number,
  dtypes: Dtypes,
  options: { readonly implementation: GraphOptions["attention"]; readonly epsilon: number },
): string {
  const { heads, kvHeads, keyDim, valueDim } = mixer;
  const activations = dtypes.activations;
  const project = (side: "query" | "key" | "value" | "output", from: string, fromWidth: number, width: number): string =>
    block.add({
      kind: "linear",
      name: `${prefix}.${side}_projection`,
      part: "projection",
      input: from,
      weight: block.weight(`${prefix}.${side}.weight`, [width, fromWidth], dtypes.weights, "matrix"),
      bias: mixer.bias[side] ? block.weight(`${prefix}.${side}.bias`, [width], dtypes.weights, "bias") : null,
      output: block.value(`${prefix}.${side}`, [b, n, Expression.constant(width)], activations),
    });
  let query = project("query", input, hidden, heads * keyDim);
  let key = project("key", input, hidden, kvHeads * keyDim);
  const value = project("value", input, hidden, kvHeads * valueDim);

  if (mixer.queryKeyNorm !== "none") {
    const normalise = (side: "query" | "key", from: string, count: number): string => {
      const width = mixer.queryKeyNorm === "per-head" ? keyDim : count * keyDim;
      return block.add({
        kind: "norm",
        name: `${prefix}.${side}_norm`,
        part: "norm",
        norm: "rms",
        input: from,
        weight: block.weight(`${prefix}.${side}_norm.weight`, [width], dtypes.weights, "one"),
        bias: null,
        epsilon: options.epsilon,
        width,
        output: block.value(`${prefix}.${side}_normed`, block.shapeOf(from), activations),
      });
    };
    query = normalise("query", query, heads);
    key = normalise("key", key, kvHeads);
  }

  const shape: AttentionShape = {
    heads,
    kvHeads,
    keyDim,
    valueDim,
    span: mixer.span,
    causal: mixer.causal,
    scale: mixer.scale,
    softcap: mixer.softcap,
  };
  const cache = block.cache(`${prefix}.cache`, {
    key: { shape: [b, Expression.constant(kvHeads), total, Expression.constant(keyDim)], dtype: dtypes.kv },
    value: { shape: [b, Expression.constant(kvHeads), total, Expression.constant(valueDim)], dtype: dtypes.kv },
  });
  const mixedShape = [b, n, Expression.constant(heads * valueDim)];
  const attended =
    options.implementation === "fused"
      ? block.add({
          kind: "attention",
          name: `${prefix}.attention`,
          part: "attention",
          query,
          key,
          value,
          cache,
          rotary: mixer.rotary,
          ...shape,
          output: block.value(`${prefix}.mixed`, mixedShape, activations),
        })
      : addNaive(block, prefix, { query, key, value, cache }, mixer, shape, dtypes, mixedShape);
  return project("output", attended, heads * valueDim, hidden);
}

interface AttentionInputs {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly cache: string;
}

function addNaive(
  block: BlockBuilder,
  prefix: string,
  inputs: AttentionInputs,
  mixer: Attention,
  shape: AttentionShape,
  dtypes: Dtypes,
  mixedShape: readonly Expression[],
): string {
  const { heads, kvHeads, keyDim, valueDim } = shape;
  const rotary = mixer.rotary;
  const rotate = (side: "query" | "key", count: number): string =>
    rotary === null
      ? inputs[side]
      : block.add({
          kind: "rotary",
          name: `${prefix}.${side}_rotary`,
          part: "attention",
          input: inputs[side],
          heads: count,
          headDim: keyDim,
          rotary,
          output: block.value(`${prefix}.${side}_rotated`, block.shapeOf(inputs[side]), dtypes.activations),
        });
  const append = (side: "key" | "value", from: string, dim: number): string =>
    block.add({
      kind: "append",
      name: `${prefix}.${side}_append`,
      part: "attention",
      input: from,
      cache: inputs.cache,
      side,
      kvHeads,
      dim,
      output: block.value(
        `${prefix}.all_${side}s`,
        [b, Expression.constant(kvHeads), total, Expression.constant(dim)],
        dtypes.activations,
      ),
    });
  const query = rotate("query", heads);
  const keys = append("key", rotate("key", kvHeads), keyDim);
  const values = append("value", inputs.value, valueDim);
  const scoresShape = [b, Expression.constant(heads), n, total];
  const scores = block.add({
    kind: "scores",
    name: `${prefix}.scores`,
    part: "attention",
    query,
    key: keys,
    ...shape,
    output: block.value(`${prefix}.scores`, scoresShape, dtypes.activations),
  });
  const weights = block.add({
    kind: "softmax",
    name: `${prefix}.softmax`,
    part: "attention",
    input: scores,
    output: block.value(`${prefix}.weights`, scoresShape, dtypes.activations),
  });
  return block.add({
    kind: "mix",
    name: `${prefix}.mix`,
    part: "attention",
    weights,
    value: values,
    ...shape,
    output: block.value(`${prefix}.mixed`, mixedShape, dtypes.activations),
  });
}
