import type { Attention } from "../../src/model/types.js";
import type { Parameters } from "./parameters.js";
import { project } from "./sequences.js";
import { type Sequence, type Vector, at, concat, dot, map, softmax, split } from "./vectors.js";

/** Reformer's local and hashed attention (arXiv:2001.04451), one query at a time. */
export async function runBucketed(
  inputs: Sequence,
  mixer: Attention,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const { heads, keyDim, valueDim, span, scale } = mixer;
  if (span.kind !== "buckets") throw new Error("no buckets");
  const byHead = async (side: string, dim: number): Promise<Vector[][]> =>
    (await project(inputs, side, [hidden, heads * dim], parameters)).map((x) => split(x, heads));
  const shared = mixer.sharedQueryKey === true;
  const queries = await byHead("query", keyDim);
  const unit = (x: Vector): Vector => {
    const mean = dot(x, x) / keyDim;
    return map(x, (value) => value / Math.sqrt(mean + 1e-6));
  };
  const keys = shared ? queries.map((x) => x.map(unit)) : await byHead("key", keyDim);
  const values = await byHead("value", valueDim);
  const [n, chunk] = [inputs.length, span.size / 2];
  const most = directionsFor(parameters.kept.longest, chunk);
  const directions = shared
    ? await parameters.read("directions", [span.rounds, heads, keyDim, most], "matrix")
    : new Float32Array();
  /** The hash of a query: the direction, or the opposite of one, that it points to most. */
  const hash = (query: Vector, head: number, round: number): number => {
    const count = Math.min(most, directionsFor(n, chunk));
    const along = Array.from({ length: count }, (_, column) =>
      query.reduce((sum, x, d) => sum + x * at(directions, ((round * heads + head) * keyDim + d) * most + column), 0),
    );
    const both = [...along, ...along.map((value) => -value)];
    return both.indexOf(Math.max(...both));
  };
  const mixedOf = (head: number, round: number): { mixed: Vector[]; weight: number[] } => {
    const hashes = queries.map((x) => (shared ? hash(x[head] ?? new Float64Array(), head, round) : 0));
    const order = hashes.map((_, place) => place).toSorted((a, b) => at(hashes, a) - at(hashes, b) || a - b);
    const chunks = Array.from({ length: Math.ceil(n / chunk) }, (_, i) => order.slice(i * chunk, (i + 1) * chunk));
    const mixed: Vector[] = [];
    const weight: number[] = [];
    chunks.forEach((own, i) => {
      const seen = chunks.length === 1 ? own : [...(chunks.at(i - 1) ?? []), ...own];
      for (const place of own) {
        const query = queries[place]?.[head] ?? new Float64Array();
        const scores = seen.map((other) =>
          shared && other === place ? -1e5 : scale * dot(query, keys[other]?.[head]),
        );
        const shares = softmax(scores);
        const highest = Math.max(...scores);
        weight[place] = highest + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - highest), 0));
        mixed[place] = Float64Array.from({ length: valueDim }, (_, d) =>
          seen.reduce((sum, other, j) => sum + at(shares, j) * at(values[other]?.[head], d), 0),
        );
      }
    });
    return { mixed, weight };
  };
  const perHead = Array.from({ length: heads }, (_, head) => {
    const rounds = Array.from({ length: shared ? span.rounds : 1 }, (__, round) => mixedOf(head, round));
    return inputs.map((_input, place) => {
      const shares = softmax(rounds.map(({ weight }) => at(weight, place)));
      return Float64Array.from({ length: valueDim }, (__, d) =>
        rounds.reduce((sum, { mixed }, round) => sum + at(shares, round) * at(mixed[place], d), 0),
      );
    });
  });
  const mixed = inputs.map((_, place) => concat(perHead.map((own) => own[place] ?? new Float64Array(valueDim))));
  return project(mixed, "output", [heads * valueDim, hidden], parameters);
}

/** Half as many as there are hashes: the greatest power of two up to twice the whole chunks of a sequence, halved. */
function directionsFor(tokens: number, chunk: number): number {
  let count = 1;
  while (4 * count <= 2 * Math.floor(tokens / chunk)) count *= 2;
  return count;
}
