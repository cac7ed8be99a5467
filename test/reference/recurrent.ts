import type {
  DeltaRule,
  LightningAttention,
  Mamba1,
  Mamba2,
  MatrixLstm,
  Norm,
  RgLru,
  ShortConvolution,
} from "../../src/model/types.js";
import { type Parameters, runNorm } from "./parameters.js";
import { addOuter, convolve, cut, decayRows, headOf, project, readState, scaled, silu, zeros } from "./sequences.js";
import {
  type Sequence,
  type Vector,
  activate,
  at,
  concat,
  dot,
  groupedLinear,
  map,
  rmsNorm,
  sigmoid,
  softplus,
  split,
} from "./vectors.js";

export async function runDelta(
  inputs: Sequence,
  mixer: DeltaRule,
  norm: Norm,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const { keyHeads, valueHeads, keyDim, valueDim, decayRank, gateRank } = mixer;
  const [keys, values] = [keyHeads * keyDim, valueHeads * valueDim];
  const perChannel = mixer.decay === "per-channel";
  const decayWidth = perChannel ? valueHeads * keyDim : valueHeads;
  const through = async (name: string, rank: number | null, to: number): Promise<Sequence> => {
    if (rank === null) return project(inputs, name, [hidden, to], parameters);
    const down = await project(inputs, `${name}_down`, [hidden, rank], parameters);
    return project(down, `${name}_up`, [rank, to], parameters);
  };
  const width = 2 * keys + values;
  const projected = await project(inputs, "query_key_value", [hidden, width], parameters);
  const convolved = silu(
    mixer.dynamicConvolution === undefined
      ? await convolve(projected, "convolution", width, mixer.convolution, false, parameters)
      : await convolveAnew(inputs, projected, mixer, hidden, parameters),
  );
  const [q = [], k = [], v = []] = cut(convolved, [keys, keys, values]);
  const decays = mixer.decay !== "none";
  const raw = decays ? await through("decay", decayRank, decayWidth) : [];
  const timeBias = decays ? await parameters.vector("time_bias", decayWidth, "bias") : [];
  const base = decays ? await parameters.vector("decay_base", valueHeads, "bias") : [];
  const strength = await project(inputs, "strength", [hidden, valueHeads], parameters);
  const gate = mixer.ungated === true ? [] : await through("gate", gateRank, values);
  const weight = await parameters.vector("norm.weight", valueDim, norm.offset ? "zero" : "one");
  const unit = (x: Vector): Vector => scaled(x, 1 / Math.sqrt(dot(x, x) + 1e-6));
  const states = Array.from({ length: valueHeads }, () => zeros(keyDim, valueDim));
  const mixed = inputs.map((_, t) =>
    concat(
      states.map((state, head) => {
        const source = Math.floor(head / (valueHeads / keyHeads));
        const query = unit(headOf(q[t], keyHeads, source));
        const key = unit(headOf(k[t], keyHeads, source));
        const value = headOf(v[t], valueHeads, head);
        decayRows(state, (row) => {
          if (!decays) return 1;
          const index = perChannel ? head * keyDim + row : head;
          return Math.exp(-Math.exp(at(base, head)) * softplus(at(raw[t], index) + at(timeBias, index)));
        });
        const beta = sigmoid(at(strength[t], head));
        const known = readState(state, key);
        addOuter(
          state,
          key,
          map(value, (x, j) => beta * (x - at(known, j))),
        );
        const output = readState(state, scaled(query, keyDim ** -0.5));
        return rmsNorm(output, weight, norm.epsilon, norm.offset);
      }),
    ),
  );
  if (mixer.ungated === true) return project(mixed, "out", [values, hidden], parameters);
  const gated = mixed.map((x, t) =>
    map(x, (value, i) => value * (perChannel ? sigmoid(at(gate[t], i)) : activate("silu", at(gate[t], i)))),
  );
  return project(gated, "out", [values, hidden], parameters);
}

