import { addObservation, emptyMoments, nonNegativeSolution } from "../math/least-squares.js";
import { median } from "../math/median.js";

export function rootMeanSquare(values: readonly number[], weights: readonly number[] = values.map(() => 1)): number {
  const of = weights.reduce((sum, weight) => sum + weight, 0);
  return of === 0 ? 0 : Math.sqrt(values.reduce((sum, value, i) => sum + (weights[i] ?? 0) * value ** 2, 0) / of);
}

/** Passes of reweighting, and the least residual (as a share) that counts as far off. */
const passes = 5;
const leastFar = 0.04;

/**
 * Σ βₖ xₖ fitted with relative errors and β ≥ 0; with the root mean square of the log residuals. Robust: rows further off
 * than twice the middle of all weigh less (Huber's weights), since a disturbed measurement is no law's fault.
 *
 * @param weights of the rows; all equal where absent
 */
export function fitRelative(
  rows: readonly (readonly number[])[],
  seconds: readonly number[],
  weights: readonly number[] = seconds.map(() => 1),
) {
  const scaled = rows.map((row, i) => row.map((value) => value / (seconds[i] ?? 1)));
  let trust: readonly number[] = seconds.map(() => 1);
  let beta: readonly number[] = [];
  let logs: readonly number[] = [];
  for (let pass = 0; pass < passes; pass += 1) {
    const moments = emptyMoments(rows[0]?.length ?? 0);
    scaled.forEach((row, i) => {
      addObservation(moments, row, 1, 1, (weights[i] ?? 1) * (trust[i] ?? 1));
    });
    const found = nonNegativeSolution(moments);
    beta = found;
    logs = scaled.map((row) =>
      Math.log(
        Math.max(
          1e-9,
          row.reduce((sum, value, k) => sum + value * (found[k] ?? 0), 0),
        ),
      ),
    );
    const far = Math.max(leastFar, 2 * median(logs.map(Math.abs)));
    trust = logs.map((log) => Math.min(1, far / Math.max(Math.abs(log), 1e-9)));
  }
  return { beta, spread: rootMeanSquare(logs, weights) };
}

/** The least of what is made of the candidates, of which there is one at least. */
export function leastOf<Candidate, Made>(
  candidates: readonly [Candidate, ...Candidate[]],
  make: (candidate: Candidate) => Made,
  cost: (made: Made) => number,
): Made {
  const [first, ...others] = candidates;
  let found = make(first);
  for (const candidate of others) {
    const made = make(candidate);
    if (cost(made) < cost(found)) found = made;
  }
  return found;
}
