import type { RelativeAttention } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { strideOf, unpooled } from "../pooled-stacks.js";
import type { Around } from "./around.js";
import { type BlockedAttention, type Piece, addPiece, queriesPerBlock } from "./blocked-attention.js";
import { evenBlocks } from "./even-blocks.js";

/** Base of the sinusoids' wavelengths (arXiv:1706.03762). */
const base = 10_000;

/**
 * Attention with the relative positions of Transformer-XL, looking both ways (XLNet, arXiv:1906.08237; Funnel, whose
 * queries may be means of neighbours): scores of
 * queries with one bias against keys, with another against projected sinusoids of the distance, in blocks of queries.
 * A text of one segment gives every key of a query the same segment score, which the softmax takes out again.
 *
 * @returns the projected mixture, [b, n, hidden]
 */
export function addRelativeAttention(
  e: Emitter,
  input: string,
  { heads, headDim, pooling }: RelativeAttention,
  { hidden, naive }: Around,
): string {
  const { builder } = e.scope;
  const scale = headDim ** -0.5;
  const width = heads * headDim;
  const attention: BlockedAttention = {
    heads,
    kvHeads: heads,
    keyDim: headDim,
    valueDim: headDim,
    span: { kind: "full" },
    causal: false,
    scale,
    softcap: null,
    sinks: null,
    naive,
  };
  const [query = "", key = "", value = ""] =
    pooling === 1
      ? e.split(e.linears(["query", "key", "value"], input), [width, width, width])
      : [e.linear("query", input), ...e.split(e.linears(["key", "value"], unpooled(e)), [width, width])];
  const apart = (side: string): string => e.transpose(e.reshape(side, [0, 0, heads, headDim]), [0, 2, 1, 3]);
  const biased = (bias: string): string => e.add(apart(query), e.reshape(e.weight(bias), [heads, 1, headDim]));
  const [keys, values] = [apart(key), apart(value)];
  const n = e.length(input, 1);
  const all = e.length(keys, 2);
  // Neighbouring queries are so many keys apart.
  const apiece = builder.integers([pooling]);
  const most = naive ? n : builder.integers([queriesPerBlock({ kind: "full" })]);
  const { blocks, rows, padded } = evenBlocks(e, n, most);
  const fill = (side: string): string => e.node("Pad", [side, e.list([0, 0, 0, 0, 0, 0, e.subtract(padded, n), 0])]);
  const byContent = fill(biased("content_bias"));
  const byPosition = fill(biased("position_bias"));
  // Some distances more than there are, so that a single token has a row to read on from.
  const farthest = e.multiply(e.subtract(padded, builder.integers([1])), apiece);
  const count = e.add(e.multiply(padded, apiece), all);
  const distances = sinusoids(e, hidden, { farthest, count, pooling });
  // [1, heads, padded·pooling + keys, headDim], from the farthest query before a key to the farthest after it, backwards.
  const places = e.transpose(e.reshape(e.linear("positions", distances), [1, -1, heads, headDim]), [0, 2, 1, 3]);
  const [stacked = ""] = e.loop(e.alone(blocks), [], (index) => {
    const start = e.multiply(e.reshape(index, [1]), rows);
    const stop = e.add(start, rows);
    const part = (side: string): string => e.node("Slice", [side, start, stop, builder.integers([2])]);
    // Distances of the block, query − key: from its last query and the first key down to its first and the last.
    const from = e.multiply(e.subtract(padded, stop), apiece);
    const length = e.add(all, e.multiply(rows, apiece));
    const near = e.node("Slice", [places, from, e.add(from, length), builder.integers([2])]);
    const scores = e.transposedProduct(part(byPosition), near, scale);
    const piece: Piece = {
      query: e.node("Unsqueeze", [part(byContent), builder.integers([2])]),
      keys,
      values,
      rows,
      columns: all,
      mask: shifted(e, scores, { heads, rows, length, all, apiece }),
    };
    return { carried: [], stacked: [{ value: addPiece(e, piece, attention), rank: 5 }] };
  });
  // [blocks, b, heads, 1, rows, dim] → [b, blocks·rows, heads·dim]
  const inOrder = e.reshape(e.transpose(stacked, [1, 0, 4, 2, 3, 5]), [0, padded, width]);
  return e.linear("output", e.slice(inOrder, 1, 0, n));
}

interface Distances {
  /** The first of them, in tokens of the keys, and how many there are: int64 [1]. */
  readonly farthest: string;
  readonly count: string;
  readonly pooling: number;
}

/** Sines, then cosines, of distances from the farthest down one by one, [count, hidden]. */
function sinusoids(e: Emitter, hidden: number, { farthest, count, pooling }: Distances): string {
  const { builder } = e.scope;
  // Keys of a pooling layer stand as close as those of the layers before it.
  const stride = strideOf(e) / pooling;
  const name = `sinusoids.${hidden}.${stride}.${pooling}`;
  const known = e.scope.left.get(name);
  if (known !== undefined) return known;
  const down = e.node("Range", [e.alone(farthest), e.alone(e.subtract(farthest, count)), builder.integer(-1)]);
  const pairs = e.node("Range", [builder.scalar(0), builder.scalar(hidden / 2), builder.scalar(1)]);
  const rates = e.node("Exp", [e.scale(pairs, (-2 * Math.log(base)) / hidden)]);
  const angles = e.multiply(e.scale(e.reshape(e.toFloat(down), [-1, 1]), stride), rates);
  const both = e.concat([e.node("Sin", [angles]), e.node("Cos", [angles])], 1);
  e.scope.left.set(name, both);
  return both;
}

interface Sizes {
  readonly heads: number;
  readonly rows: string;
  /** Distances of the block: keys + rows·pooling. */
  readonly length: string;
  /** Keys. */
  readonly all: string;
  /** Keys from one query to the next, int64 [1]. */
  readonly apiece: string;
}

/** From scores by distance, [b, heads, rows, length], to scores by key, [b, heads, 1, rows, keys]: row i begins (rows − 1 − i)·pooling in. */
function shifted(e: Emitter, scores: string, { heads, rows, length, all, apiece }: Sizes): string {
  const one = e.scope.builder.integers([1]);
  const less = e.subtract(length, apiece);
  const start = e.multiply(e.subtract(rows, one), apiece);
  const flat = e.node("Slice", [
    e.reshape(scores, [0, heads, -1]),
    start,
    e.add(start, e.multiply(rows, less)),
    e.scope.builder.integers([2]),
  ]);
  // Reading rows of fewer elements moves each of them back against the row before.
  return e.slice(e.reshape(flat, [0, heads, 1, rows, less]), 4, 0, all);
}
