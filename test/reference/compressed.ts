import type { CompressedAttention, Norm } from "../../src/model/types.js";
import { type Parameters, runNorm } from "./parameters.js";
import { rotate } from "./rotate.js";
import { project } from "./sequences.js";
import { type Sequence, type Vector, at, concat, dot, linear, rmsNorm, softmax, split } from "./vectors.js";

/** DeepSeek-V4: a window of plain keys and compressed keys in one softmax with sinks; keys are values. */
export async function runCompressed(
  inputs: Sequence,
  mixer: CompressedAttention,
  norm: Norm,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const { heads, dim, queryRank, window, ratio, indexer, outputGroups, outputRank } = mixer;
  const rms: Norm = { ...norm, kind: "rms", bias: false };
  const down = await project(inputs, "query_down", [hidden, queryRank], parameters);
  const latent = await runNorm(down, rms, queryRank, parameters.within("query_norm."));
  const { rotary } = mixer;
  /** The last dimensions turned, or back. */
  const turn = (x: Vector, position: number): Vector =>
    rotary === undefined
      ? x
      : concat([x.slice(0, x.length - rotary.dims), rotate(x.slice(x.length - rotary.dims), position, rotary)]);
  const plain = (x: Vector): Vector =>
    rotary === undefined ? x : rmsNorm(x, new Float32Array(x.length).fill(1), norm.epsilon, false);
  const queries = (await project(latent, "query", [queryRank, heads * dim], parameters)).map((x, t) =>
    split(x, heads).map((head) => turn(plain(head), t)),
  );
  const projected = await project(inputs, "key", [hidden, dim], parameters);
  const keys = (await runNorm(projected, rms, dim, parameters.within("key_norm."))).map(turn);
  const sinks = await parameters.vector("sinks", heads, "bias");
  const compress = async (name: string, width: number): Promise<Sequence> => {
    const sizes = { dim: width, ratio, overlapping: indexer !== null };
    const groups = await groupKeys(inputs, sizes, rms, hidden, parameters.within(name));
    return groups.map((x, group) => turn(x, group * ratio));
  };
  const far = ratio === 0 ? [] : await compress("compressor.", dim);
  const visible = (position: number): number => (ratio === 0 ? 0 : Math.floor((position + 1) / ratio));
  const seen: number[][] = inputs.map((_, position) => Array.from({ length: visible(position) }, (__, group) => group));
  if (indexer !== null) {
    const small = await compress("indexer.", indexer.dim);
    const own = parameters.within("indexer.");
    const asked = await project(latent, "query", [queryRank, indexer.heads * indexer.dim], own);
    const weights = await project(inputs, "weights", [hidden, indexer.heads], own);
    seen.forEach((groups, position) => {
      const byHead = split(asked[position] ?? new Float64Array(), indexer.heads).map((x) => turn(x, position));
      const score = (group: number): number =>
        byHead.reduce((sum, q, j) => sum + at(weights[position], j) * Math.max(0, dot(q, small[group])), 0);
      const scores = new Map(groups.map((group) => [group, score(group)]));
      const order = groups.toSorted((a, b) => (scores.get(b) ?? 0) - (scores.get(a) ?? 0));
      seen[position] = order.slice(0, indexer.chosen);
    });
  }
  const mixed = queries.map((ofPosition, position) =>
    concat(
      ofPosition.map((query, head) => {
        const near = keys.slice(Math.max(0, position - window + 1), position + 1);
        const all: Vector[] = [...near, ...(seen[position] ?? []).map((group) => far[group] ?? new Float64Array(dim))];
        const shares = softmax([...all.map((key) => dot(query, key) / Math.sqrt(dim)), at(sinks, head)]);
        const sum = Float64Array.from({ length: dim }, (_, d) =>
          all.reduce((total, key, i) => total + at(shares, i) * at(key, d), 0),
        );
        return turn(sum, -position);
      }),
    ),
  );
  const width = (heads * dim) / outputGroups;
  const weight = await parameters.matrix("output_group.weight", outputGroups * outputRank, width);
  const reduced = mixed.map((x) =>
    concat(
      split(x, outputGroups).map((part, group) => {
        const own = weight.subarray(group * outputRank * width, (group + 1) * outputRank * width);
        return linear(part, { weight: own, bias: null });
      }),
    ),
  );
  return project(reduced, "output", [outputGroups * outputRank, hidden], parameters);
}

/** One key for each whole group, channel by channel a softmax over its tokens, or over theirs and the group before. */
async function groupKeys(
  inputs: Sequence,
  { dim, ratio, overlapping }: { readonly dim: number; readonly ratio: number; readonly overlapping: boolean },
  norm: Norm,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const width = overlapping ? 2 * dim : dim;
  const keys = await project(inputs, "key", [hidden, width], parameters);
  const gates = await project(inputs, "gate", [hidden, width], parameters);
  const positions = await parameters.read("positions", [ratio, width], "bias");
  const groups = Array.from({ length: Math.floor(inputs.length / ratio) }, (_, group) =>
    Float64Array.from({ length: dim }, (__, channel) => {
      const slots: { key: number; gate: number }[] = [];
      const take = (from: number, column: number): void => {
        for (let j = 0; j < ratio; j += 1) {
          const token = from * ratio + j;
          slots.push({
            key: at(keys[token], column),
            gate: at(gates[token], column) + at(positions, j * width + column),
          });
        }
      };
      if (overlapping && group > 0) take(group - 1, channel);
      take(group, overlapping ? dim + channel : channel);
      const shares = softmax(slots.map(({ gate }) => gate));
      return slots.reduce((sum, { key }, i) => sum + at(shares, i) * key, 0);
    }),
  );
  return runNorm(groups, norm, dim, parameters.within("norm."));
}