export async function runMamba2(
  inputs: Sequence,
  mixer: Mamba2,
  norm: Norm,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const { heads, headDim, stateDim, groups, bias } = mixer;
  const [width, shared] = [heads * headDim, groups * stateDim];
  const entered = await project(inputs, "in", [hidden, 2 * width + 2 * shared + heads], parameters, bias);
  const [gate = [], inner = [], dt = []] = cut(entered, [width, width + 2 * shared, heads]);
  const convolved = silu(
    await convolve(inner, "convolution", width + 2 * shared, mixer.convolution, mixer.convolutionBias, parameters),
  );
  const [x = [], b = [], c = []] = cut(convolved, [width, shared, shared]);
  const timeBias = await parameters.vector("time_bias", heads, "bias");
  const decay = await parameters.vector("decay", heads, "bias");
  const skip = await parameters.vector("skip", heads, "bias");
  const states = Array.from({ length: heads }, () => zeros(stateDim, headDim));
  const mixed = inputs.map((_, t) =>
    concat(
      states.map((state, head) => {
        const group = Math.floor(head / (heads / groups));
        const delta = softplus(at(dt[t], head) + at(timeBias, head));
        const own = headOf(x[t], heads, head);
        decayRows(state, () => Math.exp(-Math.exp(at(decay, head)) * delta));
        addOuter(state, headOf(b[t], groups, group), scaled(own, delta));
        const read = readState(state, headOf(c[t], groups, group));
        return map(read, (value, i) => value + at(skip, head) * at(own, i));
      }),
    ),
  );
  const gated = mixed.map((y, t) => map(y, (value, i) => value * activate("silu", at(gate[t], i))));
  const left = mixer.gatedNorm
    ? await runNorm(gated, { ...norm, kind: "rms", bias: false }, width, parameters.within("norm."))
    : gated;
  return project(left, "out", [width, hidden], parameters, bias);
}

/** JetBlock (arXiv:2508.15884): of queries, keys and values the values alone are convolved, by kernels of every token's own. */
async function convolveAnew(
  inputs: Sequence,
  projected: Sequence,
  { keyHeads, valueHeads, keyDim, valueDim, convolution, dynamicConvolution }: DeltaRule,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const [keys, values] = [2 * keyHeads * keyDim, valueHeads * valueDim];
  const rank = dynamicConvolution?.rank ?? 0;
  const small = silu(await project(inputs, "kernel_down", [hidden, rank], parameters));
  const kernels = await project(small, "kernel_up", [rank, values * convolution], parameters, true);
  return projected.map((x, t) =>
    map(x, (own, i) => {
      if (i < keys) return own;
      let sum = 0;
      for (let tap = 0; tap < convolution; tap += 1) {
        const before = t - (convolution - 1) + tap;
        if (before >= 0) sum += at(kernels[t], (i - keys) * convolution + tap) * at(projected[before], i);
      }
      return sum;
    }),
  );
}

