import { normalQuantile } from "../../src/math/distributions.js";
import type { Attention, DenseFfn, Ffn, Layer } from "../../src/model/types.js";
import { follow, laurel, predict, streamsIn } from "./alternating.js";
import { runMixer } from "./mixers.js";
import { runMoe } from "./moe.js";
import { type Parameters, runNorm } from "./parameters.js";
import { runRwkvFfn } from "./rwkv.js";
import { project } from "./sequences.js";
import { collapse, expand, streamWeights } from "./streams.js";
import {
  type Linear,
  type Sequence,
  type Vector,
  activate,
  addUp,
  at,
  concat,
  gateBy,
  groupedLinear,
  linear,
  map,
  normOfBoth,
  rmsNorm,
  row,
  softmax,
  softplus,
  split,
} from "./vectors.js";

interface Branch {
  readonly name: string;
  readonly run: (x: Sequence, own: Parameters, stream: Sequence) => Promise<Sequence>;
}

/** One layer: its branches with their norms and residuals, and what it has beside them. */
export async function runLayer(
  stream: Sequence,
  layer: Layer,
  hidden: number,
  parameters: Parameters,
  /** Index of the layer in its stack. */
  index: number,
): Promise<Sequence> {
  const extras = parameters.within("extra.");
  const shapeOf = (name: string): readonly number[] | undefined =>
    layer.extras?.weights?.find((weight) => weight.name === name)?.shape;
  const extra = async (name: string): Promise<Float32Array | null> => {
    const shape = shapeOf(name);
    return shape === undefined ? null : extras.read(name, shape, "bias");
  };
  const { epsilon } = layer.norm;
  const preNorm = await extra("pre_norm");
  const depthwise = await extra("kernel_depthwise");
  let result = preNorm === null ? stream : stream.map((x) => normOfBoth(x, preNorm, epsilon));
  const mixers = layer.mixers.map((mixer, place): Branch => {
    const name = layer.mixers.length === 1 ? "mixer." : `mixer${place}.`;
    return {
      name,
      run: async (x, own) => {
        const mixed = await runMixer(x, mixer, layer.norm, hidden, own);
        return mixer.kind === "attention" && depthwise !== null
          ? addUp(mixed, await convolveSpans(x, mixer, hidden, { own, extras, depthwise }))
          : mixed;
      },
    };
  });
  const activation = await extra("activation");
  const ffns = layer.ffns.map((ffn, place): Branch => {
    const name = layer.ffns.length === 1 ? "ffn." : `ffn${place}.`;
    return { name, run: (x, own, before) => runAnyFfn(x, ffn, hidden, own, { layer, extras, before, activation }) };
  });
  const scales = await extra("layer_scales");
  const postNorm = await extra("post_mlp_norm");
  const count = streamsIn(layer.extras);
  let predicted: Vector[][] = [];
  /** What leaves a branch before it is added. */
  const leaving = (name: string, branch: Sequence): Sequence => {
    if (scales !== null) {
      const own = row(scales, hidden, name.startsWith("mixer") ? 0 : 1);
      return branch.map((x) => map(x, (value, i) => value * at(own, i)));
    }
    if (postNorm !== null && name === "ffn.") return branch.map((x) => rmsNorm(x, postNorm, epsilon, false));
    return branch;
  };
  /** A branch: what several parts make of one normed input is added up. */
  const pass = async (name: string, parts: readonly Branch[]): Promise<void> => {
    const own = parameters.within(name);
    const norm = (side: "pre" | "post", x: Sequence): Promise<Sequence> =>
      runNorm(x, layer.norm, hidden, own.within(`${side}_norm.`));
    const together = async (x: Sequence): Promise<Sequence> => {
      let sum: Sequence | null = null;
      for (const part of parts) {
        const made = await part.run(x, parameters.within(part.name), result);
        sum = sum === null ? made : addUp(sum, made);
      }
      return sum ?? [];
    };
    switch (layer.normPlacement) {
      case "pre": {
        const side = name === "mixer." ? "mixer" : "ffn";
        // Two streams side by side (Reformer): each kind of part reads one and adds to the other.
        if ((result[0]?.length ?? 0) === 2 * hidden) {
          const halves = result.map((x) => split(x, 2));
          const half = (place: 0 | 1): Sequence => halves.map((streams) => streams[place] ?? new Float64Array(hidden));
          const made = await together(await norm("pre", half(side === "mixer" ? 1 : 0)));
          const changed = addUp(half(side === "mixer" ? 0 : 1), made);
          const [first, second] = side === "mixer" ? [changed, half(1)] : [half(0), changed];
          result = first.map((x, i) => concat([x, second[i] ?? new Float64Array(hidden)]));
          break;
        }
        if (layer.extras?.linears?.some(({ name: found }) => found === `${side}_streams`) === true) {
          const weights = await streamWeights(result, side, (result[0]?.length ?? 0) / hidden, extras);
          const read = collapse(
            result,
            weights.map(({ into }) => into),
          );
          result = expand(result, await together(await norm("pre", read)), weights);
          break;
        }
        const made = name === "mixer." ? parameters.kept.aside : null;
        if (made !== null) parameters.kept.aside = null;
        const read = made === null ? result : addUp(result, await project(made, "linear", [hidden, hidden], extras));
        const input = layer.withoutMixerNorm === true && name === "mixer." ? result : await norm("pre", read);
        result = addUp(result, leaving(name, await together(input)));
        break;
      }
      case "post-branch":
        result = addUp(result, await norm("post", await together(result)));
        break;
      case "sandwich":
        if (count > 1 && name === "mixer.") {
          predicted = await predict(result, count, hidden, extras);
          const active = predicted.map(([first]) => first ?? new Float64Array(hidden));
          const normed = await norm("pre", active);
          const rank = layer.extras?.linears?.find(({ name: found }) => found === "laurel_left")?.outWidth ?? 0;
          const beside = await laurel(normed, rank, hidden, extras);
          const attended = addUp(active, await norm("post", await together(normed)));
          result = addUp(attended, beside).map((x) => map(x, (value) => value / Math.SQRT2));
          break;
        }
        result = addUp(result, leaving(name, await norm("post", await together(await norm("pre", result)))));
        break;
      case "post-residual":
        result = await norm("post", addUp(result, leaving(name, await together(result))));
        break;
    }
  };
  switch (layer.arrangement ?? "sequence") {
    case "sequence":
      for (const part of [...mixers, ...ffns]) await pass(part.name, [part]);
      break;
    case "parallel":
      await pass("branch.", [...mixers, ...ffns]);
      break;
    case "parallel-two-norms": {
      const input = result;
      for (const { name, run } of [...mixers, ...ffns]) {
        const own = parameters.within(name);
        const normed = await runNorm(input, layer.norm, hidden, own.within("pre_norm."));
        result = addUp(result, await run(normed, own, input));
      }
      break;
    }
    case "parallel-mixers":
      await pass("mixers.", mixers);
      for (const part of ffns) await pass(part.name, [part]);
      break;
    case "parallel-ffns":
      for (const part of mixers) await pass(part.name, [part]);
      await pass("ffns.", ffns);
      break;
  }
  if (count === 1) return addUp(result, await ownInput(result, layer, hidden, extras, index));
  const [first, ...others] = turned(await follow(predicted, result, hidden, extras));
  const scaled = await extra("altup_output_scale");
  const given = (first ?? []).map((x) => (scaled === null ? x : map(x, (value, d) => value * at(scaled, d))));
  const own = await ownInput(given, layer, hidden, extras, index);
  return turned([first ?? [], ...others.map((other) => addUp(other, own))]).map(concat);
}

