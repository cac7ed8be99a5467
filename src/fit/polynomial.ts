import { firstTrue } from "../math/roots.js";
import { type BasisFit, extremesOf, type Observation, type Range } from "./basis-fit.js";
import { invertPositive } from "../math/least-squares.js";

/** A value with its interval. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** seconds = constant + linear·n + quadratic·n². */
export interface Coefficients {
  /** Seconds. */
  readonly constant: Estimate;
  /** Seconds per token. */
  readonly linear: Estimate;
  /** Seconds per token squared. */
  readonly quadratic: Estimate;
}

/** Where the quadratic part equals the rest. */
export interface Crossover {
  /** Null where the law has no quadratic part. */
  readonly n: number | null;
  readonly low: number;
  /** Null where no upper bound exists: the quadratic part may be zero. */
  readonly high: number | null;
}

const none: Estimate = { value: 0, low: 0, high: 0 };
const shortest = 1e-3;
const longest = 2 ** 60;

/**
 * Coefficients with profile-likelihood intervals.
 *
 * @param slack rise of chiSquare at the interval's ends, t² of the wanted level
 * @param spread factor by which all ends move out, for an uncertainty of the whole curve's level
 */
export function coefficientsOf(fit: BasisFit, slack: number, spread = 1): Coefficients {
  const width = fit.beta.length;
  const estimate = (column: number): Estimate => {
    if (column >= width) return none;
    const unit = Array.from({ length: width }, (_, i) => (i === column ? 1 : 0));
    const range = extremesOf(fit, unit, slack);
    return { value: fit.beta[column] ?? 0, low: Math.max(0, range.low) / spread, high: range.high * spread };
  };
  return { constant: estimate(0), linear: estimate(1), quadratic: estimate(2) };
}

/** Extremes over the region of how far the quadratic part exceeds the rest at a length, seconds. */
function excessOf(fit: BasisFit, slack: number): (n: number) => Range {
  return (n) => extremesOf(fit, [-1, -n, n * n], slack);
}

/** The length up to which no law of the confidence region has a quadratic part as large as the rest; 0 where there is none. */
export function squareStaysBelow(fit: BasisFit, slack: number): number {
  const excess = excessOf(fit, slack);
  return excess(shortest).high >= 0 ? 0 : firstTrue((n) => excess(n).high >= 0, shortest, longest);
}

/**
 * Crossover of a quadratic law: the root of quadratic·n² − linear·n − constant. Its interval holds every n at which some
 * law of the confidence region has its root there (as Fieller's, so it may be unbounded).
 */
export function crossoverOf(fit: BasisFit, slack: number): Crossover {
  const [constant = 0, linear = 0, quadratic = 0] = fit.beta;
  const n = quadratic > 0 ? (linear + Math.sqrt(linear * linear + 4 * quadratic * constant)) / (2 * quadratic) : null;
  const excess = excessOf(fit, slack);
  const low = squareStaysBelow(fit, slack);
  const bounded = excess(longest).low > 0;
  const surely = (length: number) => excess(length).low > 0;
  const high = !bounded ? null : surely(shortest) ? 0 : firstTrue(surely, shortest, longest);
  return { n, low, high };
}

/** Standard errors that the quadratic term must lie above zero before it counts as seen. */
const standardErrors = 3;

/**
 * The first length, doubling from the longest measured, at which one more complete set of repeats would tell the
 * quadratic term from zero; null where no length up to `most` would.
 *
 * @param quadratic the term to be seen, seconds per token squared
 */
export function settlingLength(
  fit: BasisFit,
  observations: readonly Observation[],
  quadratic: number,
  most: number,
): number | null {
  const [constant = 0, linear = 0] = fit.beta;
  const seconds = (n: number) => constant + linear * n + quadratic * n * n;
  const precisions = observations.map((observation) => observation.precision).sort((left, right) => left - right);
  const typical = precisions[precisions.length >> 1] ?? 0;
  const measured = observations.map(({ n, precision }) => ({ n, precision }));
  let n = Math.max(...measured.map((observation) => observation.n));
  while (n * 2 <= most) {
    n *= 2;
    const information = [0, 0, 0].map(() => [0, 0, 0]);
    for (const one of [...measured, { n, precision: typical }]) {
      const row = [1, one.n, one.n * one.n].map((value) => value / seconds(one.n));
      row.forEach((left, i) => {
        row.forEach((right, j) => {
          const cells = information[i] ?? [];
          cells[j] = (cells[j] ?? 0) + one.precision * left * right;
        });
      });
    }
    const variance = invertPositive(information)?.[2]?.[2];
    if (variance !== undefined && quadratic >= standardErrors * Math.sqrt(variance)) return n;
  }
  return null;
}
