/** Relative width at which a root counts as found. */
const tolerance = 1e-12;
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
    if (difference(right) >= 0) return bisect(difference, left, right);
    left = right;
  }
  return null;
}

function bisect(difference: (x: number) => number, negative: number, nonNegative: number): number {
  let left = negative;
  let right = nonNegative;
  while (right - left > tolerance * right) {
    const middle = (left + right) / 2;
    if (middle <= left || middle >= right) break;
    if (difference(middle) >= 0) right = middle;
    else left = middle;
  }
  return right;
}
