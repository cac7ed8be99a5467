import type { ModelBuilder } from "./builder.js";
import { addSoftcap } from "./elementwise.js";
import { addGroupQueryAttention, type GroupQuery, type Rows, type Sides } from "./group-query.js";
import { masked } from "./masked.js";
import { addTransposedProduct } from "./product.js";
import { type AttributeValue, int, type OnnxValue } from "./proto.js";
import { addTurned } from "./rotary-embedding.js";
import { inputNames } from "./scope.js";

export interface CachedAttention extends GroupQuery {
  /** Size of a head's keys and of its values. */
  readonly dim: number;
}

/**
 * Causal attention of n new tokens to themselves and to c earlier ones. Several tokens go through ONNX Runtime's
 * GroupQueryAttention, which holds no n × n scores; it copies the cache into new memory and reads it once per head. One token meets
 * the cache where it is, all heads of a group in one product: nothing is copied, and decode takes a fraction of the time.
 *
 * `past` may have room for more tokens than the c it holds: [b, kvHeads, room, dim]; what lies beyond must be finite.
 *
 * @param name prefix of the names of what is made
 * @param fresh names for the keys and values of the new tokens, [b, kvHeads, n, dim], which the caller keeps
 * @returns the mixture, [b, n, heads·dim]
 */
export function addCachedAttention(
  builder: ModelBuilder,
  name: string,
  rows: Rows,
  { past, fresh }: { readonly past: Sides; readonly fresh: Sides },
  attention: CachedAttention,
): string {
  const count = builder.node(`${name}.tokens`, "Shape", [rows[0]], { attributes: { start: int(1), end: int(2) } });
  const single = meetsCache(builder, name, count, past.key);
  const branch = (which: string, make: (prefix: string) => Rows): AttributeValue => ({
    kind: "graph",
    value: builder.body(`${name}.${which}`, [], () =>
      make(`${name}.${which}`).map((value, index) => anyShape(value, index === 0 ? 3 : 4)),
    ),
  });
  builder.nodeWithOutputs(name, "If", [single], [name, fresh.key, fresh.value], {
    attributes: {
      then_branch: branch("one", (prefix) => addDirect(builder, prefix, rows, past, attention)),
      else_branch: branch("many", (prefix) => addGrouped(builder, prefix, rows, past, attention)),
    },
  });
  return name;
}

/** Whether there is one token, which meets what is cached: bool [1]. A product over no key at all ends the process on WebGPU. */
function meetsCache(builder: ModelBuilder, name: string, count: string, keys: string): string {
  const one = builder.integers([1]);
  let meeting = count;
  if (builder.provider === "webgpu") {
    // In whole numbers, which stay on the processor: an And would be fetched back from the GPU.
    const room = builder.node(`${name}.held`, "Shape", [keys], { attributes: { start: int(2), end: int(3) } });
    meeting = builder.node(`${name}.meeting`, "Mul", [count, builder.node(`${name}.any`, "Min", [room, one])]);
  }
  return builder.node(`${name}.single`, "Equal", [meeting, one]);
}

function addGrouped(builder: ModelBuilder, name: string, rows: Rows, past: Sides, attention: CachedAttention): Rows {
  const all = { key: `${name}.keys`, value: `${name}.values` };
  const mixed = addGroupQueryAttention(builder, `${name}.mixed`, rows, { past, present: all }, attention);
  const depth = builder.input(inputNames.depth, "int64", [1]);
  const count = builder.node(`${name}.count`, "Shape", [mixed], { attributes: { start: int(1), end: int(2) } });
  const end = builder.node(`${name}.end`, "Add", [depth, count]);
  const added = (side: keyof Sides): string =>
    builder.node(`${name}.new_${side}`, "Slice", [all[side], depth, end, builder.integers([2])]);
  return [mixed, added("key"), added("value")];
}

function addDirect(builder: ModelBuilder, name: string, rows: Rows, past: Sides, attention: CachedAttention): Rows {
  const { heads, kvHeads, dim, scale, softcap, sinks } = attention;
  const group = heads / kvHeads;
  const node = (what: string, op: string, inputs: readonly string[], attributes = {}): string =>
    builder.node(`${name}.${what}`, op, inputs, { attributes });
  const [query, key, value] = turnedRows(builder, name, rows, attention).map((from, index) =>
    node(`row_${index}`, "Reshape", [from, builder.integers([0, kvHeads, index === 0 ? group : 1, dim])]),
  ) as [string, string, string];
  const scores = (what: string, keys: string): string => {
    const product = addTransposedProduct(builder, `${name}.${what}`, [query, keys], {
      factor: scale,
      rank: 4,
      few: true,
    });
    return softcap === null ? product : addSoftcap(builder, product, softcap, `${product}.capped`);
  };
  const room = node("room", "Shape", [past.key], { start: int(2), end: int(3) });
  const depth = builder.input(inputNames.depth, "int64", [1]);
  const places = node("places", "Range", [builder.integer(0), node("end", "Squeeze", [room]), builder.integer(1)]);
  const held = node("held", "Less", [places, depth]);
  const earlier = node("earlier", "Where", [held, scores("scores", past.key), builder.scalar(masked)]);
  const columns = [earlier, scores("own_score", key)];
  if (sinks !== null) {
    const batch = node("batch", "Shape", [query], { start: int(0), end: int(1) });
    const shape = node("sink_shape", "Concat", [batch, builder.integers([kvHeads, group, 1])], { axis: int(0) });
    const own = node("sink_rows", "Reshape", [sinks, builder.integers([1, kvHeads, group, 1])]);
    columns.push(node("sinks", "Expand", [own, shape]));
  }
  const weights = node("weights", "Softmax", [node("columns", "Concat", columns, { axis: int(3) })], { axis: int(-1) });
  const after = node("after", "Add", [room, builder.integers([1])]);
  const part = (what: string, from: string, to: string): string =>
    node(what, "Slice", [weights, from, to, builder.integers([3])]);
  const mixed = node("mixed_earlier", "MatMul", [part("weights_earlier", builder.integers([0]), room), past.value]);
  const own = node("mixed_own", "Mul", [part("weight_own", room, after), value]);
  const both = node("mixed_both", "Add", [mixed, own]);
  return [node("mixed", "Reshape", [both, builder.integers([0, 1, heads * dim])]), key, value];
}

/** Apart where they stand side by side, and turned where that is yet to be done: [b, 1, heads·dim] each. */
function turnedRows(
  builder: ModelBuilder,
  name: string,
  [first, ...others]: Rows,
  { heads, kvHeads, dim, rotary }: CachedAttention,
): [string, string, string] {
  let [query, key, value] = [first, ...others];
  if (key === "") {
    [query, key, value] = ["query", "key", "value"].map((side) => `${name}.${side}`) as [string, string, string];
    const sizes = builder.integers([heads, kvHeads, kvHeads].map((count) => count * dim));
    const attributes = { axis: int(-1) };
    builder.nodeWithOutputs(`${name}.split`, "Split", [first, sizes], [query, key, value], { attributes });
  }
  if (rotary === null) return [query, key, value];
  const turn = (from: string, side: string, count: number): string =>
    addTurned(builder, from, `${name}.turned_${side}`, { ...rotary, heads: count, headDim: dim });
  return [turn(query, "query", heads), turn(key, "key", kvHeads), value];
}

function anyShape(name: string, rank: number): OnnxValue {
  return { name, type: "float32", shape: Array.from({ length: rank }, (_, index) => `${name}.${index}`) };
}
