import type { Attention, Span } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { masked } from "../masked.js";
import { int } from "../proto.js";

type Buckets = Extract<Span, { kind: "buckets" }>;

/** What a token's score against itself becomes: it is met where nothing else is. */
const itself = -1e5;
/** Epsilon of the norm that makes keys of queries (the reference implementation's). */
const keyEpsilon = 1e-6;
/** What stands for a token that only fills a chunk up. */
const filler = -1;

/** [b, heads, n, dim] each. */
interface Sides {
  readonly query: string;
  readonly keys: string;
  readonly values: string;
}

/**
 * Attention of Reformer (arXiv:2001.04451), looking both ways: a sequence is cut into chunks of half a bucket's size, and
 * each chunk meets itself and the one before it, the first one the last. Where queries and keys have projections of their
 * own the sequence is the text. Where they share one it is the text sorted by hashes, round by round: of all directions
 * (and their opposites) that a round has drawn, a token's hash is the one it points to most. Keys are then queries of length 1, and a
 * token meets itself only where it meets no other.
 *
 * @param rows queries, keys and values, [b, n, heads·dim]; keys are the queries where they share a projection
 * @returns the mixture, [b, n, heads·valueDim]
 */
export function addBucketedAttention(
  e: Emitter,
  rows: { readonly query: string; readonly key: string; readonly value: string },
  mixer: Attention,
  span: Buckets,
): string {
  const { heads, keyDim, valueDim, scale } = mixer;
  const apart = (from: string, dim: number): string => e.transpose(e.reshape(from, [0, 0, heads, dim]), [0, 2, 1, 3]);
  const query = apart(rows.query, keyDim);
  const shared = mixer.sharedQueryKey === true;
  const keys = shared ? e.normalised(query, "rms", keyDim, keyEpsilon) : apart(rows.key, keyDim);
  const sides: Sides = { query, keys, values: apart(rows.value, valueDim) };
  const sizes = { chunk: span.size / 2, scale, shared };
  const n = e.length(rows.query, 1);
  const places = e.node("Range", [e.scope.builder.integer(0), e.alone(n), e.scope.builder.integer(1)]);
  const inOrder = (mixed: string): string => e.reshape(e.transpose(mixed, [0, 2, 1, 3]), [0, 0, heads * valueDim]);
  if (!shared) return inOrder(addChunks(e, sides, e.reshape(places, [1, 1, -1]), n, sizes).mixed);
  const rounds = Array.from({ length: span.rounds }, (_, round) => {
    const order = sorted(e, query, n, places, { ...span, heads, keyDim, round });
    const taken = (from: string): string =>
      e.node("GatherND", [from, e.node("Unsqueeze", [order, e.list([3])])], { batch_dims: int(2) });
    const own = { query: taken(sides.query), keys: taken(sides.keys), values: taken(sides.values) };
    const { mixed, weight } = addChunks(e, own, order, n, sizes);
    const back = e.node("ScatterElements", [order, order, e.expand(e.reshape(places, [1, 1, -1]), shapeOf(e, order))], {
      axis: int(2),
    });
    const returned = (from: string): string =>
      e.node("GatherND", [from, e.node("Unsqueeze", [back, e.list([3])])], { batch_dims: int(2) });
    return { mixed: returned(mixed), weight: returned(weight) };
  });
  const [only, ...others] = rounds;
  if (only === undefined) throw new Error("no rounds");
  if (others.length === 0) return inOrder(only.mixed);
  // Rounds count as much as the scores that they have seen add up to.
  const shares = e.softmax(
    e.concat(
      rounds.map(({ weight }) => weight),
      3,
    ),
  );
  const parts = rounds.map(({ mixed }, round) => e.multiply(mixed, e.slice(shares, 3, round, round + 1)));
  return inOrder(parts.reduce((sum, part) => e.add(sum, part)));
}

function shapeOf(e: Emitter, value: string): readonly string[] {
  return [0, 1, 2].map((axis) => e.length(value, axis));
}

