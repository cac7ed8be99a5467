import {
  addObservation,
  bestFace,
  emptyMoments,
  extremes,
  type NonNegativeFit,
  nonNegativeSolution,
} from "../math/least-squares.js";

/** What a law is fitted to: one length with the centre of its log seconds and how precisely it is known. */
export interface Observation {
  readonly n: number;
  readonly logSeconds: number;
  /** One over the variance of logSeconds. */
  readonly precision: number;
}

/** Seconds as a sum of non-negative coefficients times functions of n. */
export type Basis = (n: number) => readonly number[];

/** A basis fitted in log seconds, so that errors are relative. */
export interface BasisFit {
  readonly basis: Basis;
  readonly beta: readonly number[];
  /** Σ precision · (log seconds − log law)². */
  readonly chiSquare: number;
  /** The linear problem at the solution, whose faces give confidence regions; solved when first asked for. */
  readonly linear: () => NonNegativeFit;
}

export interface Range {
  readonly low: number;
  readonly high: number;
}

const manySteps = 15;
/** Enough to tell a hopeless shape from one worth finishing. */
export const fewSteps = 3;
/** Change of chiSquare, as a share of it, at which the steps end: far below what a decision hangs on. */
const settled = 1e-7;
/** A law may miss a length by this factor before its own value stops being the point of linearisation. */
const furthest = 3;

const missing: Observation = { n: 1, logSeconds: 0, precision: 0 };

function evaluate(row: readonly number[], beta: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < row.length; i += 1) sum += (row[i] ?? 0) * (beta[i] ?? 0);
  return sum;
}

/**
 * Fit Σ βₖ φₖ(n), β ≥ 0, to log seconds by Gauss and Newton's method: log T is linearised at the current law, which makes
 * each step a relative least-squares problem.
 *
 * @param steps most steps; where they run out the law is not quite the best of its shape
 */
export function fitBasis(basis: Basis, observations: readonly Observation[], steps: number = manySteps): BasisFit {
  const rows = observations.map((observation) => basis(observation.n));
  // What the law says of each length so far; to begin with, what was measured.
  const around = observations.map(({ logSeconds }) => Math.exp(logSeconds));
  let best: BasisFit = {
    basis,
    beta: [],
    chiSquare: Number.POSITIVE_INFINITY,
    linear: () => ({ beta: [], rss: 0, faces: [] }),
  };
  for (let step = 0; step < steps; step += 1) {
    const moments = emptyMoments(rows[0]?.length ?? 0);
    for (let i = 0; i < rows.length; i += 1) {
      const { logSeconds, precision } = observations[i] ?? missing;
      const centre = around[i] ?? 1;
      addObservation(moments, rows[i] ?? [], 1 / centre, 1 + logSeconds - Math.log(centre), precision);
    }
    const beta = nonNegativeSolution(moments);
    let chiSquare = 0;
    for (let i = 0; i < rows.length; i += 1) {
      const { logSeconds, precision } = observations[i] ?? missing;
      const value = evaluate(rows[i] ?? [], beta);
      const measured = Math.exp(logSeconds);
      around[i] = Math.min(Math.max(value, measured / furthest), measured * furthest);
      chiSquare += precision * Math.log(measured / Math.max(value, measured * 1e-6)) ** 2;
    }
    const previous = best.chiSquare;
    if (chiSquare < best.chiSquare) {
      let solved: NonNegativeFit | null = null;
      best = { basis, beta, chiSquare, linear: () => (solved ??= bestFace(moments)) };
    }
    if (Math.abs(previous - chiSquare) <= settled * (1 + chiSquare)) break;
  }
  return best;
}

export function valueOf(fit: BasisFit, n: number): number {
  return evaluate(fit.basis(n), fit.beta);
}

/** Extremes of c·β where chiSquare exceeds its minimum by at most `slack`. */
export function extremesOf(fit: BasisFit, c: readonly number[], slack: number): Range {
  const linear = fit.linear();
  return extremes(linear, c, linear.rss + slack);
}

/** What a fit explains with so many coefficients above 0. */
export interface Reduction {
  readonly coefficients: number;
  readonly chiSquare: number;
}

/**
 * The best fit with each smaller number of coefficients, none negative, and that with all that are above 0.
 *
 * @param needed column that makes the law what it is: it stays, and counts even where it is 0
 */
export function reductionsOf(fit: BasisFit, needed: number | null): Reduction[] {
  const all = fit.beta.filter((value, column) => value > 0 || column === needed).length;
  const { faces, rss } = fit.linear();
  const least = new Map<number, number>([[all, fit.chiSquare]]);
  for (const { free, beta, rss: own } of faces) {
    const within = free.length > 0 && beta.every((value) => value >= 0);
    if (!within || free.length >= all || (needed !== null && !free.includes(needed))) continue;
    const chiSquare = fit.chiSquare + Math.max(0, own - rss);
    least.set(free.length, Math.min(least.get(free.length) ?? Number.POSITIVE_INFINITY, chiSquare));
  }
  return [...least].map(([coefficients, chiSquare]) => ({ coefficients, chiSquare }));
}
