// Robust least squares for the fits of this folder: soft L1 by reweighting, damped Gauss–Newton, numeric derivatives, and a
// normal prior on every parameter.
import { Matrix, solve } from "ml-matrix";

const iterations = 60;
const step = 1e-4;

/**
 * @param {(theta: number[]) => number[]} residuals
 * @param {{start: number[], spread: number[], soft?: number}} options `spread`: standard deviation of each prior; `soft`: a
 *   residual of this size counts half as much as a square would
 * @returns {number[]}
 */
export function robustFit(residuals, { start, spread, soft = 0.1 }) {
  let theta = [...start];
  const pull = (/** @type {number[]} */ at) =>
    at.reduce((sum, value, i) => sum + ((value - (start[i] ?? 0)) / (spread[i] ?? 1)) ** 2, 0);
  const loss = (/** @type {number[]} */ at) =>
    residuals(at).reduce((sum, r) => sum + 2 * (Math.sqrt(1 + (r / soft) ** 2) - 1), 0) + pull(at);
  let value = loss(theta);
  let damping = 1e-2;
  for (let turn = 0; turn < iterations && damping < 1e9; turn += 1) {
    const r = residuals(theta);
    const columns = theta.map((_, i) => {
      const moved = [...theta];
      moved[i] = (moved[i] ?? 0) + step;
      return residuals(moved).map((other, j) => (other - (r[j] ?? 0)) / step);
    });
    const weights = r.map((one) => 1 / Math.sqrt(1 + (one / soft) ** 2) / soft ** 2);
    const normal = Matrix.zeros(theta.length, theta.length);
    const right = Matrix.zeros(theta.length, 1);
    theta.forEach((at, i) => {
      const precision = 1 / (spread[i] ?? 1) ** 2;
      const slope = r.reduce((sum, one, j) => sum + (weights[j] ?? 0) * one * (columns[i]?.[j] ?? 0), 0);
      right.set(i, 0, -slope - precision * (at - (start[i] ?? 0)));
      theta.forEach((__, k) => {
        const dot = r.reduce(
          (sum, ___, j) => sum + (weights[j] ?? 0) * (columns[i]?.[j] ?? 0) * (columns[k]?.[j] ?? 0),
          0,
        );
        normal.set(i, k, dot + (i === k ? precision : 0));
      });
    });
    const damped = normal.clone();
    theta.forEach((_, i) => damped.set(i, i, damped.get(i, i) * (1 + damping) + 1e-9));
    const move = solve(damped, right).to1DArray();
    const next = theta.map((at, i) => at + Math.max(-1, Math.min(1, move[i] ?? 0)));
    const nextValue = loss(next);
    if (nextValue < value) {
      const gained = value - nextValue;
      theta = next;
      value = nextValue;
      damping = Math.max(1e-6, damping / 5);
      if (gained < 1e-9 * (1 + value)) break;
    } else damping *= 5;
  }
  return theta;
}

/** @param {number[]} values @param {number} share */
export function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const low = sorted[Math.floor(place)] ?? Number.NaN;
  return low + (place - Math.floor(place)) * ((sorted[Math.ceil(place)] ?? low) - low);
}

/** Between the 10th and the 90th percentile of a normal distribution lie this many standard deviations. @param {number[]} logs */
export function spreadOf(logs) {
  return (quantile(logs, 0.9) - quantile(logs, 0.1)) / 2.563;
}
