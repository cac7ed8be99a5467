import type { Attention } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { lookUpPositions } from "../embed.js";
import { masked } from "../masked.js";
import { elementTypes, int } from "../proto.js";
import { evenBlocks } from "./even-blocks.js";
import { bucketStarts } from "./relative-positions.js";

/*
 * Decoders that predict several tokens ahead (ProphetNet, arXiv:2001.04063): beside the tokens pass as many predicting
 * streams, one behind the other along the sequence, [b, (1 + streams)·n, hidden]. Parts that work token by token see no
 * difference; attention of stream s meets the tokens' keys but the last s, and one key of its own.
 */

const streamsName = "predicting";

/** Queries of a block at most. */
const largestBlock = 128;

/** The embedded tokens with their positions, and each predicting stream: its own vector with the position after. */
export function openPredicting(e: Emitter, tokens: string): string {
  const { scope } = e;
  const [count = 1, width = 1] = scope.weight("extra.stream_embeddings").weight.shape;
  scope.left.set(streamsName, String(count));
  const placed = e.add(tokens, lookUpPositions(e.fresh("positions"), tokens, "extra.positions", scope));
  const ahead = lookUpPositions(e.fresh("positions"), tokens, "extra.positions", scope, 1);
  const rows = e.nodes("Split", [e.weight("stream_embeddings")], count, { axis: int(0), num_outputs: int(count) });
  const shape = [e.length(tokens, 0), e.length(tokens, 1), width];
  // The reference begins with the last vector.
  const streams = Array.from({ length: count }, (_, stream) =>
    e.expand(e.add(ahead, rows[(stream + count - 1) % count] ?? ""), shape),
  );
  return e.concat([placed, ...streams], 1);
}

/** What leaves the layers: the first stream where one token is to be chosen, else all of them, token by token. */
export function closePredicting(e: Emitter, stream: string, first: boolean): string {
  const { left } = e.scope;
  const count = Number(left.get(streamsName) ?? 0);
  if (count === 0) return stream;
  left.delete(streamsName);
  const tokens = tokensOf(e, stream, count);
  if (first) return e.slice(stream, 1, tokens, e.multiply(tokens, e.list([2])));
  const apart = e.reshape(e.slice(stream, 1, tokens), [0, count, tokens, e.length(stream, 2)]);
  return e.reshape(e.transpose(apart, [0, 2, 1, 3]), [0, e.multiply(tokens, e.list([count])), e.length(stream, 2)]);
}

function tokensOf(e: Emitter, stream: string, count: number): string {
  return e.node("Div", [e.length(stream, 1), e.list([1 + count])]);
}

interface Side {
  /** [b, heads, n, dim]. */
  readonly query: string;
  /** Scores by distance, [b, heads, n, buckets]. */
  readonly byDistance: string;
  /** Of a predicting stream: its own key and value, and how many of the last keys it does not see. */
  readonly own: { readonly key: string; readonly value: string; readonly fewer: number } | null;
}

/** Keys and values of all tokens so far, [b, heads, c + n, dim]. */
interface Seen {
  readonly keys: string;
  readonly values: string;
}

/** @returns the mixtures of all streams, [b, (1 + streams)·n, heads·valueDim] */
export function addPredictingAttention(
  e: Emitter,
  input: string,
  mixer: Attention,
  keep: (key: string, value: string) => Seen,
): string {
  const { heads, keyDim, valueDim, streams = 0, projectedPositions } = mixer;
  if (projectedPositions === undefined) throw new Error(`${e.name} has streams and no positions`);
  const sides = ["query", "key", "value"] as const;
  const widths = [heads * keyDim, heads * keyDim, heads * valueDim];
  const [query = "", key = "", value = ""] = e.split(e.linears(sides, input), widths);
  const tokens = tokensOf(e, input, streams);
  const part = (x: string, index: number): string =>
    e.slice(x, 1, e.multiply(tokens, e.list([index])), e.multiply(tokens, e.list([index + 1])));
  const turned = (x: string, dim: number): string => e.transpose(e.reshape(x, [0, 0, heads, dim]), [0, 2, 1, 3]);
  const seen = keep(part(key, 0), part(value, 0));
  const raw = e.beside("extra").linear("relative_positions", input);
  const { buckets } = projectedPositions;
  const byDistance = e.transpose(e.reshape(raw, [0, 0, buckets, heads]), [0, 3, 1, 2]);
  const along = (index: number): string =>
    e.slice(byDistance, 2, e.multiply(tokens, e.list([index])), e.multiply(tokens, e.list([index + 1])));
  const mixed = Array.from({ length: 1 + streams }, (_, index) => {
    const own =
      index === 0
        ? null
        : { key: turned(part(key, index), keyDim), value: turned(part(value, index), valueDim), fewer: index - 1 };
    return addStream(e, { query: turned(part(query, index), keyDim), byDistance: along(index), own }, seen, mixer);
  });
  return e.linear("output", e.concat(mixed, 1));
}

