type Numbers = readonly number[] | Float64Array;

/** Arithmetic mean; not a number for no values. */
export function mean(values: Numbers): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/** Variance of a sample (n − 1); 0 for fewer than two values. */
export function variance(values: Numbers): number {
  if (values.length < 2) return 0;
  const centre = mean(values);
  let sum = 0;
  for (const value of values) sum += (value - centre) ** 2;
  return sum / (values.length - 1);
}

/** Standard deviation of a sample (n − 1); 0 for fewer than two values. */
export function deviation(values: Numbers): number {
  return Math.sqrt(variance(values));
}
