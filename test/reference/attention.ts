import type { Attention, Norm } from "../../src/model/types.js";
import { rotate } from "./rotate.js";
import { seesBlock, seesGlobalWindow, seesStride } from "./patterns.js";
import { choose } from "./indexer.js";
import { type Adapt, type Parameters, runNorm } from "./parameters.js";
import {
  type Linear,
  type Sequence,
  type Vector,
  at,
  cap,
  concat,
  dot,
  groupedLinear,
  linear,
  map,
  rmsNorm,
  sigmoid,
  softmax,
  split,
} from "./vectors.js";

export async function runAttention(
  inputs: Sequence,
  mixer: Attention,
  norm: Norm,
  hidden: number,
  parameters: Parameters,
  adapt: Adapt = async (_side, _inputs, projected) => projected,
): Promise<Sequence> {
  const { heads, kvHeads, keyDim, valueDim } = mixer;
  const source = mixer.source === "encoder" ? parameters.kept.encoded : inputs;
  const widthOf = (side: "query" | "key" | "value"): number =>
    side === "query" ? (mixer.inputWidth ?? hidden) : (mixer.sourceWidth ?? source[0]?.length ?? hidden);
  const project = async (side: "query" | "key" | "value" | "output", x: Sequence, from: number, to: number) => {
    const weights: Linear = {
      weight: await parameters.matrix(`${side}.weight`, to, from / (mixer.groups?.[side] ?? 1)),
      bias: mixer.bias[side] ? await parameters.vector(`${side}.bias`, to, "bias") : null,
    };
    const projected = x.map((vector) => groupedLinear(vector, weights, mixer.groups?.[side] ?? 1));
    return adapt(side, x, projected);
  };
  const turn = (vector: Vector, position: number, count: number): Vector[] =>
    split(vector, count).map((head) => rotate(head, position, mixer.rotary));
  const prepare = async (side: "query" | "key", count: number): Promise<Vector[][]> => {
    const from = filteredInputs ?? (side === "key" ? source : inputs);
    const projected = await project(side, from, widthOf(side), count * keyDim);
    if (mixer.queryKeyNorm === "none") return projected.map((x, position) => turn(x, position, count));
    const perHead = mixer.queryKeyNorm === "per-head" || mixer.queryKeyNorm === "each-head";
    const width = perHead ? keyDim : count * keyDim;
    const layerNorm = mixer.queryKeyLayerNorm;
    const own: Norm = { ...norm, kind: layerNorm === undefined ? "rms" : "layer", bias: layerNorm?.bias ?? false };
    if (mixer.queryKeyNorm === "each-head") {
      const weight = await parameters.read(`${side}_norm.weight`, [count, width], norm.offset ? "zero" : "one");
      return projected.map((x, position) => {
        const parts = split(x, count).map((head, i) =>
          rmsNorm(head, weight.subarray(i * width, (i + 1) * width), norm.epsilon, norm.offset),
        );
        return turn(concat(parts), position, count);
      });
    }
    const groups = projected.map((vector) => split(vector, vector.length / width));
    const normed = await Promise.all(
      groups.map((parts) => runNorm(parts, own, width, parameters.within(`${side}_norm.`))),
    );
    return normed.map((parts, position) => turn(concat(parts), position, count));
  };
  const filteredInputs =
    mixer.filter === undefined ? null : await filtered(inputs, mixer.filter.width, norm, hidden, parameters);
  const queries = await prepare("query", heads);
  const kept = parameters.kept.keysAndValues;
  if (mixer.keyValue !== "shared") {
    const valuesFrom = mixer.keyValue === "key-is-value" ? "key" : "value";
    const projected = await project(valuesFrom, source, widthOf(valuesFrom), kvHeads * valueDim);
    kept.set(mixer.span.kind, {
      keys: await prepare("key", kvHeads),
      values: projected.map((x) =>
        split(x, kvHeads).map((head) => (mixer.valueNorm === true ? unscaled(head, norm) : head)),
      ),
    });
  }
  const { keys, values } = kept.get(mixer.span.kind) ?? { keys: [], values: [] };
  const bias = await relativeBias(mixer, parameters);
  const chosen =
    mixer.indexer === undefined
      ? null
      : await choose(inputs, inputs, mixer.indexer, mixer.rotary, norm, hidden, parameters);
  const byPlace = await scoresByPlace(mixer, hidden, parameters);
  const sinks = mixer.sinks === true ? await parameters.vector("sinks", heads, "bias") : null;

  const mixed = queries.map((ofPosition, position) =>
    concat(
      ofPosition.map((query, head) => {
        const shared = Math.floor(head / (heads / kvHeads));
        const seen = keys
          .map((_, other) => other)
          .filter(
            (other) => sees(mixer, position, other, keys.length, head) && (chosen?.[position]?.has(other) ?? true),
          );
        const scores = seen.map((other) => {
          const score = dot(query, keys[other]?.[shared]) * mixer.scale;
          return (
            (mixer.softcap === null ? score : cap(score, mixer.softcap)) +
            bias(other - position, head) +
            byPlace(query, keys[other]?.[shared], position - other, head) * mixer.scale
          );
        });
        // A sink takes part in the softmax, and mixes nothing in.
        const weights = softmax(sinks === null ? scores : [...scores, at(sinks, head)]);
        const sum = new Float64Array(valueDim);
        seen.forEach((other, i) => {
          for (let d = 0; d < valueDim; d += 1) sum[d] = at(sum, d) + at(weights, i) * at(values[other]?.[shared], d);
        });
        return sum;
      }),
    ),
  );
  return project("output", await gate(mixed, inputs, mixer, hidden, parameters), heads * valueDim, hidden);
}

