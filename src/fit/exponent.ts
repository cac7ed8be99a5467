/** Span over which a smooth law's exponent is taken. */
export const smoothSpan = 1.002;

/**
 * d log T / d log n of a positive function, by a central difference.
 *
 * @param span quotient of the two lengths compared; 2 where the law is a staircase
 */
export function exponentOf(seconds: (n: number) => number, n: number, span: number = smoothSpan): number {
  const half = Math.sqrt(span);
  return Math.log(seconds(n * half) / seconds(n / half)) / Math.log(span);
}
