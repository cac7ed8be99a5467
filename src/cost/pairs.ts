import type { Affine } from "../math/affine.js";
import { Expression, atMost, c, ceilDivide, floorDivide, min, mod, n } from "../math/expression.js";
import type { CompressedSpan, KeySpan } from "../model/types.js";
import type { AttentionShape } from "../graph/types.js";
import type { Conventions } from "./conventions.js";

/**
 * Query–key pairs of one head: how often a query meets a key while n new tokens follow c cached ones.
 *
 * Exact causal: Σᵢ visible(c + i), i = 1 … n, in closed form as V(c + n) − V(c) with V(x) = Σ_{i ≤ x} visible(i);
 * visible(i) is i, min(i, window), or the position inside the chunk. Not causal: every query sees all c + n keys (or
 * the window around it).
 */
export function attentionPairs(span: KeySpan, causal: boolean, conventions: Conventions): Expression {
  if (conventions.causal === "full" && span.kind === "compressed") {
    return n.times(floorDivide({ n: 1, c: 1 }, span.ratio));
  }
  if (conventions.causal === "full" || (!causal && span.kind === "full")) return n.times(n.plus(c));
  return visibleUpTo(span, { n: 1, c: 1 }).minus(visibleUpTo(span, { c: 1 }));
}

/** V(x) = Σ_{i ≤ x} visible(i) in closed form. */
function visibleUpTo(span: KeySpan, length: Partial<Affine>): Expression {
  const all = Expression.affine({ constant: 0, n: 0, c: 0, m: 0, b: 0, ...length });
  switch (span.kind) {
    case "full":
      return triangle(all);
    case "buckets":
    case "blocks":
    case "ranked":
      return all.times(all);
    case "window":
    case "chosen": {
      const size = reach(span);
      const inside = min(length, size);
      return triangle(inside).plus(all.minus(inside).times(size));
    }
    case "strided":
      return stridedUpTo(span, length);
    case "compressed":
      return compressedUpTo(span.ratio, span.chosen, length);
    case "chunk": {
      // Whole chunks of triangles, written as x − (x mod q) so that the law's growth can be read off.
      const rest = mod(length, span.size);
      return all
        .minus(rest)
        .times((span.size + 1) / 2)
        .plus(triangle(rest));
    }
  }
}

/** Rows of the cache that n queries after c tokens touch at all: the keys visible to any of them. */
export function touchedKeys(span: KeySpan): Expression {
  switch (span.kind) {
    case "full":
    case "buckets":
    case "blocks":
    case "ranked":
    // Another one of the far blocks for each head: together they touch all.
    case "strided":
      return n.plus(c);
    case "window":
      // The oldest query sees size − 1 keys before it, and every query sees itself.
      return n.plus(min({ c: 1 }, reach(span) - 1));
    case "chunk":
      return n.plus(mod({ c: 1 }, span.size));
    case "compressed":
      return touchedGroups(span);
    case "chosen":
      // What one query chose; many queries of a long prompt choose differently and may touch more.
      return n.plus(min({ c: 1 }, span.size - 1));
  }
}

/** Compressed keys: those that the new tokens complete, and of those before as many as one query chose. */
function touchedGroups({ ratio, chosen }: CompressedSpan): Expression {
  const all = floorDivide({ n: 1, c: 1 }, ratio);
  if (chosen === null) return all;
  const few = atMost({ c: 1 }, ratio * chosen);
  return all.minus(Expression.one.minus(few).times(floorDivide({ c: 1 }, ratio).minus(chosen)));
}

/** Keys that the new tokens leave: their own, or those of the groups that they complete. */
export function addedKeys(span: KeySpan): Expression {
  return span.kind === "compressed"
    ? floorDivide({ n: 1, c: 1 }, span.ratio).minus(floorDivide({ c: 1 }, span.ratio))
    : n;
}

/** Tokens a cache must keep for the next step: all, the last window, or the current chunk at most. */
export function keptTokens(span: KeySpan): Expression {
  switch (span.kind) {
    case "full":
    case "chosen":
    case "buckets":
    case "blocks":
    case "ranked":
    case "strided":
      return n.plus(c);
    case "compressed":
      return floorDivide({ n: 1, c: 1 }, span.ratio);
    case "window":
      return min({ n: 1, c: 1 }, reach(span));
    case "chunk":
      return min({ n: 1, c: 1 }, span.size);
  }
}

/**
 * Query–key pairs where the lengths are not the n new tokens and the cache: an encoder's tokens among themselves, or
 * a decoder's against an encoder's. A window of w in an encoder reaches w − 1 positions to either side:
 * Σᵢ (min(i, w) + min(x − i + 1, w) − 1) = 2·V(x) − x. The first tokens of a window that keeps them see everything too
 * (Longformer's global tokens). With `earlier`, causal attention of a stack that sees a share of the tokens.
 */
export function rectanglePairs(
  span: KeySpan,
  causal: boolean,
  { queries, keys, earlier }: NonNullable<AttentionShape["lengths"]>,
  conventions: Conventions,
): Expression {
  if (earlier !== undefined) {
    const before = queries.times(earlier);
    return before.plus(causal && conventions.causal === "exact" ? triangle(queries) : queries.times(keys));
  }
  // Queries of one stack among the keys of another: those of their own chunk.
  if (span.kind === "chunk" && conventions.causal === "exact" && !queries.minus(keys).isZero) {
    return queries.times(span.size);
  }
  if (span.kind === "chunk" && conventions.causal === "exact" && !causal) return chunkPairs(span.size, queries);
  if (span.kind === "buckets") return queries.times(span.size * span.rounds);
  if (span.kind === "blocks") return blockPairs(span.size, span.random, queries);
  if (span.kind === "ranked") return rankedPairs(span, queries);
  if (conventions.causal === "full" || span.kind !== "window" || causal) return queries.times(keys);
  const length = lengthOf(queries);
  if (length === null) return queries.times(keys);
  return span.first === undefined
    ? visibleUpTo(span, length).times(2).minus(queries)
    : globalPairs(span.size, span.first, length, queries);
}

