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