/** One stream's attention, block by block: [b, n, heads·valueDim]. */
function addStream(e: Emitter, side: Side, seen: Seen, mixer: Attention): string {
  const { heads, valueDim, scale } = mixer;
  const { own } = side;
  const tokens = e.length(side.query, 2);
  const all = e.length(seen.keys, 2);
  const { blocks, rows, padded } = evenBlocks(e, tokens, e.list([largestBlock]));
  const missing = e.list([0, 0, 0, 0, 0, 0, e.subtract(padded, tokens), 0]);
  const filled = (x: string): string => e.node("Pad", [x, missing]);
  const parts = [side.query, side.byDistance, ...(own === null ? [] : [own.key, own.value])].map(filled);
  const [stacked = ""] = e.loop(e.alone(blocks), [], (index) => {
    const start = e.multiply(e.reshape(index, [1]), rows);
    const [query = "", byDistance = "", ownKey = "", ownValue = ""] = parts.map((x) =>
      e.slice(x, 2, start, e.add(start, rows)),
    );
    const first = e.add(e.subtract(all, tokens), start);
    const to = e.node("Min", [e.add(first, rows), all]);
    const { bias, mask } = biasOf(e, byDistance, { first, rows, to }, side, mixer);
    const near = e.transposedProduct(query, e.slice(seen.keys, 2, 0, to), scale);
    const scores = e.add(e.add(near, bias), mask);
    const values = e.slice(seen.values, 2, 0, to);
    if (own === null) return { carried: [], stacked: [{ value: e.matmul(e.softmax(scores), values), rank: 4 }] };
    const product = e.scale(e.node("ReduceSum", [e.multiply(query, ownKey), e.list([3])], { keepdims: int(1) }), scale);
    const ownScore = e.add(product, e.slice(byDistance, 3, 0, 1));
    const weights = e.softmax(e.concat([scores, ownScore], 3));
    const main = e.matmul(e.slice(weights, 3, 0, to), values);
    return { carried: [], stacked: [{ value: e.add(main, e.multiply(e.slice(weights, 3, to), ownValue)), rank: 4 }] };
  });
  // [blocks, b, heads, rows, dim] → [b, n, heads·dim]
  const inOrder = e.reshape(e.transpose(stacked, [1, 0, 3, 2, 4]), [0, padded, heads * valueDim]);
  return e.slice(inOrder, 1, 0, tokens);
}

/** Scores by distance of a block of queries and the keys up to `to`, and what hides those that are not seen. */
function biasOf(
  e: Emitter,
  byDistance: string,
  { first, rows, to }: Readonly<Record<"first" | "rows" | "to", string>>,
  { own }: Side,
  { heads, projectedPositions = { buckets: 1, reach: 1 } }: Attention,
): { readonly bias: string; readonly mask: string } {
  const { builder } = e.scope;
  const { buckets, reach } = projectedPositions;
  const range = (count: string): string => e.node("Range", [builder.integer(0), e.alone(count), builder.integer(1)]);
  const distance = e.subtract(e.reshape(e.add(range(rows), first), [-1, 1]), range(to));
  // What a stream predicts stands one place behind its token.
  const away = e.node("Max", [own === null ? distance : e.add(distance, e.list([1])), e.list([0])]);
  const exact = Math.floor(buckets / 2);
  let bucket = e.node("Min", [away, e.list([exact])]);
  for (const start of bucketStarts(exact, buckets - exact, reach)) {
    const beyond = e.node("GreaterOrEqual", [away, e.list([start])]);
    bucket = e.add(bucket, e.node("Cast", [beyond], { to: int(elementTypes.int64) }));
  }
  const index = e.expand(bucket, [e.length(byDistance, 0), heads, rows, to]);
  const late = e.node("Less", [distance, e.list([own?.fewer ?? 0])]);
  // The first token is always seen.
  const hidden = e.node("And", [late, e.node("Greater", [range(to), e.list([0])])]);
  return {
    bias: e.node("GatherElements", [byDistance, index], { axis: int(3) }),
    mask: e.node("Where", [hidden, builder.scalar(masked), builder.scalar(0)]),
  };
}