/** The variable that a number of tokens is; null where it is none. */
function lengthOf(tokens: Expression): Partial<Affine> | null {
  const lengths: readonly Partial<Affine>[] = [{ n: 1 }, { m: 1 }];
  const none = { constant: 0, n: 0, c: 0, m: 0, b: 0 };
  return lengths.find((length) => tokens.minus(Expression.affine({ ...none, ...length })).isZero) ?? null;
}

/**
 * A window of w with g global tokens at the start, x tokens in all: g·x pairs of the global queries; each other query at
 * i > g sees min(i, w + g) keys up to itself and min(x − i, w − 1) after it. Up to g tokens everything sees everything.
 */
function globalPairs(size: number, first: number, length: Partial<Affine>, x: Expression): Expression {
  const others = { ...length, constant: -first };
  const before = visibleUpTo({ kind: "window", size: size + first }, length).minus((first * (first + 1)) / 2);
  const after = visibleUpTo({ kind: "window", size }, others).minus(x.minus(first));
  const all = atMost(length, first);
  const mixed = before.plus(after).plus(x.times(first));
  return all.times(x.times(x)).plus(Expression.one.minus(all).times(mixed));
}

/**
 * Mean over the heads of what queries 1 … x see in blocks of s, l of them local, one in t of the others: all but (t − 1)/t
 * of the keys in far blocks. With u = x − l·s tokens past the local blocks, q = ⌊u/s⌋ and r = u − s·q those are
 * Σ_{i < u} s·(⌊i/s⌋ + 1) = s·(s·q(q + 1)/2 + r(q + 1)).
 */
function stridedUpTo(
  { size, local, stride }: Extract<KeySpan, { kind: "strided" }>,
  length: Partial<Affine>,
): Expression {
  const x = Expression.affine({ constant: 0, n: 0, c: 0, m: 0, b: 0, ...length });
  const whole = floorDivide(length, size);
  const rest = x.minus(whole.times(size));
  const far = whole.minus(local);
  const unseen = far
    .times(far.plus(1))
    .times(size / 2)
    .plus(rest.times(far.plus(1)))
    .times(size * (1 - 1 / stride));
  return triangle(x).minus(Expression.one.minus(atMost(length, local * size)).times(unseen));
}

/**
 * Σ_{i ≤ x} min(⌊i/r⌋, k). With q = ⌊x/r⌋ whole groups the sum without k is r·q(q − 1)/2 + q·(x − r·q + 1); from
 * x = r·k on every further token adds k.
 */
function compressedUpTo(ratio: number, chosen: number | null, length: Partial<Affine>): Expression {
  const x = Expression.affine({ constant: 0, n: 0, c: 0, m: 0, b: 0, ...length });
  const groups = floorDivide(length, ratio);
  const growing = groups
    .times(groups.minus(1))
    .times(ratio / 2)
    .plus(groups.times(x.minus(groups.times(ratio)).plus(1)));
  if (chosen === null) return growing;
  const knee = ratio * chosen;
  const below = atMost(length, knee);
  const capped = x
    .minus(knee)
    .times(chosen)
    .plus((ratio * chosen * (chosen - 1)) / 2 + chosen);
  return below.times(growing).plus(Expression.one.minus(below).times(capped));
}

/**
 * BigBird (arXiv:2007.14062) as its reference builds it: the first and the last block look everywhere, their
 * neighbours at 4 + r blocks, all others at 5 + r. Up to (5 + 2r) blocks it is full attention: the cost falls there.
 */
function blockPairs(block: number, random: number, queries: Expression): Expression {
  const length = lengthOf(queries);
  if (length === null) return queries.times(queries);
  const sparse = queries
    .times(2 * block)
    .plus(2 * block * (4 + random) * block)
    .plus(queries.minus(4 * block).times((5 + random) * block));
  const full = atMost(length, (5 + 2 * random) * block);
  return full.times(queries.times(queries)).plus(Expression.one.minus(full).times(sparse));
}

/** Keys that a query far into the sequence sees: its window, and the first tokens where they stay visible. */
function reach(span: Extract<KeySpan, { kind: "window" | "chosen" }>): number {
  return span.size + (span.kind === "window" ? (span.first ?? 0) : 0);
}

function triangle(x: Expression): Expression {
  return x.times(x).plus(x).times(0.5);
}

/** Pairs in the best `count` of ⌈x/s⌉² pairs of blocks, which are computed whole; all of them while they are no more. */
function rankedPairs({ size, count }: Extract<KeySpan, { kind: "ranked" }>, queries: Expression): Expression {
  const length = lengthOf(queries);
  if (length === null) return queries.times(queries);
  const blocks = ceilDivide(length, size);
  const all = atMost(length, size * Math.floor(Math.sqrt(count)));
  return all
    .times(blocks.times(blocks))
    .plus(Expression.one.minus(all).times(count))
    .times(size * size);
}

/** Chunks whose tokens all see each other: with r = x mod s tokens left over, s·(x − r) + r² pairs. */
function chunkPairs(size: number, queries: Expression): Expression {
  const length = lengthOf(queries);
  if (length !== null) {
    const rest = mod(length, size);
    return queries.minus(rest).times(size).plus(rest.times(rest));
  }
  const tokens = queries.at({ n: 0 });
  return queries.minus(tokens).isZero
    ? Expression.constant(size * (tokens - (tokens % size)) + (tokens % size) ** 2)
    : queries.times(queries);
}
