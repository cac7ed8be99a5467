/**
 * The noise of one length: normal in log seconds, with a small share of late outliers. A mixture of both, fitted by
 * expectation and maximisation.
 */

/** Assumed share of outliers, and how far late they come: an exponential in log seconds. A few come early. */
const outlierShare = 0.03;
const lateMean = 0.5;
const earlyShare = 0.1;
const rootTwoPi = Math.sqrt(2 * Math.PI);

function outlierDensity(residual: number): number {
  const side = residual >= 0 ? 1 - earlyShare : earlyShare;
  return (outlierShare * side * Math.exp(-Math.abs(residual) / lateMean)) / lateMean;
}

function inlierDensity(residual: number, sigma: number): number {
  return ((1 - outlierShare) * Math.exp(-0.5 * (residual / sigma) ** 2)) / (sigma * rootTwoPi);
}

/** Probability that a residual belongs to the noise and not to the outliers. */
export function inlierWeight(residual: number, sigma: number): number {
  const inlier = inlierDensity(residual, sigma);
  return inlier / (inlier + outlierDensity(residual));
}

export interface Located {
  /** Log seconds. */
  readonly centre: number;
  /** Samples that count. */
  readonly weight: number;
  /** Weighted squared residuals. */
  readonly squares: number;
  readonly logLikelihood: number;
}

/** The centre of one length for a given noise: expectation and maximisation from one start. */
function locateFrom(values: readonly number[], start: number, sigma: number): Located {
  let centre = start;
  for (let step = 0; step < 12; step += 1) {
    let weights = 0;
    let sum = 0;
    for (const value of values) {
      const weight = inlierWeight(value - centre, sigma);
      weights += weight;
      sum += weight * (value - start);
    }
    if (weights === 0) break;
    const next = start + sum / weights;
    const moved = Math.abs(next - centre);
    centre = next;
    if (moved < 1e-4 * sigma) break;
  }
  let weight = 0;
  let squares = 0;
  let logLikelihood = 0;
  for (const value of values) {
    const residual = value - centre;
    const inlier = inlierDensity(residual, sigma);
    const whole = inlier + outlierDensity(residual);
    weight += inlier / whole;
    squares += (inlier / whole) * residual * residual;
    logLikelihood += Math.log(whole);
  }
  return { centre, weight, squares, logLikelihood };
}

/** Starts from low order statistics: outliers are late, so where repeats disagree the earlier ones are believed. */
export function locate(sorted: readonly number[], sigma: number): Located {
  const middle = (sorted.length - 1) >> 1;
  const starts = new Set([sorted[0] ?? 0, sorted[middle] ?? 0, sorted[middle >> 1] ?? 0]);
  let best: Located | undefined;
  for (const start of starts) {
    const candidate = locateFrom(sorted, start, sigma);
    if (best === undefined || candidate.logLikelihood > best.logLikelihood) best = candidate;
  }
  return best ?? { centre: 0, weight: 0, squares: 0, logLikelihood: 0 };
}
