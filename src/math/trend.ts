import { normalQuantile } from "./distributions.js";
import { median } from "./median.js";

/** Orderings of `count` values by their number of inversions (the Mahonian numbers). */
function inversionCounts(count: number): number[] {
  let counts = [1];
  for (let size = 2; size <= count; size += 1) {
    const next = Array<number>(counts.length + size - 1).fill(0);
    for (const [inversions, ways] of counts.entries()) {
      for (let more = 0; more < size; more += 1) next[inversions + more] = (next[inversions + more] ?? 0) + ways;
    }
    counts = next;
  }
  return counts;
}

const largestExact = 30;

/**
 * Whether values rise or fall with their order (H. B. Mann, "Nonparametric tests against trend", Econometrica 13, 1945):
 * true where so many pairs in one order have a two-sided probability of at most `level` without a trend. Exact up to
 * 30 values, normal beyond.
 */
export function hasTrend(values: readonly number[], level: number): boolean {
  const count = values.length;
  if (count < 3) return false;
  let falling = 0;
  let rising = 0;
  for (const [index, first] of values.entries()) {
    for (const second of values.slice(index + 1)) {
      if (second < first) falling += 1;
      if (second > first) rising += 1;
    }
  }
  if (count > largestExact) {
    const deviation = Math.sqrt((count * (count - 1) * (2 * count + 5)) / 18);
    return (Math.abs(rising - falling) - 1) / deviation >= normalQuantile(1 - level / 2);
  }
  const counts = inversionCounts(count);
  const orderings = counts.reduce((sum, ways) => sum + ways, 0);
  const pairs = (count * (count - 1)) / 2;
  // Ties go half to either side, rounded towards "no trend".
  const fewer = Math.min(falling, rising) + Math.floor((pairs - falling - rising) / 2);
  const tail = counts.slice(0, fewer + 1).reduce((sum, ways) => sum + ways, 0) / orderings;
  return 2 * tail <= level;
}

/** Slope of y over x: the median of the slopes of all pairs (Theil and Sen). At most `mostPoints` points are paired. */
export function theilSenSlope(x: readonly number[], y: readonly number[]): number {
  const mostPoints = 400;
  const stride = Math.max(1, Math.ceil(x.length / mostPoints));
  const slopes: number[] = [];
  for (let i = 0; i < x.length; i += stride) {
    for (let j = i + stride; j < x.length; j += stride) {
      const run = (x[j] ?? 0) - (x[i] ?? 0);
      if (run !== 0) slopes.push(((y[j] ?? 0) - (y[i] ?? 0)) / run);
    }
  }
  return slopes.length === 0 ? 0 : median(slopes);
}
