import type { Attention, Layer, Stack } from "../../src/model/types.js";
import { runAttention } from "./attention.js";
import { runFfn } from "./layer.js";
import { type Parameters, runNorm } from "./parameters.js";
import { project } from "./sequences.js";
import { type Sequence, type Vector, addUp, at, concat, dot, map, normOfBoth, row, softmax, split } from "./vectors.js";

/** ProphetNet's decoder (transformers, models/prophetnet): the tokens and streams that predict, each a sequence of its own. */

/** @returns every token's predicting streams, one behind the other */
export async function runPredicting(
  tokens: Sequence,
  stack: Stack,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const extras = parameters.within("extras.extra.");
  const read = async (name: string): Promise<Float32Array> => {
    const shape = stack.extras?.weights?.find((weight) => weight.name === name)?.shape ?? [];
    return extras.read(name, shape, "bias");
  };
  const [positions, own, norm] = [
    await read("positions"),
    await read("stream_embeddings"),
    await read("embedding_norm"),
  ];
  const count = own.length / hidden;
  const placed = (place: number): Vector => row(positions, hidden, place);
  let streams: Sequence[] = [
    addUp(
      tokens,
      tokens.map((_, i) => placed(i + 1)),
    ),
    ...Array.from({ length: count }, (_, stream) =>
      tokens.map((__, i) =>
        map(placed(i + 2), (value, d) => value + at(own, ((stream + count - 1) % count) * hidden + d)),
      ),
    ),
  ].map((stream) => stream.map((x) => normOfBoth(x, norm, 1e-5)));
  for (const [index, layer] of stack.layers.entries()) {
    streams = await runLayerOfStreams(streams, layer, hidden, parameters.within(`layers.${index}.`));
  }
  return tokens.flatMap((x, i) => streams.slice(1).map((stream) => stream[i] ?? x));
}

async function runLayerOfStreams(
  streams: Sequence[],
  { mixers, ffns, norm }: Layer,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence[]> {
  let result = streams;
  const add = async (made: Sequence[], part: Parameters): Promise<void> => {
    const sums = result.map((x, s) => addUp(x, made[s] ?? x));
    result = await Promise.all(sums.map((x) => runNorm(x, norm, hidden, part.within("post_norm."))));
  };
  for (const [place, mixer] of mixers.entries()) {
    if (mixer.kind !== "attention") throw new Error("not a layer of ProphetNet's kind");
    const part = parameters.within(mixers.length === 1 ? "mixer." : `mixer${place}.`);
    const made =
      mixer.source === "encoder"
        ? await Promise.all(result.map((x) => runAttention(x, mixer, norm, hidden, part)))
        : await attend(result, mixer, hidden, part, parameters.within("extra."));
    await add(made, part);
  }
  const [ffn] = ffns;
  if (ffn?.kind !== "dense") throw new Error("not a layer of ProphetNet's kind");
  const part = parameters.within("ffn.");
  await add(await Promise.all(result.map((x) => runFfn(x, ffn, hidden, part, null))), part);
  return result;
}

/** `compute_relative_buckets` of a distance back. */
function bucketOf(away: number, { buckets, reach }: NonNullable<Attention["projectedPositions"]>): number {
  const exact = Math.floor(buckets / 2);
  if (away < exact) return away;
  const wide = exact + (Math.log(away / exact) / Math.log(reach / exact)) * (buckets - exact);
  return Math.floor(Math.min(wide + 1e-9, buckets - 1));
}

async function attend(
  streams: Sequence[],
  mixer: Attention,
  hidden: number,
  own: Parameters,
  extras: Parameters,
): Promise<Sequence[]> {
  const { heads, projectedPositions = { buckets: 1, reach: 1 } } = mixer;
  const { buckets } = projectedPositions;
  const of = (name: string) => Promise.all(streams.map((x) => project(x, name, [hidden, hidden], own, true)));
  const [queries, keys, values] = [await of("query"), await of("key"), await of("value")];
  const positions = await Promise.all(
    streams.map((x) => project(x, "relative_positions", [hidden, buckets * heads], extras, true)),
  );
  const headOf = (x: Vector | undefined, head: number): Vector =>
    split(x ?? new Float64Array(hidden), heads)[head] ?? new Float64Array();
  const mixed = streams.map((stream, s) =>
    stream.map((_, i) =>
      concat(
        Array.from({ length: heads }, (__, head) => {
          const query = headOf(queries[s]?.[i], head);
          const scored = (key: Vector | undefined, away: number): number =>
            dot(query, headOf(key, head)) * mixer.scale +
            at(positions[s]?.[i], bucketOf(Math.max(0, away), projectedPositions) * heads + head);
          const fewer = Math.max(0, s - 1);
          const seen = stream.map((___, j) => j).filter((j) => j <= i - fewer || j === 0);
          const scores = seen.map((j) => scored(keys[0]?.[j], i - j + (s === 0 ? 0 : 1)));
          const met = seen.map((j) => headOf(values[0]?.[j], head));
          if (s > 0) {
            scores.push(scored(keys[s]?.[i], 0));
            met.push(headOf(values[s]?.[i], head));
          }
          const weights = softmax(scores);
          return map(query, (___, d) => met.reduce((sum, value, place) => sum + at(weights, place) * at(value, d), 0));
        }),
      ),
    ),
  );
  return Promise.all(mixed.map((x) => project(x, "output", [hidden, hidden], own, true)));
}
