/**
 * The point where a monotone predicate turns true between `low` (false) and `high` (true), by bisection on a log scale.
 * `low` and `high` must be positive.
 */
export function firstTrue(predicate: (x: number) => boolean, low: number, high: number, steps = 60): number {
  let left = Math.log(low);
  let right = Math.log(high);
  for (let step = 0; step < steps && right - left > 1e-12; step += 1) {
    const middle = (left + right) / 2;
    if (predicate(Math.exp(middle))) right = middle;
    else left = middle;
  }
  return Math.exp(right);
}
