import type { Seconds } from "../base/units.js";
import { type Cell, cachedBefore, cellKey, lengthOf, type Phase } from "../runs/schema.js";
import { mean } from "../math/moments.js";

/**
 * What the next call of a cell will take on the wall, set-up included, from the calls seen so far. Used for the time
 * left and the time limit only; it knows nothing of the model.
 */
export interface Estimator {
  /** Notes that a call of the cell took that long. */
  note(cell: Cell, wall: Seconds): void;
  /** Foreseen seconds, or null before any call of the phase. */
  of(cell: Cell): Seconds | null;
  /** Sum over the cells; what cannot be foreseen counts as nothing. */
  sum(cells: readonly Cell[]): Seconds;
}

/** How fast a phase can grow with its length, and what is assumed from one point alone. */
const growth: Record<Phase, { readonly least: number; readonly assumed: number; readonly most: number }> = {
  prefill: { least: 0, assumed: 1.2, most: 2 },
  "decode-uncached": { least: 0, assumed: 1.2, most: 2 },
  decode: { least: 0, assumed: 0.3, most: 1 },
  reference: { least: 0, assumed: 1, most: 2 },
};

const remembered = 3;

interface Seen {
  readonly length: number;
  readonly walls: number[];
}

/** Tokens that are there after the step, cached ones among them. */
function sizeOf(cell: Cell): number {
  return Math.max(1, (lengthOf(cell) + cachedBefore(cell)) * cell.batch);
}

export function createEstimator(): Estimator {
  // Variants of a comparison foretell nothing of each other.
  const groupOf = ({ phase, variant }: Cell): string => `${phase} ${variant ?? ""}`;
  const seen = new Map<string, Map<string, Seen>>();

  const extrapolated = (cell: Cell, points: readonly Seen[]): Seconds | null => {
    const size = sizeOf(cell);
    const below = points.filter((point) => point.length <= size).sort((a, b) => b.length - a.length);
    const nearest = below[0] ?? [...points].sort((a, b) => a.length - b.length)[0];
    if (nearest === undefined) return null;
    const seconds = mean(nearest.walls);
    // A longer cell than asked for is an upper bound; good enough, since cells are first seen shortest first.
    if (nearest.length >= size) return seconds;
    const { least, assumed, most } = growth[cell.phase];
    const second = below.find((point) => point.length < nearest.length);
    const exponent =
      second === undefined
        ? assumed
        : Math.log(seconds / mean(second.walls)) / Math.log(nearest.length / second.length);
    const bounded = Number.isFinite(exponent) ? Math.min(most, Math.max(least, exponent)) : assumed;
    return seconds * (size / nearest.length) ** bounded;
  };

  const of = (cell: Cell): Seconds | null => {
    const ofPhase = seen.get(groupOf(cell));
    if (ofPhase === undefined) return null;
    const exact = ofPhase.get(cellKey(cell));
    return exact === undefined ? extrapolated(cell, [...ofPhase.values()]) : mean(exact.walls);
  };

  return {
    of,
    sum: (cells) => cells.reduce((total, cell) => total + (of(cell) ?? 0), 0),
    note: (cell, wall) => {
      const ofPhase = seen.get(groupOf(cell)) ?? new Map<string, Seen>();
      seen.set(groupOf(cell), ofPhase);
      const key = cellKey(cell);
      const entry = ofPhase.get(key) ?? { length: sizeOf(cell), walls: [] };
      ofPhase.set(key, entry);
      entry.walls.push(wall);
      if (entry.walls.length > remembered) entry.walls.shift();
    },
  };
}
