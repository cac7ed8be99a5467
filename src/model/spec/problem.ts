/** A value that cannot be right, under the key of its own object. */
export class SpecProblem extends Error {
  constructor(
    readonly key: string,
    readonly found: unknown,
    readonly expected: string,
  ) {
    super(expected);
  }
}

/** `value` where it divides `of`. @throws SpecProblem */
export function divisor(key: string, value: number, ofKey: string, of: number): number {
  if (of % value !== 0) throw new SpecProblem(key, value, `expected a divisor of ${ofKey} (${of})`);
  return value;
}

/** hidden_size / heads, for the size `instead` that is not given. @throws SpecProblem where it is no whole number */
export function share(key: string, heads: number, hiddenSize: number, instead: string): number {
  if (hiddenSize % heads === 0) return hiddenSize / heads;
  throw new SpecProblem(key, heads, `expected a divisor of hidden_size (${hiddenSize}), or a ${instead}`);
}
