import { type Random, shuffled } from "../base/random.js";
import type { Cell } from "../runs/schema.js";
import { cellKey } from "../runs/schema.js";

/** Each cell once, in the order of first appearance. */
export function distinctCells(cells: readonly Cell[]): Cell[] {
  return [...new Map(cells.map((cell) => [cellKey(cell), cell])).values()];
}

/**
 * One randomised complete block: every cell exactly once, in random order, the reference before the first and after the
 * last. What slows the machine for a while then hits all lengths alike, and the reference shows how much it was.
 */
export function completeBlock(cells: readonly Cell[], reference: Cell | null, random: Random): Cell[] {
  const body = shuffled(cells, random);
  return reference === null ? body : [reference, ...body, reference];
}

/** Shortest first: the order of warm-ups, so that the time of longer cells can be foreseen from shorter ones. */
export function byLength(cells: readonly Cell[]): Cell[] {
  return [...cells].sort((a, b) => (a.n + a.depth) * a.batch - (b.n + b.depth) * b.batch);
}
