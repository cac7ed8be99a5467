import { extremes, type NonNegativeFit, nonNegativeLeastSquares, nonNegativeSolution } from "../math/least-squares.js";

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
  const weights = observations.map((observation) => observation.precision);
  const logs = observations.map((observation) => observation.logSeconds);
  let around = logs.map((value) => Math.exp(value));
  let best: BasisFit = {
    basis,
    beta: [],
    chiSquare: Number.POSITIVE_INFINITY,
    linear: () => ({ beta: [], rss: 0, faces: [] }),
  };
  for (let step = 0; step < steps; step += 1) {
    const centre = around;
    const scaled = rows.map((row, i) => row.map((value) => value / (centre[i] ?? 1)));
    const target = logs.map((value, i) => 1 + value - Math.log(centre[i] ?? 1));
    const beta = nonNegativeSolution(scaled, target, weights);
    const values = rows.map((row) => evaluate(row, beta));
    let chiSquare = 0;
    around = values.map((value, i) => {
      const measured = Math.exp(logs[i] ?? 0);
      const safe = Math.min(Math.max(value, measured / furthest), measured * furthest);
      chiSquare += (weights[i] ?? 0) * Math.log(measured / Math.max(value, measured * 1e-6)) ** 2;
      return safe;
    });
    const previous = best.chiSquare;
    if (chiSquare < best.chiSquare) {
      let solved: NonNegativeFit | null = null;
      const linear = () => (solved ??= nonNegativeLeastSquares(scaled, target, weights));
      best = { basis, beta, chiSquare, linear };
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