/** Each token with the one before, twice, through a narrower width (Yuan 2's `LocalizedFiltering`). */
async function filtered(
  inputs: Sequence,
  width: number,
  norm: Norm,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const pass = async (x: Sequence, name: string, from: number, to: number): Promise<Sequence> => {
    const weights = {
      weight: await parameters.matrix(`${name}.weight`, to, 2 * from),
      bias: await parameters.vector(`${name}.bias`, to, "bias"),
    };
    return x.map((own, t) => linear(concat([x[t - 1] ?? new Float64Array(from), own]), weights));
  };
  const up = await pass(await pass(inputs, "filter_down", hidden, width), "filter_up", width, hidden);
  const scale = await parameters.vector("filter_norm.weight", hidden, norm.offset ? "zero" : "one");
  return up.map((x, t) =>
    rmsNorm(
      map(x, (value, i) => value + at(inputs[t], i)),
      scale,
      norm.epsilon,
      norm.offset,
    ),
  );
}

/** An RMS norm without weights. */
function unscaled(x: Vector, { epsilon }: Norm): Vector {
  return rmsNorm(x, new Float32Array(x.length).fill(1), epsilon, false);
}

async function gate(
  mixed: Sequence,
  inputs: Sequence,
  { gate: kind, heads, valueDim }: Attention,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  if (kind === undefined) return mixed;
  const width = kind === "per-head" ? heads : heads * valueDim;
  const weights = { weight: await parameters.matrix("gate.weight", width, hidden), bias: null };
  return mixed.map((x, position) => {
    const gates = linear(inputs[position] ?? x, weights);
    return map(x, (value, i) => value * sigmoid(at(gates, kind === "per-head" ? Math.floor(i / valueDim) : i)));
  });
}

/**
 * The bias of a distance (key − query) and head: `_relative_position_bucket` of T5's own code, equation by equation
 * (arXiv:1910.10683; google-research/text-to-text-transfer-transformer, mesh_tensorflow/transformer).
 */
