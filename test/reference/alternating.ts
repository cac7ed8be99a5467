import type { Extras, ModelDescription } from "../../src/model/types.js";
import type { Parameters } from "./parameters.js";
import { project } from "./sequences.js";
import { type Sequence, type Vector, addUp, at, concat, linear, map, rmsNorm, split } from "./vectors.js";

/** Alternating updates and Laurel of Gemma 3n (transformers, models/gemma3n), each token's streams one behind the other. */

const [epsilon, leastSquare] = [1e-6, 1e-5];

const meanSquare = (x: Vector): number => x.reduce((sum, value) => sum + value * value, 0) / x.length;

/** How many streams a layer has; 1 where they do not alternate. */
export function streamsIn({ linears = [] }: Extras = {}): number {
  return linears.find(({ name }) => name === "altup_router")?.outWidth ?? 1;
}

async function unlike(
  streams: Sequence,
  names: readonly string[],
  hidden: number,
  parameters: Parameters,
  from: (parts: readonly Vector[], place: number) => Vector,
): Promise<Vector[][]> {
  const weights = await Promise.all(names.map((name) => parameters.matrix(`${name}.weight`, hidden, hidden)));
  return streams.map((all) => {
    const parts = split(all, all.length / hidden);
    const first = parts[0] ?? all;
    const size = Math.sqrt(meanSquare(first));
    const others = weights.map((weight, place) => {
      const x = linear(from(parts, place), { weight, bias: null });
      return map(x, (value) => (value * size) / Math.sqrt(Math.max(meanSquare(x), leastSquare)));
    });
    return [first, ...others];
  });
}

function namesOf({ extras }: ModelDescription, kind: string): string[] {
  return (extras?.linears ?? []).map(({ name }) => name).filter((name) => name.startsWith(kind));
}

/** The embeddings and projections of them, as large each. */
export async function openStreamsOf(stream: Sequence, model: ModelDescription, own: Parameters): Promise<Sequence> {
  const names = namesOf(model, "altup_projection");
  if (names.length === 0) return stream;
  const apart = await unlike(stream, names, model.hiddenSize, own, ([first]) => first ?? new Float64Array());
  return apart.map(concat);
}

/** The mean of the first and of the others taken back. */
export async function closeStreamsOf(streams: Sequence, model: ModelDescription, own: Parameters): Promise<Sequence> {
  const names = namesOf(model, "altup_unembedding");
  if (names.length === 0) return streams;
  const apart = await unlike(
    streams,
    names,
    model.hiddenSize,
    own,
    (parts, place) => parts[place + 1] ?? new Float64Array(),
  );
  return apart.map((parts) => {
    const [first = new Float64Array()] = parts;
    return map(first, (_, d) => parts.reduce((sum, part) => sum + at(part, d), 0) / parts.length);
  });
}

async function choices(stream: Sequence, count: number, hidden: number, extras: Parameters): Promise<Sequence> {
  const scale = await extras.vector("altup_router_norm", hidden, "bias");
  const normed = stream.map((x) => map(rmsNorm(x, scale, epsilon, false), (value) => value / hidden));
  return (await project(normed, "altup_router", [hidden, count], extras)).map((x) => map(x, Math.tanh));
}

/** Every stream with its share of the others, [token][stream]. */
export async function predict(streams: Sequence, count: number, hidden: number, extras: Parameters) {
  const apart = streams.map((all) => split(all, count));
  const first = apart.map((parts) => parts[0] ?? new Float64Array(hidden));
  const chosen = await choices(first, count, hidden, extras);
  const coefficients = await project(chosen, "altup_prediction", [count, count * count], extras);
  return apart.map((parts, token) =>
    parts.map((own, i) =>
      map(own, (value, d) =>
        parts.reduce((sum, other, j) => sum + at(coefficients[token], i * count + j) * at(other, d), value),
      ),
    ),
  );
}

/** Every stream after what a layer made of the first. */
export async function follow(
  predicted: readonly (readonly Vector[])[],
  made: Sequence,
  hidden: number,
  extras: Parameters,
): Promise<Vector[][]> {
  const count = predicted[0]?.length ?? 1;
  const chosen = await choices(made, count, hidden, extras);
  const coefficients = await project(chosen, "altup_correction", [count, count], extras);
  return predicted.map((parts, token) =>
    parts.map((own, i) =>
      map(own, (value, d) => value + (at(made[token], d) - at(parts[0], d)) * (1 + at(coefficients[token], i))),
    ),
  );
}

/** A low-rank map beside attention, with what it reads added. */
export async function laurel(normed: Sequence, rank: number, hidden: number, extras: Parameters): Promise<Sequence> {
  const narrow = await project(normed, "laurel_left", [hidden, rank], extras);
  const wide = await project(narrow, "laurel_right", [rank, hidden], extras);
  const scale = await extras.vector("laurel_norm", hidden, "bias");
  return addUp(
    normed,
    wide.map((x) => rmsNorm(x, scale, epsilon, false)),
  );
}
