import { Matrix, inverse, solve } from "ml-matrix";

export interface RobustOptions {
  readonly start: readonly number[];
  /** Standard deviation of each parameter's normal prior about its start. */
  readonly spread: readonly number[];
  /** A residual of this size counts about half as much as a square would. */
  readonly soft?: number;
}

const iterations = 60;
const step = 1e-4;
/** No parameter moves further in one iteration. */
const longestMove = 1;

/**
 * Least squares with soft L1 loss by reweighting, a normal prior on every parameter, damped Gauss–Newton and numeric
 * derivatives.
 *
 * @param residuals of the parameters; always as many
 */
export function robustFit(
  residuals: (theta: readonly number[]) => readonly number[],
  { start, spread, soft = 0.1 }: RobustOptions,
): number[] {
  const lossOf = (theta: readonly number[], r: readonly number[]): number =>
    r.reduce((sum, one) => sum + 2 * (Math.sqrt(1 + (one / soft) ** 2) - 1), 0) +
    theta.reduce((sum, value, i) => sum + ((value - (start[i] ?? 0)) / (spread[i] ?? 1)) ** 2, 0);
  let theta = [...start];
  let r = residuals(theta);
  let loss = lossOf(theta, r);
  let damping = 1e-2;
  for (let turn = 0; turn < iterations && damping < 1e9; turn += 1) {
    const next = movedBy(theta, normalEquations(residuals, theta, r, { start, spread, soft }), damping);
    const nextResiduals = residuals(next);
    const nextLoss = lossOf(next, nextResiduals);
    if (nextLoss < loss) {
      const gained = loss - nextLoss;
      [theta, r, loss] = [next, nextResiduals, nextLoss];
      damping = Math.max(1e-6, damping / 5);
      if (gained < 1e-9 * (1 + loss)) break;
    } else damping *= 5;
  }
  return theta;
}

/** Standard deviation of each parameter at the end of a fit: its prior's where the residuals say nothing of it. */
export function posteriorSpread(
  residuals: (theta: readonly number[]) => readonly number[],
  theta: readonly number[],
  { start, spread, soft = 0.1 }: RobustOptions,
): number[] {
  const { normal } = normalEquations(residuals, theta, residuals(theta), { start, spread, soft });
  return inverse(normal)
    .diagonal()
    .map((variance) => Math.sqrt(Math.max(0, variance)));
}

function normalEquations(
  residuals: (theta: readonly number[]) => readonly number[],
  theta: readonly number[],
  r: readonly number[],
  { start, spread, soft }: Required<RobustOptions>,
): { readonly normal: Matrix; readonly right: Matrix } {
  const columns = theta.map((_, i) => {
    const moved = theta.map((value, j) => (j === i ? value + step : value));
    return residuals(moved).map((other, j) => (other - (r[j] ?? 0)) / step);
  });
  const weights = r.map((one) => 1 / Math.sqrt(1 + (one / soft) ** 2) / soft ** 2);
  const weighted = (left: readonly number[], right: readonly number[]): number =>
    weights.reduce((sum, weight, j) => sum + weight * (left[j] ?? 0) * (right[j] ?? 0), 0);
  const normal = Matrix.zeros(theta.length, theta.length);
  const right = Matrix.zeros(theta.length, 1);
  theta.forEach((at, i) => {
    const precision = 1 / (spread[i] ?? 1) ** 2;
    right.set(i, 0, -weighted(columns[i] ?? [], r) - precision * (at - (start[i] ?? 0)));
    theta.forEach((_, k) => {
      normal.set(i, k, weighted(columns[i] ?? [], columns[k] ?? []) + (i === k ? precision : 0));
    });
  });
  return { normal, right };
}

function movedBy(
  theta: readonly number[],
  { normal, right }: { readonly normal: Matrix; readonly right: Matrix },
  damping: number,
): number[] {
  const damped = normal.clone();
  theta.forEach((_, i) => damped.set(i, i, damped.get(i, i) * (1 + damping) + 1e-9));
  const move = solve(damped, right).to1DArray();
  return theta.map((at, i) => at + Math.max(-longestMove, Math.min(longestMove, move[i] ?? 0)));
}