async function relativeBias(
  { relativePositions, heads, causal }: Attention,
  parameters: Parameters,
): Promise<(distance: number, head: number) => number> {
  if (relativePositions === undefined) return () => 0;
  const { buckets, reach, own } = relativePositions;
  if (own) parameters.kept.relative = await parameters.read("relative_positions", [buckets, heads], "bias");
  const table = parameters.kept.relative;
  return (distance, head) => {
    let bucket = 0;
    let count = buckets;
    let away = Math.max(0, -distance);
    if (!causal) {
      count /= 2;
      if (distance > 0) bucket += count;
      away = Math.abs(distance);
    }
    const exact = Math.floor(count / 2);
    const wide = exact + Math.floor((Math.log(away / exact) / Math.log(reach / exact)) * (count - exact));
    bucket += away < exact ? away : Math.min(wide, count - 1);
    return at(table ?? undefined, bucket * heads + head);
  };
}

/**
 * Scores by place, `disentangled_attention_bias` of DeBERTa's own code pair by pair (arXiv:2006.03654;
 * microsoft/DeBERTa): content to place, and place to content, of the distance query − key.
 */
async function scoresByPlace(
  { disentangled, heads, keyDim, bias }: Attention,
  hidden: number,
  parameters: Parameters,
): Promise<(query: Vector, key: Vector | undefined, distance: number, head: number) => number> {
  if (disentangled === undefined) return () => 0;
  const { reach, farthest, places, shared } = disentangled;
  const layer = parameters.sibling("extra.");
  const projected = async (side: "key" | "query"): Promise<Vector[][]> => {
    const from = shared ? parameters : layer;
    const [weight, named] = shared ? [`${side}.weight`, `${side}.bias`] : [`position_${side}`, `position_${side}_bias`];
    // Weights beside a layer's parts are drawn as small noise.
    const init = shared ? "matrix" : "bias";
    // The first generation has no bias on places that keys stand at.
    const biased = shared ? bias[side] : side === "query" || bias.key;
    const projection: Linear = {
      weight: await from.read(weight ?? "", [heads * keyDim, hidden], init),
      bias: biased ? await from.vector(named ?? "", heads * keyDim, "bias") : null,
    };
    return parameters.kept.places.map((x) => split(linear(x, projection), heads));
  };
  const ofKeys = places.includes("key") ? await projected("key") : null;
  const ofQueries = places.includes("query") ? await projected("query") : null;
  const placeOf = (distance: number): number => {
    const mid = Math.floor(reach / 2);
    const away = Math.abs(distance);
    const shares = farthest !== null && away > mid;
    const logarithm = shares ? Math.log(away / mid) / Math.log((farthest - 1) / mid) : 0;
    const bucket = shares ? Math.sign(distance) * (mid + Math.ceil(logarithm * (mid - 1) - 1e-12)) : distance;
    return Math.min(2 * reach - 1, Math.max(0, bucket + reach));
  };
  return (query, key, distance, head) => {
    const place = placeOf(distance);
    const ofKey = ofKeys === null ? 0 : dot(query, ofKeys[place]?.[head]);
    const ofQuery = ofQueries === null || key === undefined ? 0 : dot(key, ofQueries[place]?.[head]);
    return ofKey + ofQuery;
  };
}

function sees({ span, causal, heads }: Attention, position: number, other: number, n: number, head: number): boolean {
  if (causal && other > position) return false;
  if (span.kind === "full" || span.kind === "chosen") return true;
  if (span.kind === "strided") return seesStride(span, position, other, { head, heads });
  if (span.kind === "blocks") return seesBlock(span, position, other, n);
  if (span.kind === "window" && !causal) return seesGlobalWindow(span, position, other);
  if (span.kind === "window") return Math.abs(position - other) < span.size || other < (span.first ?? 0);
  if (span.kind === "chunk") return Math.floor(position / span.size) === Math.floor(other / span.size);
  throw new Error(`no reference for a ${span.kind} span`);
}
