import { fisherUpperTail } from "../math/distributions.js";
import { inlierWeight } from "./mixture.js";
import type { LengthGroup } from "./points.js";

/** The whole curve moved up and down between blocks: all lengths of a block are slow together. */
export interface Drift {
  /** Standard deviation of a block's level, relative. */
  readonly relative: number;
  readonly blocks: number;
}

/** Blocks differ when so large a difference has less than this probability by chance. */
const driftLevel = 0.01;

/**
 * Level of each block by a one-way analysis of variance of the residuals from their lengths, outliers left out.
 *
 * @param centres centre and noise of the same groups
 */
export function driftOf(
  groups: readonly LengthGroup[],
  centres: readonly { readonly logSeconds: number; readonly sigma: number }[],
): Drift | null {
  const blocks = new Map<number, { sum: number; count: number }>();
  let squares = 0;
  let count = 0;
  groups.forEach((group, index) => {
    const { logSeconds: centre, sigma } = centres[index] ?? { logSeconds: 0, sigma: 1 };
    if (group.logSeconds.length < 2) return;
    group.logSeconds.forEach((value, i) => {
      const block = group.blocks[i];
      const residual = value - centre;
      if (block === undefined || inlierWeight(residual, sigma) < 0.5) return;
      const cell = blocks.get(block) ?? { sum: 0, count: 0 };
      blocks.set(block, { sum: cell.sum + residual, count: cell.count + 1 });
      squares += residual * residual;
      count += 1;
    });
  });
  const freeBlocks = blocks.size - 1;
  const freeWithin = count - groups.length - freeBlocks;
  if (freeBlocks < 1 || freeWithin < 1) return null;
  const between = [...blocks.values()].reduce((total, cell) => total + cell.sum ** 2 / cell.count, 0);
  const within = Math.max(squares - between, 1e-12) / freeWithin;
  if (fisherUpperTail(between / freeBlocks / within, freeBlocks, freeWithin) >= driftLevel) return null;
  const variance = (between / freeBlocks - within) / (count / blocks.size);
  return { relative: Math.sqrt(Math.max(0, variance)), blocks: blocks.size };
}
