import type { MoeFfn, Norm } from "../../src/model/types.js";
import { type Parameters, runNorm } from "./parameters.js";
import { project } from "./sequences.js";
import {
  type Linear,
  type Sequence,
  type Vector,
  activate,
  at,
  gateBy,
  linear,
  map,
  sigmoid,
  softmax,
  softplus,
} from "./vectors.js";

/** The best `chosen` experts of each token, weighed by the softmax of their scores, and the shared one. */
export async function runMoe(
  inputs: Sequence,
  ffn: MoeFfn,
  hidden: number,
  parameters: Parameters,
  /** What the router reads where that is something else, and a factor on the weight of each expert (Gemma 4). */
  apart: { readonly ofRouter: Sequence; readonly experts: Float32Array } | null = null,
  /** Of the layer: what a norm of what the experts made takes its epsilon from. */
  norm: Norm | null = null,
): Promise<Sequence> {
  const { experts, chosen, width, gated, activation, bias, latentWidth, shared } = ffn;
  const inner = latentWidth ?? hidden;
  const raisedWidth = gated ? 2 * width : width;
  const scores = await project(
    apart?.ofRouter ?? inputs,
    "router",
    [hidden, experts + (ffn.idle ?? 0)],
    parameters,
    ffn.routerBias,
  );
  const up = await parameters.read("experts.up.weight", [experts, raisedWidth, inner], "matrix");
  const down = await parameters.read("experts.down.weight", [experts, inner, width], "matrix");
  const upBias = bias ? await parameters.read("experts.up.bias", [experts, raisedWidth], "bias") : null;
  const downBias = bias ? await parameters.read("experts.down.bias", [experts, inner], "bias") : null;
  const of = (all: Float32Array, expert: number): Float32Array =>
    all.subarray((expert * all.length) / experts, ((expert + 1) * all.length) / experts);
  const layer = (weight: Float32Array, biases: Float32Array | null, expert: number): Linear => ({
    weight: of(weight, expert),
    bias: biases === null ? null : of(biases, expert),
  });
  const expertOf = (x: Vector, expert: number): Vector => {
    const raised = linear(x, layer(up, upBias, expert));
    const middle = Float64Array.from({ length: width }, (_, i) =>
      gated ? gateBy(at(raised, i), at(raised, width + i), activation, ffn.clamp) : activate(activation, at(raised, i)),
    );
    return linear(middle, layer(down, downBias, expert));
  };
  const entered = latentWidth === undefined ? inputs : await project(inputs, "latent_in", [hidden, inner], parameters);
  const routed = entered.map((x, t) => {
    const own = [...(scores[t] ?? [])].map((score, expert) => ({ score, expert }));
    const best = own.sort((a, b) => b.score - a.score).slice(0, chosen);
    const shares = sharesOf(
      own.map(({ score }) => score),
      best.map(({ score }) => score),
      ffn.router,
    );
    const weights = best.map(({ expert }, i) => at(shares, i) * (apart === null ? 1 : at(apart.experts, expert)));
    const sum = new Float64Array(inner);
    best.forEach(({ expert }, i) => {
      // Choices beyond the experts hand the token on.
      (expert < experts ? expertOf(x, expert) : x).forEach(
        (value, j) => (sum[j] = at(sum, j) + at(weights, i) * value),
      );
    });
    return sum;
  });
  const made =
    ffn.latentNorm === true && norm !== null
      ? await runNorm(routed, { ...norm, kind: "rms", bias: false }, inner, parameters.within("latent_norm."))
      : routed;
  const left = latentWidth === undefined ? routed : await project(made, "latent_out", [inner, hidden], parameters);
  if (shared === undefined) return left;
  const raised = await project(inputs, "shared.up", [hidden, shared.width], parameters);
  const gates = gated ? await project(inputs, "shared.gate", [hidden, shared.width], parameters) : null;
  const middle = raised.map((x, t) =>
    map(x, (value, i) =>
      gates === null ? activate(activation, value) : gateBy(at(gates[t], i), value, activation, shared.clamp),
    ),
  );
  const common = await project(middle, "shared.down", [shared.width, hidden], parameters);
  const gate = shared.gate ? await project(inputs, "shared_gate", [hidden, 1], parameters) : null;
  return left.map((x, t) =>
    map(x, (value, i) => value + at(common[t], i) * (gate === null ? 1 : sigmoid(at(gate[t], 0)))),
  );
}

/** Weights of the chosen scores (transformers: models/deepseek_v2, deepseek_v3 and deepseek_v4, the routers). */
function sharesOf(all: readonly number[], chosen: readonly number[], router: MoeFfn["router"]): number[] {
  if (router === undefined) return softmax(chosen);
  const total = softmax(all);
  const weight = (score: number): number => {
    if (router.scores === "sigmoid") return sigmoid(score);
    if (router.scores === "sqrtsoftplus") return Math.sqrt(softplus(score));
    return total[all.indexOf(score)] ?? 0;
  };
  const weights = chosen.map(weight);
  const sum = router.normalised ? weights.reduce((before, value) => before + value, 0) : 1;
  return weights.map((value) => (value / sum) * router.scale);
}
