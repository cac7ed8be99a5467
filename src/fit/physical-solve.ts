import { CholeskyDecomposition, Matrix } from "ml-matrix";
import type { Centre } from "./noise.js";
import { type PhysicalCurve, partsAt, slopesOf, spreadsOf, sum } from "./physical-curve.js";

/** The most likely factors. */
export interface Solution {
  /** Of the components, then of the scale where it is not fixed. */
  readonly logFactors: readonly number[];
  /** Posterior covariance of the log factors. */
  readonly covariance: Matrix;
  /** What the samples alone say of them: the inverse of the covariance less the prior's part. */
  readonly data: Matrix;
  /** Lengths less the parameters that the samples, not the prior, decide. */
  readonly spare: number;
}

const iterations = 60;

export function variancesOf(centres: readonly Centre[], discrepancy: number): number[] {
  return centres.map(({ variance }) => variance + discrepancy ** 2);
}

function objective(
  curve: PhysicalCurve,
  centres: readonly Centre[],
  variances: readonly number[],
  u: readonly number[],
): number {
  const misfit = centres.reduce((total, centre, i) => {
    const residual = centre.logSeconds - Math.log(sum(partsAt(curve, u, centre.n)));
    return total + residual ** 2 / (variances[i] ?? 1);
  }, 0);
  return misfit + spreadsOf(curve).reduce((total, spread, k) => total + ((u[k] ?? 0) / spread) ** 2, 0);
}

/**
 * Maximum a posteriori of log θ by Levenberg and Marquardt's method. d log T / d log θₖ is the share of component k, so
 * each step is a least-squares problem in the shares, with the prior as one further row per factor.
 */
export function solve(
  curve: PhysicalCurve,
  centres: readonly Centre[],
  variances: readonly number[],
  start: readonly number[],
): Solution {
  const spreads = spreadsOf(curve);
  const size = spreads.length;
  let u = [...start];
  let value = objective(curve, centres, variances, u);
  let damping = 1e-3;
  const system = (at: readonly number[]) => {
    const information = Matrix.zeros(size, size);
    const gradient = Matrix.zeros(size, 1);
    const data = Matrix.zeros(size, size);
    centres.forEach((centre, i) => {
      const parts = partsAt(curve, at, centre.n);
      const slopes = slopesOf(parts, curve);
      const residual = centre.logSeconds - Math.log(sum(parts));
      const precision = 1 / (variances[i] ?? 1);
      for (let row = 0; row < size; row += 1) {
        const left = slopes[row] ?? 0;
        gradient.set(row, 0, gradient.get(row, 0) + precision * left * residual);
        for (let column = 0; column < size; column += 1) {
          const cell = precision * (left * (slopes[column] ?? 0));
          data.set(row, column, data.get(row, column) + cell);
        }
      }
    });
    information.add(data);
    spreads.forEach((spread, k) => {
      information.set(k, k, information.get(k, k) + 1 / spread ** 2);
      gradient.set(k, 0, gradient.get(k, 0) - (at[k] ?? 0) / spread ** 2);
    });
    return { information, gradient, data };
  };
  for (let step = 0; step < iterations; step += 1) {
    const { information, gradient } = system(u);
    const damped = information.clone();
    for (let k = 0; k < size; k += 1) damped.set(k, k, damped.get(k, k) * (1 + damping));
    const move = new CholeskyDecomposition(damped).solve(gradient).to1DArray();
    const next = u.map((old, k) => old + (move[k] ?? 0));
    const nextValue = objective(curve, centres, variances, next);
    if (nextValue <= value) {
      const gained = value - nextValue;
      u = next;
      value = nextValue;
      damping = Math.max(1e-9, damping / 10);
      if (gained <= 1e-10 * (1 + value)) break;
    } else {
      damping *= 10;
      if (damping > 1e12) break;
    }
  }
  const { information, data } = system(u);
  const covariance = new CholeskyDecomposition(information).solve(Matrix.eye(size));
  return { logFactors: u, covariance, data, spare: centres.length - covariance.mmul(data).trace() };
}

/** Priors this much wider leave the factors free, so that only what no factor can mend counts as misfit. */
const freeing = 10;
/** Lengths that must be left over before a misfit is looked for. */
const fewestSpare = 0.5;

/**
 * Misfit per length beyond the noise: the discrepancy at which the squared residuals are what the spare lengths expect
 * (Mandel and Paule 1970). A factor far from its prior is no misfit, so the priors are widened here.
 */
export function discrepancyOf(
  curve: PhysicalCurve,
  centres: readonly Centre[],
): { discrepancy: number; spare: number } {
  const free = {
    ...curve,
    components: curve.components.map((component) => ({ ...component, logSpread: component.logSpread * freeing })),
  };
  let start: readonly number[] = spreadsOf(curve).map(() => 0);
  const excess = (discrepancy: number): { over: number; spare: number } => {
    const variances = variancesOf(centres, discrepancy);
    const solution = solve(free, centres, variances, start);
    start = solution.logFactors;
    const misfit = centres.reduce((total, centre, i) => {
      const residual = centre.logSeconds - Math.log(sum(partsAt(free, solution.logFactors, centre.n)));
      return total + residual ** 2 / (variances[i] ?? 1);
    }, 0);
    return { over: misfit - solution.spare, spare: solution.spare };
  };
  const plain = excess(0);
  if (plain.over <= 0 || plain.spare < fewestSpare) return { discrepancy: 0, spare: plain.spare };
  let low = 0;
  let high = 2;
  let { spare } = plain;
  for (let step = 0; step < 30; step += 1) {
    const middle = (low + high) / 2;
    const found = excess(middle);
    spare = found.spare;
    if (found.over > 0) low = middle;
    else high = middle;
  }
  return { discrepancy: high, spare };
}
