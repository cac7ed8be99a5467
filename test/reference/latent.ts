import type { LatentAttention, Norm } from "../../src/model/types.js";
import { rotate } from "./rotate.js";
import { choose } from "./indexer.js";
import type { Parameters } from "./parameters.js";
import { runNorm } from "./parameters.js";
import { project } from "./sequences.js";
import { type Sequence, at, concat, dot, linear, map, sigmoid, softmax, split } from "./vectors.js";

/** Latent attention in its expanded form: keys and values of every head and token are made and met one by one. */
export async function runLatentAttention(
  inputs: Sequence,
  mixer: LatentAttention,
  norm: Norm,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const { heads, kvRank, nopeDim, ropeDim, valueDim, queryRank, bias } = mixer;
  const rms: Norm = { ...norm, kind: "rms", bias: false };
  let low = inputs;
  if (queryRank !== null) {
    const down = await project(inputs, "query_down", [hidden, queryRank], parameters, bias);
    low = await runNorm(down, rms, queryRank, parameters.within("query_norm."));
  }
  const width = queryRank ?? hidden;
  const queries = (await project(low, "query", [width, heads * (nopeDim + ropeDim)], parameters)).map((x, position) =>
    split(x, heads).map((head) => turn(head, position)),
  );
  const latents = await project(inputs, "latent", [hidden, kvRank + ropeDim], parameters, bias);
  const normed = await runNorm(
    latents.map((x) => x.slice(0, kvRank)),
    rms,
    kvRank,
    parameters.within("latent_norm."),
  );
  const expanded = await project(normed, "expand", [kvRank, heads * (nopeDim + valueDim)], parameters);
  const keys = expanded.map((x, position) => {
    const shared = rotate(latents[position]?.slice(kvRank) ?? x, position, mixer.rotary);
    return split(x, heads).map((head) => concat([head.slice(0, nopeDim), shared]));
  });
  const values = expanded.map((x) => split(x, heads).map((head) => head.slice(nopeDim)));
  const sinks = mixer.sinks === true ? await parameters.vector("sinks", heads, "bias") : null;
  const { kept } = parameters;
  if (mixer.indexer !== undefined) {
    kept.chosen = await choose(inputs, low, mixer.indexer, mixer.rotary, norm, hidden, parameters);
  }
  const chosen = mixer.indexer === undefined && mixer.sharedIndexer === undefined ? null : kept.chosen;
  const sees = (position: number, other: number): boolean =>
    other <= position && (chosen?.[position]?.has(other) ?? true);
  const mixed = queries.map((ofPosition, position) =>
    concat(
      ofPosition.map((query, head) => {
        const seen = keys.flatMap((_, other) => (sees(position, other) ? [other] : []));
        const scores = seen.map((other) => dot(query, keys[other]?.[head]) * mixer.scale);
        const weights = softmax(sinks === null ? scores : [...scores, at(sinks, head)]);
        return Float64Array.from({ length: valueDim }, (_, d) =>
          seen.reduce((sum, other, i) => sum + at(weights, i) * at(values[other]?.[head], d), 0),
        );
      }),
    ),
  );
  const gated = await gate();
  return project(gated, "output", [heads * valueDim, hidden], parameters, bias);

  function turn(head: Float64Array, position: number): Float64Array {
    return concat([head.slice(0, nopeDim), rotate(head.slice(nopeDim), position, mixer.rotary)]);
  }

  async function gate(): Promise<Sequence> {
    if (mixer.gate === undefined) return mixed;
    const [source, from] = mixer.gateFromQuery === true ? [low, width] : [inputs, hidden];
    const each = mixer.gate === "per-head" ? heads : heads * valueDim;
    const weights = { weight: await parameters.matrix("gate.weight", each, from), bias: null };
    return mixed.map((x, position) => {
      const gates = linear(source[position] ?? x, weights);
      return map(x, (value, i) => value * sigmoid(at(gates, each === heads ? Math.floor(i / valueDim) : i)));
    });
  }
}
