import type { Affine } from "../math/affine.js";
import { Expression, c, floorDivide, min, n } from "../math/expression.js";
import type { Span } from "../model/types.js";
import type { Conventions } from "./conventions.js";

/**
 * Query–key pairs of one head: how often a query meets a key while n new tokens follow c cached ones.
 *
 * Exact causal: Σᵢ visible(c + i), i = 1 … n, in closed form as V(c + n) − V(c) with V(x) = Σ_{i ≤ x} visible(i);
 * visible(i) is i, min(i, window), or the position inside the chunk. Not causal: every query sees all c + n keys (or
 * the window around it).
 */
export function attentionPairs(span: Span, causal: boolean, conventions: Conventions): Expression {
  if (conventions.causal === "full" || (!causal && span.kind === "full")) return n.times(n.plus(c));
  return visibleUpTo(span, { n: 1, c: 1 }).minus(visibleUpTo(span, { c: 1 }));
}

/** Keys one decode step reads per head, and so the cache rows a step touches: visible(c + 1) in closed form. */
export function visibleUpTo(span: Span, length: Partial<Affine>): Expression {
  const all = Expression.affine({ constant: 0, n: 0, c: 0, m: 0, b: 0, ...length });
  switch (span.kind) {
    case "full":
      return triangle(all);
    case "window":
    case "chosen": {
      const inside = min(length, span.size);
      return triangle(inside).plus(all.minus(inside).times(span.size));
    }
    case "chunk": {
      const chunks = floorDivide(length, span.size);
      const rest = all.minus(chunks.times(span.size));
      return chunks.times((span.size * (span.size + 1)) / 2).plus(triangle(rest));
    }
  }
}

/** Rows of the cache that n queries after c tokens touch at all: the keys visible to any of them. */
export function touchedKeys(span: Span): Expression {
  switch (span.kind) {
    case "full":
      return n.plus(c);
    case "window":
      // The oldest query sees size − 1 keys before it, and every query sees itself.
      return n.plus(min({ c: 1 }, span.size - 1));
    case "chunk":
      return n.plus(c.minus(floorDivide({ c: 1 }, span.size).times(span.size)));
    case "chosen":
      // What one query chose; many queries of a long prompt choose differently and may touch more.
      return n.plus(min({ c: 1 }, span.size - 1));
  }
}

/** Tokens a cache must keep for the next step: all, the last window, or the current chunk at most. */
export function keptTokens(span: Span): Expression {
  switch (span.kind) {
    case "full":
    case "chosen":
      return n.plus(c);
    case "window":
    case "chunk":
      return min({ n: 1, c: 1 }, span.size);
  }
}

/**
 * Query–key pairs where the lengths are not the n new tokens and the cache: an encoder's tokens among themselves, or
 * a decoder's against an encoder's. A window of w in an encoder reaches w − 1 positions to either side:
 * Σᵢ (min(i, w) + min(x − i + 1, w) − 1) = 2·V(x) − x.
 */
export function rectanglePairs(
  span: Span,
  causal: boolean,
  queries: Expression,
  keys: Expression,
  conventions: Conventions,
): Expression {
  if (conventions.causal === "full" || span.kind !== "window" || causal) return queries.times(keys);
  for (const length of [{ n: 1 }, { m: 1 }] satisfies Partial<Affine>[]) {
    if (!queries.minus(Expression.affine({ constant: 0, n: 0, c: 0, m: 0, b: 0, ...length })).isZero) continue;
    return visibleUpTo(span, length).times(2).minus(queries);
  }
  return queries.times(keys);
}

function triangle(x: Expression): Expression {
  return x.times(x).plus(x).times(0.5);
}