/** From lists of tokens' streams to lists of streams' tokens, and back. */
function turned(lists: readonly (readonly Vector[])[]): Vector[][] {
  return (lists[0] ?? []).map((_, place) => lists.map((list) => list[place] ?? new Float64Array()));
}

/** ConvBERT's span-based dynamic convolution (arXiv:2008.02496), token by token. */
async function convolveSpans(
  inputs: Sequence,
  { heads, keyDim, bias }: Attention,
  hidden: number,
  {
    own,
    extras,
    depthwise,
  }: { readonly own: Parameters; readonly extras: Parameters; readonly depthwise: Float32Array },
): Promise<Sequence> {
  const width = heads * keyDim;
  const taps = depthwise.length / hidden;
  const queries = await project(inputs, "query", [hidden, width], own, bias.query);
  const near = inputs.map((_, t) =>
    Float64Array.from({ length: hidden }, (__, channel) => {
      let sum = 0;
      for (let tap = 0; tap < taps; tap += 1) {
        const x = inputs[t + tap - Math.floor(taps / 2)];
        if (x !== undefined) sum += at(depthwise, channel * taps + tap) * at(x, channel);
      }
      return sum;
    }),
  );
  const spans = await project(near, "kernel_pointwise", [hidden, width], extras, true);
  const products = spans.map((x, t) => map(x, (value, i) => value * at(queries[t], i)));
  const raw = await project(products, "kernel", [width, heads * taps], extras, true);
  const values = await project(inputs, "convolved", [hidden, width], extras, true);
  const mixed = raw.map((x, t) => {
    const kernels = split(x, heads).map((kernel) => softmax([...kernel]));
    return Float64Array.from({ length: width }, (_, i) =>
      (kernels[Math.floor(i / keyDim)] ?? []).reduce((sum, share, tap) => {
        const value = values[t + tap - Math.floor(taps / 2)];
        return value === undefined ? sum : sum + share * at(value, i);
      }, 0),
    );
  });
  return project(mixed, "convolved_out", [width, hidden], extras);
}

