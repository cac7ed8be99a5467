/** Values that are added one by one; longer sums are grouped. */
const mostSteps = 32;

/**
 * Σ f(from + k·step) over k = 0 … count − 1. Beyond `mostTerms` terms neighbours are grouped and each group is its middle
 * times its size: exact where f is a line inside a group.
 */
export function sumOfSteps(
  f: (x: number) => number,
  from: number,
  step: number,
  count: number,
  mostTerms: number = mostSteps,
): number {
  let sum = 0;
  if (count <= mostTerms) {
    for (let k = 0; k < count; k += 1) sum += f(from + k * step);
    return sum;
  }
  for (let group = 0; group < mostTerms; group += 1) {
    const first = Math.floor((group * count) / mostTerms);
    const next = Math.floor(((group + 1) * count) / mostTerms);
    sum += (next - first) * f(from + ((first + next - 1) / 2) * step);
  }
  return sum;
}

export function sumOf(functions: readonly ((length: number) => number)[]): (length: number) => number {
  return (length) => {
    let sum = 0;
    for (const one of functions) sum += one(length);
    return sum;
  };
}
