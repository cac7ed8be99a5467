/** Points per doubling at which a bracket is looked for. */
const perDoubling = 4;

/**
 * Smallest x in [from, to] at which `difference` is no longer negative, or null if there is none. Looks on a
 * geometric grid of four points per doubling, so two crossings closer than that may be missed, then bisects.
 *
 * @param from positive
 */
export function firstNonNegative(difference: (x: number) => number, from: number, to: number): number | null {
  if (difference(from) >= 0) return from;
  const step = 2 ** (1 / perDoubling);
  let left = from;
  while (left < to) {
    const right = Math.min(to, left * step);
    if (difference(right) >= 0) return firstTrue((x) => difference(x) >= 0, left, right);
    left = right;
  }
  return null;
}

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