/** Gemma 4: an input of the layer's own, gated by the stream, projected and normed: what is added. */
async function ownInput(
  stream: Sequence,
  { extras, norm }: Layer,
  hidden: number,
  parameters: Parameters,
  index: number,
): Promise<Sequence> {
  const width = extras?.linears?.find(({ name }) => name === "per_layer_gate")?.outWidth;
  if (width === undefined) return stream.map((x) => new Float64Array(x.length));
  const gate: Linear = { weight: await parameters.matrix("per_layer_gate.weight", width, hidden), bias: null };
  const back: Linear = { weight: await parameters.matrix("per_layer_projection.weight", hidden, width), bias: null };
  const scale = await parameters.vector("per_layer_norm", hidden, "bias");
  return stream.map((x, position) => {
    const own = row(Float32Array.from(parameters.kept.perLayer[position] ?? []), width, index);
    const gated = map(linear(x, gate), (value, i) => activate("gelu-tanh", value) * at(own, i));
    return rmsNorm(linear(gated, back), scale, norm.epsilon, norm.offset);
  });
}

interface Surroundings {
  readonly layer: Layer;
  /** Parameters of the layer beside its parts. */
  readonly extras: Parameters;
  /** The stream before the branch's norm. */
  readonly before: Sequence;
  /** The two numbers of a learned activation. */
  readonly activation: Float32Array | null;
}

export async function runAnyFfn(
  inputs: Sequence,
  ffn: Ffn,
  hidden: number,
  parameters: Parameters,
  { layer, extras, before, activation }: Surroundings,
): Promise<Sequence> {
  const { epsilon } = layer.norm;
  const shape = layer.extras?.weights?.find(({ name }) => name === "expert_norms")?.shape;
  const norms = shape === undefined ? null : await extras.read("expert_norms", shape, "bias");
  const normed = (x: Sequence, place: number): Sequence =>
    norms === null
      ? x
      : x.map((vector) => rmsNorm(vector, norms.subarray(place * hidden, (place + 1) * hidden), epsilon, false));
  switch (ffn.kind) {
    case "dense":
      return normed(await runFfn(inputs, ffn, hidden, parameters, activation), 0);
    case "rwkv4-ffn":
      return runRwkvFfn(inputs, ffn, hidden, parameters);
    case "moe": {
      if (norms === null) return runMoe(inputs, ffn, hidden, parameters, null, layer.norm);
      const channels = await extras.vector("router_scale", hidden, "bias");
      const ofRouter = before.map((x) =>
        rmsNorm(
          x,
          channels.map((value) => value / Math.sqrt(hidden)),
          epsilon,
          false,
        ),
      );
      const experts = await extras.vector("expert_scale", ffn.experts, "bias");
      return normed(await runMoe(normed(before, 1), ffn, hidden, parameters, { ofRouter, experts }), 2);
    }
  }
}

export async function runFfn(
  inputs: Sequence,
  ffn: DenseFfn,
  hidden: number,
  parameters: Parameters,
  learned: Float32Array | null,
): Promise<Sequence> {
  const groupsOf = (side: "gate" | "up" | "down"): number => (side === "gate" ? 1 : (ffn.groups?.[side] ?? 1));
  const weights = async (side: "gate" | "up" | "down", from: number, to: number): Promise<Linear> => ({
    weight: await parameters.matrix(`${side}.weight`, to, from / groupsOf(side)),
    bias: ffn.bias ? await parameters.vector(`${side}.bias`, to, "bias") : null,
  });
  const up = await weights("up", hidden, ffn.width);
  const down = await weights("down", ffn.width, hidden);
  const gate = ffn.gated ? await weights("gate", hidden, ffn.width) : null;
  const cut = (x: Vector): Vector => (ffn.sparsity === undefined ? x : aboveOthers(x, normalQuantile(ffn.sparsity)));
  const bend = (x: number): number => (learned === null ? activate(ffn.activation, x) : xielu(x, learned));
  return inputs.map((x) => {
    const raised = groupedLinear(x, up, groupsOf("up"));
    const gates = gate === null ? raised : cut(linear(x, gate));
    const factors = gate === null ? null : raised;
    const inner = map(gates, (value, i) =>
      factors === null || ffn.clamp === undefined
        ? bend(value) * (factors === null ? 1 : at(factors, i))
        : gateBy(value, at(factors, i), ffn.activation, ffn.clamp),
    );
    return groupedLinear(inner, down, groupsOf("down"));
  });
}

/** What is above the mean and so many standard deviations (Gemma 3n's `_gaussian_topk`). */
function aboveOthers(x: Vector, cutoff: number): Vector {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const deviation = Math.sqrt(x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length);
  return map(x, (value) => Math.max(0, value - mean - cutoff * deviation));
}

/** xIELU (arXiv:2411.13010), with beta = 1/2 and epsilon = −10⁻⁶ as Apertus has them. */
function xielu(x: number, numbers: Float32Array): number {
  if (x > 0) return softplus(at(numbers, 0)) * x * x + x / 2;
  return (Math.expm1(Math.min(x, -1e-6)) - x) * (1 / 2 + softplus(at(numbers, 1))) + x / 2;
}
