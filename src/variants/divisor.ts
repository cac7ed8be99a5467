/** The greatest divisor of `value` that is at most `most`; 1 at least. */
export function greatestDivisor(value: number, most: number): number {
  let divisor = Math.max(1, Math.min(value, most));
  while (value % divisor !== 0) divisor -= 1;
  return divisor;
}
