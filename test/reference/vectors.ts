import type { Activation, Clamp } from "../../src/model/types.js";

/** Plain float64 arithmetic of the reference: one vector at a time. */

export type Vector = Float64Array;
/** One vector per position. */
export type Sequence = readonly Vector[];

export function rmsNorm(x: Vector, weight: Float32Array, epsilon: number, offset: boolean): Vector {
  const meanSquare = x.reduce((sum, value) => sum + value * value, 0) / x.length;
  return map(x, (value, i) => (value / Math.sqrt(meanSquare + epsilon)) * (at(weight, i) + (offset ? 1 : 0)));
}

export interface Linear {
  readonly weight: Float32Array;
  readonly bias: Float32Array | null;
}

export function linear(x: Vector, { weight, bias }: Linear): Vector {
  const result = new Float64Array(weight.length / x.length);
  for (let out = 0; out < result.length; out += 1) {
    let sum = bias === null ? 0 : at(bias, out);
    for (let i = 0; i < x.length; i += 1) sum += at(weight, out * x.length + i) * at(x, i);
    result[out] = sum;
  }
  return result;
}

/** The same in groups: each share of the outputs reads its own share of x (SqueezeBERT). */
export function groupedLinear(x: Vector, { weight, bias }: Linear, groups: number): Vector {
  return concat(
    split(x, groups).map((part, group) => {
      const own = weight.subarray((group * weight.length) / groups, ((group + 1) * weight.length) / groups);
      const outputs = own.length / part.length;
      return linear(part, { weight: own, bias: bias?.subarray(group * outputs, (group + 1) * outputs) ?? null });
    }),
  );
}

export function activate(activation: Activation, x: number): number {
  switch (activation) {
    case "silu":
      return x / (1 + Math.exp(-x));
    case "gelu":
      return (x / 2) * (1 + errorFunction(x / Math.SQRT2));
    case "gelu-tanh":
      return (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    case "relu":
      return Math.max(0, x);
    case "relu2":
      return Math.max(0, x) ** 2;
  }
}

/**
 * What a gate makes of a value. With bounds as gpt-oss's own code has them (openai/gpt-oss, gpt_oss/torch/model.py, `swiglu`),
 * and DeepSeek-V4's (transformers, models/deepseek_v4).
 */
export function gateBy(gate: number, value: number, activation: Activation, clamp: Clamp | undefined): number {
  if (clamp === undefined) return activate(activation, gate) * value;
  const least = Math.min(gate, clamp.limit);
  const bounded = Math.max(-clamp.limit, Math.min(value, clamp.limit));
  return (least / (1 + Math.exp(-clamp.slope * least))) * (bounded + clamp.shift);
}

/** Maclaurin series, and a continued fraction where that would cancel (Abramowitz and Stegun 7.1.5 and 7.1.14). */
function errorFunction(x: number): number {
  if (x < 0) return -errorFunction(-x);
  if (x > 3) {
    let below = 0;
    for (let n = 60; n > 0; n -= 1) below = n / 2 / (x + below);
    return 1 - Math.exp(-x * x) / ((x + below) * Math.sqrt(Math.PI));
  }
  let term = x;
  let sum = x;
  for (let n = 1; n < 200 && Math.abs(term) > 1e-18; n += 1) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const softplus = (x: number): number => Math.log1p(Math.exp(x));

export const cap = (x: number, limit: number): number => limit * Math.tanh(x / limit);

export function softmax(scores: readonly number[]): number[] {
  const highest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - highest));
  const sum = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / sum);
}

export function dot(a: Vector, b: Vector | undefined): number {
  return a.reduce((sum, value, i) => sum + value * at(b, i), 0);
}

export function map(x: Vector, f: (value: number, index: number) => number): Vector {
  return Float64Array.from(x, f);
}

export function row(table: Float32Array, width: number, index: number): Vector {
  return Float64Array.from(table.subarray(index * width, (index + 1) * width));
}

export function split(x: Vector, count: number): Vector[] {
  const width = x.length / count;
  return Array.from({ length: count }, (_, i) => x.slice(i * width, (i + 1) * width));
}

export function concat(parts: readonly Vector[]): Vector {
  return Float64Array.from(parts.flatMap((part) => [...part]));
}

export function at(values: { readonly [index: number]: number } | undefined, index: number): number {
  const value = values?.[index];
  if (value === undefined) throw new RangeError(`no element ${index}`);
  return value;
}

/** A layer norm whose weight and bias are the two rows of one parameter. */
export function normOfBoth(x: Vector, both: Float32Array, epsilon: number): Vector {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  return map(x, (value, j) => ((value - mean) / Math.sqrt(variance + epsilon)) * at(both, j) + at(both, x.length + j));
}

export function addUp(a: Sequence, b: Sequence): Sequence {
  return a.map((x, i) => map(x, (value, j) => value + at(b[i], j)));
}