/** Places of the tokens sorted by their hashes, those with one hash in their order, int64 [b, heads, n]. */
function sorted(
  e: Emitter,
  query: string,
  n: string,
  places: string,
  { size, rounds, heads, keyDim, round }: Buckets & { heads: number; keyDim: number; round: number },
): string {
  const { builder, layout, options } = e.scope;
  const chunk = size / 2;
  // As many hashes as chunks, in powers of two; half of them are opposites.
  const most = 2 ** Math.floor(Math.log2(Math.max(1, Math.floor(options.positions / chunk))));
  const drawn = layout.parameter({
    name: e.scope.qualified(e.local("directions")),
    weight: { shape: [rounds, heads, keyDim, most], dtype: "float32", init: "matrix" },
    offset: false,
  });
  const own = e.reshape(e.slice(drawn, 0, round, round + 1), [heads, keyDim, most]);
  const chunks = e.node("Div", [n, builder.integers([chunk])]);
  const thresholds = Array.from({ length: 24 }, (_, power) => 2 ** power);
  const reached = e.node("GreaterOrEqual", [chunks, builder.integers(thresholds)]);
  const power = e.node("ReduceSum", [e.node("Cast", [reached], { to: int(7) }), e.list([0])], { keepdims: int(1) });
  // 2^(power − 1) directions, one at least.
  const powers = builder.integers([1, ...thresholds]);
  const count = e.node("Min", [e.node("Gather", [powers, power]), builder.integers([most])]);
  const along = e.matmul(query, e.slice(own, 2, 0, count));
  const both = e.concat([along, e.node("Neg", [along])], 3);
  const hash = e.node("ArgMax", [both], { axis: int(3), keepdims: int(0) });
  const ranks = e.add(e.multiply(hash, n), e.reshape(places, [1, 1, -1]));
  const [, order = ""] = e.nodes("TopK", [ranks, n], 2, { axis: int(2), largest: int(0), sorted: int(1) });
  return order;
}

interface Sizes {
  readonly chunk: number;
  readonly scale: number;
  /** Queries are keys: a token avoids itself. */
  readonly shared: boolean;
}

/**
 * Chunk by chunk over a sequence in some order.
 *
 * @param order place of each of its tokens in the text, int64 [b or 1, heads or 1, n]
 * @returns the mixture, [b, heads, n, dim], and the logarithm of the sum of all weights, [b, heads, n, 1]
 */
function addChunks(
  e: Emitter,
  { query, keys, values }: Sides,
  order: string,
  n: string,
  { chunk, scale, shared }: Sizes,
): { readonly mixed: string; readonly weight: string } {
  const { builder } = e.scope;
  const size = builder.integers([chunk]);
  const chunks = e.node("Div", [e.add(n, builder.integers([chunk - 1])), size]);
  const missing = e.subtract(e.multiply(chunks, size), n);
  const cut = (from: string): string => {
    const filled = e.node("Pad", [from, e.list([0, 0, 0, 0, 0, 0, missing, 0])]);
    return e.reshape(filled, [0, 0, chunks, chunk, e.length(from, 3)]);
  };
  const ordered = e.node("Pad", [order, e.list([0, 0, 0, 0, 0, missing]), builder.integer(filler)]);
  const places = e.reshape(ordered, [0, 0, chunks, chunk]);
  const single = e.node("LessOrEqual", [chunks, builder.integers([1])]);
  const attend = (seen: (from: string) => string): string[] => {
    const [near, mixedFrom, seenPlaces] = [seen(cut(keys)), seen(cut(values)), seen(places)];
    let scores = e.transposedProduct(cut(query), near, scale, { rank: 5 });
    const others = e.node("Unsqueeze", [seenPlaces, e.list([3])]);
    if (shared) {
      const same = e.node("Equal", [e.node("Unsqueeze", [places, e.list([4])]), others]);
      scores = e.node("Where", [same, builder.scalar(itself), scores]);
    }
    const absent = e.node("Equal", [others, builder.integer(filler)]);
    scores = e.node("Where", [absent, builder.scalar(masked), scores]);
    const weight = e.node("ReduceLogSumExp", [scores, e.list([4])], { keepdims: int(1) });
    return [e.matmul(e.softmax(scores), mixedFrom), weight];
  };
  const alone = (): string[] => attend((from) => from);
  const withBefore = (): string[] =>
    attend((from) => {
      const before = e.concat([e.slice(from, 2, -1), e.slice(from, 2, 0, -1)], 2);
      return e.concat([before, from], 3);
    });
  const [mixed = "", weight = ""] = e.either(single, [5, 5], alone, withBefore);
  const flat = (from: string): string =>
    e.slice(e.reshape(from, [0, 0, e.multiply(chunks, size), e.length(from, 4)]), 2, 0, n);
  return { mixed: flat(mixed), weight: flat(weight) };
}
