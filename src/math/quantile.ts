/**
 * The value below which a share of the values lies, with a straight line between neighbours (type 7 of Hyndman and Fan 1996, the
 * default of NumPy and R). NaN for none.
 *
 * @param share from 0, the smallest, to 1, the largest
 */
export function quantile(values: readonly number[], share: number): number {
  return quantileOfSorted(
    values.toSorted((left, right) => left - right),
    share,
  );
}

/** The same of values that ascend. */
export function quantileOfSorted(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const low = sorted[Math.floor(place)] ?? Number.NaN;
  const high = sorted[Math.ceil(place)] ?? low;
  return low + (place - Math.floor(place)) * (high - low);
}
