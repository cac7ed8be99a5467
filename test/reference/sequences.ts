import type { Parameters } from "./parameters.js";
import { type Sequence, type Vector, activate, at, linear, map, split } from "./vectors.js";

/** What the references of recurrent mixers share. A state is a list of rows. */

/** Projects a sequence with a weight of the module. */
export async function project(
  inputs: Sequence,
  name: string,
  [from, to]: readonly [number, number],
  parameters: Parameters,
  bias = false,
): Promise<Sequence> {
  const weights = {
    weight: await parameters.matrix(`${name}.weight`, to, from),
    bias: bias ? await parameters.vector(`${name}.bias`, to, "bias") : null,
  };
  return inputs.map((x) => linear(x, weights));
}

/** Each position's vector cut into parts of these sizes; the result is by part. */
export function cut(inputs: Sequence, sizes: readonly number[]): Sequence[] {
  let start = 0;
  return sizes.map((size) => {
    const from = start;
    start += size;
    return inputs.map((x) => x.slice(from, from + size));
  });
}

/** y_t = Σ w_i·x_{t−k+1+i} + bias, per channel. */
export async function convolve(
  inputs: Sequence,
  name: string,
  width: number,
  kernel: number,
  bias: boolean,
  parameters: Parameters,
): Promise<Sequence> {
  const weight = await parameters.read(`${name}.weight`, [width, 1, kernel], "matrix");
  const shift = bias ? await parameters.vector(`${name}.bias`, width, "bias") : null;
  return inputs.map((x, position) =>
    map(x, (_, channel) => {
      let sum = shift === null ? 0 : at(shift, channel);
      for (let i = 0; i < kernel; i += 1) {
        const before = inputs[position - kernel + 1 + i];
        if (before !== undefined) sum += at(weight, channel * kernel + i) * at(before, channel);
      }
      return sum;
    }),
  );
}

export const silu = (inputs: Sequence): Sequence => inputs.map((x) => map(x, (value) => activate("silu", value)));

/** A matrix of zeros, row by row. */
export function zeros(rows: number, columns: number): Vector[] {
  return Array.from({ length: rows }, () => new Float64Array(columns));
}

/** Adds a·b_jᵀ to the rows of a state. */
export function addOuter(state: readonly Vector[], a: Vector, b: Vector): void {
  state.forEach((row, i) => b.forEach((value, j) => (row[j] = at(row, j) + at(a, i) * value)));
}

/** Sᵀ·x: rows of the state weighed by x. */
export function readState(state: readonly Vector[], x: Vector): Vector {
  const sum = new Float64Array(state[0]?.length ?? 0);
  state.forEach((row, i) => row.forEach((value, j) => (sum[j] = at(sum, j) + value * at(x, i))));
  return sum;
}

export function decayRows(state: readonly Vector[], factor: (row: number) => number): void {
  state.forEach((row, i) => row.forEach((value, j) => (row[j] = value * factor(i))));
}

export const scaled = (x: Vector, factor: number): Vector => map(x, (value) => value * factor);

/** The part of a vector that belongs to one of its heads. */
export function headOf(x: Vector | undefined, heads: number, head: number): Vector {
  return split(x ?? new Float64Array(), heads)[head] ?? new Float64Array();
}
