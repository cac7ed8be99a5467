import type { Random } from "../base/random.js";
import { median } from "../math/median.js";
import { firstTrue } from "../math/roots.js";

/** Repeated times of one length: at least one. */
export interface Timed {
  readonly n: number;
  readonly samples: readonly number[];
}

/**
 * Where a variant becomes faster than another one and stays so up to the longest length.
 *
 * - `overtakes`: at `n`, between two measured lengths.
 * - `always`, `never`: faster, or not faster, at every measured length (`never`: at the longest).
 */
export interface Overtake {
  readonly kind: "overtakes" | "always" | "never";
  readonly n: number | null;
  /** Interval of n by resampling the repeats; null where some of the resamples find no such length on that side. */
  readonly low: number | null;
  readonly high: number | null;
}

/** log(variant / baseline) by length: negative where the variant is faster. */
interface Advantage {
  readonly n: number;
  readonly log: number;
}

/** The last change of sign from slower to faster, on straight lines in log n. */
function lastCrossing(points: readonly Advantage[]): number | "always" | "never" {
  const last = points.at(-1);
  if (last === undefined || last.log >= 0) return "never";
  const slower = points.findLastIndex(({ log }) => log >= 0);
  const before = points[slower];
  const after = points[slower + 1];
  if (before === undefined || after === undefined) return "always";
  const share = before.log / (before.log - after.log);
  return Math.exp(Math.log(before.n) + share * (Math.log(after.n) - Math.log(before.n)));
}

const resamples = 400;
const tail = 0.025;

/** Both at the same lengths, ascending; lengths that one of them lacks are left out. */
export function overtakeOf(variant: readonly Timed[], baseline: readonly Timed[], random: Random): Overtake | null {
  const pairs = variant.flatMap((timed) => {
    const other = baseline.find(({ n }) => n === timed.n);
    return other === undefined ? [] : [{ n: timed.n, ours: timed.samples, theirs: other.samples }];
  });
  if (pairs.length === 0) return null;
  const cross = (of: (samples: readonly number[]) => number) =>
    lastCrossing(pairs.map(({ n, ours, theirs }) => ({ n, log: Math.log(of(ours) / of(theirs)) })));
  const found = cross(median);
  if (typeof found === "string") return { kind: found, n: null, low: null, high: null };
  // One repeat says nothing of its scatter.
  if (pairs.some(({ ours, theirs }) => ours.length < 2 || theirs.length < 2)) {
    return { kind: "overtakes", n: found, low: null, high: null };
  }
  const redrawn = (samples: readonly number[]): number =>
    median(samples.map(() => samples[Math.floor(random() * samples.length)] ?? Number.NaN));
  // A resample that is faster everywhere crosses before the first length, one that never is behind the last.
  const drawn = Array.from({ length: resamples }, () => cross(redrawn))
    .map((one) => (one === "always" ? Number.NEGATIVE_INFINITY : one === "never" ? Number.POSITIVE_INFINITY : one))
    .sort((a, b) => a - b);
  const at = (share: number): number | null => {
    const value = drawn[Math.min(drawn.length - 1, Math.floor(share * drawn.length))] ?? Number.NaN;
    return Number.isFinite(value) ? value : null;
  };
  return { kind: "overtakes", n: found, low: at(tail), high: at(1 - tail) };
}

/** d log T / d log n between the two longest lengths, with the range that the fastest and slowest repeats allow. */
export function localExponent(
  timed: readonly Timed[],
): { n: number; value: number; low: number | null; high: number | null } | null {
  const [before, after] = timed.slice(-2);
  if (before === undefined || after === undefined) return null;
  const span = Math.log(after.n / before.n);
  const slope = (long: number, short: number): number => Math.log(long / short) / span;
  const value = slope(median(after.samples), median(before.samples));
  if (after.samples.length < 2 || before.samples.length < 2) return { n: after.n, value, low: null, high: null };
  return {
    n: after.n,
    value,
    low: slope(Math.min(...after.samples), Math.max(...before.samples)),
    high: slope(Math.max(...after.samples), Math.min(...before.samples)),
  };
}

/**
 * The length from which on one curve lies below another, up to the longest looked at: where they cross last.
 *
 * @returns null where the first is not below the second at `longest`, `from` where it is everywhere
 */
export function predictedOvertake(
  variant: (n: number) => number,
  baseline: (n: number) => number,
  from: number,
  longest: number,
): number | null {
  const below = (n: number): boolean => variant(n) < baseline(n);
  if (!below(longest)) return null;
  let high = longest;
  let low = longest;
  while (low > from && below(low)) {
    high = low;
    low = Math.max(from, low / 1.1);
  }
  if (below(low)) return from;
  return firstTrue(below, low, high);
}
