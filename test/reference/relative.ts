import type { RelativeAttention } from "../../src/model/types.js";
import type { Parameters } from "./parameters.js";
import { type Linear, type Sequence, type Vector, at, concat, dot, linear, map, softmax, split } from "./vectors.js";

/**
 * Transformer-XL's relative attention looking both ways (XLNet, arXiv:1906.08237; Funnel), for a text of one segment:
 * score = ((q + u)·k + (q + v)·W·R(i − j) + (q + s)·segment)/√d, R the sinusoids of the distance.
 */
export async function runRelative(
  inputs: Sequence,
  { heads, headDim, bias, pooling }: RelativeAttention,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const width = heads * headDim;
  const weights = async (side: string, biased: boolean, from = hidden, to = width): Promise<Linear> => ({
    weight: await parameters.matrix(`${side}.weight`, to, from),
    bias: biased ? await parameters.vector(`${side}.bias`, to, "bias") : null,
  });
  // A layer that pools asks with means of what its keys are made of; keys stand `stride` tokens of the text apart.
  const { pooled } = parameters.kept;
  const sources = pooling === 1 ? inputs : pooled.from;
  const stride = pooled.stride / pooling;
  const project = async (side: string, biased: boolean): Promise<Vector[][]> => {
    const own = await weights(side, biased);
    return (side === "query" ? inputs : sources).map((x) => split(linear(x, own), heads));
  };
  const [queries, keys, values] = [
    await project("query", false),
    await project("key", bias),
    await project("value", bias),
  ];
  const places = await weights("positions", false);
  const table = async (name: string): Promise<Float32Array> => parameters.read(name, [heads, headDim], "bias");
  const [content, position, segment] = [
    await table("content_bias"),
    await table("position_bias"),
    await table("segment_bias"),
  ];
  const segments = await parameters.read("segments", [2, heads, headDim], "bias");
  const sinusoid = (distance: number): Vector =>
    Float64Array.from({ length: hidden }, (_, i) => {
      const pair = i % (hidden / 2);
      const angle = distance * 10_000 ** ((-2 * pair) / hidden);
      return i < hidden / 2 ? Math.sin(angle) : Math.cos(angle);
    });
  const plus = (x: Vector | undefined, rows: Float32Array, head: number): Vector =>
    map(x ?? new Float64Array(headDim), (value, d) => value + at(rows, head * headDim + d));
  const mixed = queries.map((ofPosition, i) =>
    concat(
      ofPosition.map((query, head) => {
        const scores = sources.map((_, j) => {
          const place = split(linear(sinusoid(stride * (i * pooling - j)), places), heads)[head];
          const same = Float64Array.from(segments.subarray(head * headDim, (head + 1) * headDim));
          const sum =
            dot(plus(query, content, head), keys[j]?.[head]) +
            dot(plus(query, position, head), place) +
            dot(plus(query, segment, head), same);
          return sum / Math.sqrt(headDim);
        });
        const shares = softmax(scores);
        return Float64Array.from({ length: headDim }, (_, d) =>
          shares.reduce((sum, share, j) => sum + share * at(values[j]?.[head], d), 0),
        );
      }),
    ),
  );
  const output = await weights("output", bias, width, hidden);
  return mixed.map((x) => linear(x, output));
}
