import type { Parameters } from "./parameters.js";
import { type Sequence, type Vector, at, linear, map, row, sigmoid, softmax } from "./vectors.js";

/** Hyper-connections of DeepSeek-V4: `count` residual streams of each token, one behind the other in one vector. */

const [steps, least, epsilon] = [20, 1e-6, 1e-6];

interface Weights {
  /** What a branch takes of each stream. */
  readonly into: readonly number[];
  /** What each stream takes of what the branch made. */
  readonly out: readonly number[];
  /** What stream j (column) takes of stream i (row). */
  readonly across: readonly (readonly number[])[];
}

function normed(x: Vector): Vector {
  const mean = x.reduce((sum, value) => sum + value * value, 0) / x.length;
  return map(x, (value) => value / Math.sqrt(mean + epsilon));
}

/** The three sets of weights that a branch works with, of every token. */
export async function streamWeights(
  streams: Sequence,
  branch: "mixer" | "ffn",
  count: number,
  parameters: Parameters,
): Promise<Weights[]> {
  const outputs = (2 + count) * count;
  const width = streams[0]?.length ?? 0;
  const weight = await parameters.matrix(`${branch}_streams.weight`, outputs, width);
  const base = await parameters.vector(`${branch}_streams.bias`, outputs, "bias");
  const scales = row(await parameters.read("stream_scales", [2, 3], "bias"), 3, branch === "mixer" ? 0 : 1);
  return streams.map((x) => {
    const raw = linear(normed(x), { weight, bias: null });
    const bent = (part: number, place: number): number => at(raw, place) * at(scales, part) + at(base, place);
    const list = Array.from({ length: count }, (_, i) => i);
    let across = list.map((i) =>
      softmax(list.map((j) => bent(2, 2 * count + i * count + j))).map((value) => value + least),
    );
    const byColumns = (square: number[][]): number[][] => {
      const sums = list.map((j) => square.reduce((sum, own) => sum + at(own, j), 0) + least);
      return square.map((own) => own.map((value, j) => value / at(sums, j)));
    };
    const byRows = (square: number[][]): number[][] =>
      square.map((own) => own.map((value) => value / (own.reduce((sum, other) => sum + other, 0) + least)));
    across = byColumns(across);
    for (let step = 1; step < steps; step += 1) across = byColumns(byRows(across));
    return {
      into: list.map((i) => sigmoid(bent(0, i)) + least),
      out: list.map((i) => 2 * sigmoid(bent(1, count + i))),
      across,
    };
  });
}

/** One vector per token, of all its streams. */
export function collapse(streams: Sequence, shares: readonly (readonly number[])[]): Sequence {
  return streams.map((x, t) => {
    const count = shares[t]?.length ?? 1;
    const width = x.length / count;
    return Float64Array.from({ length: width }, (_, d) =>
      (shares[t] ?? []).reduce((sum, share, i) => sum + share * at(x, i * width + d), 0),
    );
  });
}

/** The streams after a branch made something. */
export function expand(streams: Sequence, made: Sequence, weights: readonly Weights[]): Sequence {
  return streams.map((x, t) => {
    const { out, across } = weights[t] ?? { out: [], across: [] };
    const width = x.length / out.length;
    return map(x, (_, place) => {
      const [stream, d] = [Math.floor(place / width), place % width];
      const mixed = across.reduce((sum, own, i) => sum + at(own, stream) * at(x, i * width + d), 0);
      return at(out, stream) * at(made[t], d) + mixed;
    });
  });
}

/** All streams as one, at the end. */
export async function joinStreams(streams: Sequence, count: number, parameters: Parameters): Promise<Sequence> {
  const width = streams[0]?.length ?? 0;
  const weight = await parameters.matrix("join_streams.weight", count, width);
  const base = await parameters.vector("join_streams.bias", count, "bias");
  const [scale = 0] = await parameters.vector("join_scale", 1, "bias");
  return collapse(
    streams,
    streams.map((x) =>
      [...linear(normed(x), { weight, bias: null })].map((value, i) => sigmoid(value * scale + at(base, i)) + least),
    ),
  );
}