export async function runMamba1(
  inputs: Sequence,
  mixer: Mamba1,
  norm: Norm,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const { width, stateDim, timeRank, bias, heads = 1 } = mixer;
  const entered = await project(inputs, "in", [hidden, 2 * width], parameters, bias);
  const [inner = [], gate = []] = cut(entered, [width, width]);
  const x = silu(await convolve(inner, "convolution", width, mixer.convolution, mixer.convolutionBias, parameters));
  const each = timeRank + 2 * stateDim;
  const select = { weight: await parameters.matrix("select.weight", heads * each, width / heads), bias: null };
  const selected = x.map((v) => groupedLinear(v, select, heads));
  /** Δ, B or C of all heads, one behind the other. */
  const part = (from: number, size: number): Sequence =>
    selected.map((v) => concat(split(v, heads).map((own) => own.slice(from, from + size))));
  let [dt, b, c] = [part(0, timeRank), part(timeRank, stateDim), part(timeRank + stateDim, stateDim)];
  if (mixer.innerNorms) {
    const rms = { ...norm, kind: "rms", bias: false } as const;
    dt = await runNorm(dt, rms, timeRank, parameters.within("time_norm."));
    b = await runNorm(b, rms, stateDim, parameters.within("b_norm."));
    c = await runNorm(c, rms, stateDim, parameters.within("c_norm."));
  }
  const time = {
    weight: await parameters.matrix("time.weight", width, timeRank),
    bias: await parameters.vector("time.bias", width, "bias"),
  };
  const delta = dt.map((v) => map(groupedLinear(v, time, heads), softplus));
  const decay = await parameters.read("decay", [width, stateDim], "bias");
  const skip = await parameters.vector("skip", width, "bias");
  const state = zeros(width, stateDim);
  const mixed = x.map((ofToken, t) =>
    map(ofToken, (value, channel) => {
      const row = state[channel] ?? new Float64Array();
      const step = at(delta[t], channel);
      const own = Math.floor(channel / (width / heads)) * stateDim;
      let sum = at(skip, channel) * value;
      row.forEach((old, s) => {
        const kept = Math.exp(-Math.exp(at(decay, channel * stateDim + s)) * step);
        row[s] = kept * old + step * value * at(b[t], own + s);
        sum += at(row, s) * at(c[t], own + s);
      });
      return sum * activate("silu", at(gate[t], channel));
    }),
  );
  return project(mixed, "out", [width, hidden], parameters, bias);
}

export async function runLightning(
  inputs: Sequence,
  { heads, headDim }: LightningAttention,
  norm: Norm,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const width = heads * headDim;
  const projected = silu(await project(inputs, "query_key_value", [hidden, 3 * width], parameters));
  const [q = [], k = [], v = []] = cut(projected, [width, width, width]);
  const states = Array.from({ length: heads }, () => zeros(headDim, headDim));
  const part = (x: Vector | undefined, head: number): Vector => headOf(x, heads, head);
  const mixed = inputs.map((_, t) =>
    concat(
      states.map((state, head) => {
        decayRows(state, () => Math.exp(-(2 ** ((-8 * (head + 1)) / heads))));
        addOuter(state, part(k[t], head), part(v[t], head));
        return readState(state, part(q[t], head));
      }),
    ),
  );
  const normed = await runNorm(mixed, { ...norm, kind: "rms", bias: false }, width, parameters.within("norm."));
  const gate = await project(inputs, "gate", [hidden, width], parameters);
  const gated = normed.map((x, t) => map(x, (value, i) => value * sigmoid(at(gate[t], i))));
  return project(gated, "out", [width, hidden], parameters);
}

