import type { Span } from "../../src/model/types.js";

/** Whether a query of an encoder sees a key, position by position. */

/** The first tokens see everything and are seen; the others see their window (Longformer, arXiv:2004.05150). */
export function seesGlobalWindow(
  { size, first = 0 }: Extract<Span, { kind: "window" }>,
  query: number,
  key: number,
): boolean {
  return query < first || key < first || Math.abs(query - key) < size;
}

/** BigBird (arXiv:2007.14062): blocks at the ends, around, and drawn ones; everything up to (5 + 2·random) blocks. */
export function seesBlock(
  { size, random }: Extract<Span, { kind: "blocks" }>,
  query: number,
  key: number,
  n: number,
): boolean {
  if (n <= (5 + 2 * random) * size) return true;
  const last = Math.ceil(n / size) - 1;
  const [from, to] = [Math.floor(query / size), Math.floor(key / size)];
  if ([from, to].some((block) => block === 0 || block === last) || Math.abs(from - to) <= 1) return true;
  return drawn(from, last, random).includes(to);
}

/** What a block draws of those that it may: by a list, where the graph computes places in it. */
function drawn(block: number, last: number, random: number): (number | undefined)[] {
  const choices = Array.from({ length: last - 1 }, (_, index) => index + 1).filter(
    (other) => Math.abs(other - block) > 1,
  );
  const step = Math.floor(choices.length / random);
  const start = block * 7_368_787 + 104_729;
  return Array.from({ length: random }, (_, k) => choices[(start + k * step) % choices.length]);
}

/** Phi-3-small: blocks near, and of all others those whose number, moved by the head's own, divides by the stride. */
export function seesStride(
  { size, local, stride }: Extract<Span, { kind: "strided" }>,
  query: number,
  key: number,
  { head, heads }: { readonly head: number; readonly heads: number },
): boolean {
  const [from, to] = [Math.floor(query / size), Math.floor(key / size)];
  return from - to < local || (to + head * Math.max(1, Math.floor(stride / heads)) + 1) % stride === 0;
}
