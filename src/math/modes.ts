import { mean, variance } from "./moments.js";

/** Two groups of values that lie apart. */
export interface TwoModes {
  /** Distance of the groups' means. */
  readonly distance: number;
  /** Share of the values in the upper group. */
  readonly upperShare: number;
  /** Halfway between the greatest of the lower and the least of the upper group. */
  readonly border: number;
}

/** Values below which two groups are not told from chance. */
const fewest = 12;
/** Each group must hold this share, and this many values: less are outliers. */
const smallestShare = 0.1;
const fewestOfGroup = 3;
/** Ashman's D of the best split of normal values is 2.65, of uniform ones 3.46; few values scatter up to about 5. */
const clearlyApart = 5;

/**
 * Whether values fall into two groups: the split with the least variance within the groups (Otsu's criterion, Jenks' breaks)
 * leaves groups that are far apart for their widths (K. A. Ashman and others, "Detecting bimodality in astronomical datasets",
 * Astronomical Journal 108, 1994: D = √2·|μ₁ − μ₂| / √(σ₁² + σ₂²)). Null where not.
 *
 * @param leastDistance a smaller distance of the means is no second mode but a detail
 */
export function twoModes(values: readonly number[], leastDistance: number): TwoModes | null {
  const sorted = Float64Array.from(values).sort();
  const count = sorted.length;
  if (count < fewest) return null;
  const total = sorted.reduce((sum, value) => sum + value, 0);
  let best = { between: -1, split: 0 };
  let lower = 0;
  for (let split = 1; split < count; split += 1) {
    lower += sorted[split - 1] ?? 0;
    const difference = (total - lower) / (count - split) - lower / split;
    const between = split * (count - split) * difference ** 2;
    if (between > best.between) best = { between, split };
  }
  const below = sorted.subarray(0, best.split);
  const above = sorted.subarray(best.split);
  if (Math.min(below.length, above.length) < Math.max(fewestOfGroup, smallestShare * count)) return null;
  const distance = mean(above) - mean(below);
  const width = Math.sqrt((variance(below) + variance(above)) / 2);
  if (distance < leastDistance || distance < clearlyApart * width || distance === 0) return null;
  const border = ((below.at(-1) ?? 0) + (above[0] ?? 0)) / 2;
  return { distance, upperShare: above.length / count, border };
}