/** With the stabiliser m of the paper, which the executed graph does without. */
export async function runMatrixLstm(
  inputs: Sequence,
  mixer: MatrixLstm,
  norm: Norm,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const { heads, keyDim, valueDim } = mixer;
  const values = heads * valueDim;
  const q = await project(inputs, "query", [hidden, heads * keyDim], parameters);
  const k = await project(inputs, "key", [hidden, heads * keyDim], parameters);
  const v = await project(inputs, "value", [hidden, values], parameters);
  const output = await project(inputs, "output_gate", [hidden, values], parameters);
  const input = await project(inputs, "input_gate", [hidden, heads], parameters, true);
  const forget = await project(inputs, "forget_gate", [hidden, heads], parameters, true);
  const weight = await parameters.vector("norm.weight", values, norm.offset ? "zero" : "one");
  const bias = norm.bias ? await parameters.vector("norm.bias", values, "bias") : null;
  const capped = (x: number): number => 15 * Math.tanh(x / 15);
  const memories = Array.from({ length: heads }, () => ({
    state: zeros(keyDim, valueDim),
    sum: zeros(keyDim, 1),
    most: Number.NEGATIVE_INFINITY,
  }));
  const part = (x: Vector | undefined, head: number): Vector => headOf(x, heads, head);
  const mixed = inputs.map((_, t) =>
    concat(
      memories.map((memory, head) => {
        const i = capped(at(input[t], head));
        const f = -softplus(-capped(at(forget[t], head)));
        const most = Math.max(f + memory.most, i);
        const kept = memory.most === Number.NEGATIVE_INFINITY ? 0 : Math.exp(f + memory.most - most);
        for (const matrix of [memory.state, memory.sum]) decayRows(matrix, () => kept);
        const key = scaled(part(k[t], head), Math.exp(i - most));
        addOuter(memory.state, key, part(v[t], head));
        addOuter(memory.sum, key, Float64Array.of(1));
        memory.most = most;
        const query = scaled(part(q[t], head), keyDim ** -0.5);
        const below = Math.max(Math.abs(at(readState(memory.sum, query), 0)), Math.exp(-most));
        const read = map(readState(memory.state, query), (value) => value / below);
        const mean = norm.kind === "layer" ? read.reduce((sum, value) => sum + value, 0) / valueDim : 0;
        const own = weight.subarray(head * valueDim, (head + 1) * valueDim);
        return rmsNorm(
          map(read, (value) => value - mean),
          own,
          norm.epsilon,
          norm.offset,
        );
      }),
    ),
  );
  const gated = mixed.map((x, t) =>
    map(x, (value, i) => (value + (bias === null ? 0 : at(bias, i))) * sigmoid(at(output[t], i))),
  );
  return project(gated, "out", [values, hidden], parameters);
}

export async function runRgLru(
  inputs: Sequence,
  { width, heads, convolution }: RgLru,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const gate = await project(inputs, "gate", [hidden, width], parameters, true);
  const entered = await project(inputs, "in", [hidden, width], parameters, true);
  const x = await convolve(entered, "convolution", width, convolution, true, parameters);
  const block = width / heads;
  const byBlock = async (name: string): Promise<Sequence> => {
    const weight = await parameters.matrix(`${name}.weight`, width, block);
    const bias = await parameters.vector(`${name}.bias`, width, "bias");
    return x.map((ofToken) =>
      map(ofToken, (_, i) => {
        const own = ofToken.slice(Math.floor(i / block) * block, (Math.floor(i / block) + 1) * block);
        return sigmoid(dot(own, Float64Array.from(weight.subarray(i * block, (i + 1) * block))) + at(bias, i));
      }),
    );
  };
  const entering = await byBlock("input_gate");
  const recurrent = await byBlock("recurrent_gate");
  const decay = await parameters.vector("decay", width, "bias");
  const state = new Float64Array(width);
  const mixed = x.map((ofToken, t) =>
    map(ofToken, (value, i) => {
      const a = Math.exp(-8 * at(recurrent[t], i) * softplus(at(decay, i)));
      const factor = t === 0 ? 1 : Math.sqrt(1 - a * a);
      state[i] = a * at(state, i) + factor * at(entering[t], i) * value;
      return at(state, i) * activate("gelu-tanh", at(gate[t], i));
    }),
  );
  return project(mixed, "out", [width, hidden], parameters, true);
}

export async function runShortConvolution(
  inputs: Sequence,
  { width, convolution, bias }: ShortConvolution,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const [b = [], c = [], x = []] = cut(await project(inputs, "in", [hidden, 3 * width], parameters, bias), [
    width,
    width,
    width,
  ]);
  const entering = x.map((ofToken, t) => map(ofToken, (value, i) => value * at(b[t], i)));
  const convolved = await convolve(entering, "convolution", width, convolution, bias, parameters);
  const gated = convolved.map((ofToken, t) => map(ofToken, (value, i) => value * at(c[t], i)));
  return project(gated, "out", [width, hidden], parameters, bias);
}
