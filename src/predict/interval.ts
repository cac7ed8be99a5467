/** Share of true values that predicted intervals are meant to hold. */
export const intervalLevel = 0.8;
/** Half-width of that interval in standard deviations of a normal distribution. */
export const intervalDeviations = 1.2816;

/** An estimate of a positive quantity with its interval, multiplicative around the estimate. */
export interface Interval {
  readonly seconds: number;
  readonly low: number;
  readonly high: number;
}

/** The interval of a log-normal estimate whose logarithm has that standard deviation. */
export function logNormalInterval(seconds: number, logSpread: number): Interval {
  const factor = Math.exp(intervalDeviations * logSpread);
  return { seconds, low: seconds / factor, high: seconds * factor };
}

/** The same, later by a number of seconds that is known. */
export function delayed({ seconds, low, high }: Interval, by: number): Interval {
  return { seconds: seconds + by, low: low + by, high: high + by };
}

/** The same where nothing is shorter than that: what lay below held no true value. */
export function notBelow({ seconds, low, high }: Interval, least: number): Interval {
  return { seconds, low: Math.min(seconds, Math.max(low, least)), high };
}
