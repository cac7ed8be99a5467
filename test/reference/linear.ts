import type { LinearAttention, Linformer, Norm, NystromAttention, RecurrentCell } from "../../src/model/types.js";
import { rotate } from "./rotate.js";
import { type Parameters, runNorm } from "./parameters.js";
import { addOuter, decayRows, headOf, project, readState, scaled, zeros } from "./sequences.js";
import {
  type Sequence,
  type Vector,
  activate,
  at,
  concat,
  dot,
  linear,
  map,
  sigmoid,
  softmax,
  split,
} from "./vectors.js";

export async function runLinearAttention(
  inputs: Sequence,
  mixer: LinearAttention,
  norm: Norm,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const { heads, keyDim, valueDim, feature, rotary, scale, normalised, decay, causal } = mixer;
  const features = typeof feature === "object" ? feature.random : keyDim;
  const drawn = typeof feature === "object" ? await parameters.matrix("features.weight", features, keyDim) : null;
  const phi = (x: Vector): Vector => {
    if (feature === "none") return x;
    if (drawn === null) return map(x, (value) => (value > 0 ? value : Math.expm1(value)) + 1);
    const small = scaled(x, keyDim ** -0.25);
    const half = dot(small, small) / 2;
    return map(linear(small, { weight: drawn, bias: null }), (value) => Math.exp(value - half) / Math.sqrt(features));
  };
  const side = async (name: string): Promise<Vector[][]> =>
    (await project(inputs, name, [hidden, heads * keyDim], parameters)).map((x, position) =>
      split(x, heads).map((head) => phi(rotate(head, position, rotary))),
    );
  const queries = await side("query");
  const keys = await side("key");
  const values = await project(inputs, "value", [hidden, heads * valueDim], parameters);
  let decays: Sequence | null = null;
  if (typeof decay === "object") {
    const down = await project(inputs, "decay_down", [hidden, decay.rank], parameters);
    const up = await project(down, "decay_up", [decay.rank, heads * keyDim], parameters, true);
    decays = up.map((x) => map(x, (value) => sigmoid(value) ** (1 / 16)));
  }
  const kept = (t: number, head: number, row: number): number => {
    if (decays !== null) return at(decays[t], head * keyDim + row);
    return decay === "fixed" ? 1 - 2 ** (-5 - head) : 1;
  };
  const states = Array.from({ length: heads }, () => zeros(features, valueDim));
  const sums = Array.from({ length: heads }, () => zeros(features, 1));
  const enter = (t: number): void =>
    states.forEach((state, head) => {
      const key = keys[t]?.[head] ?? new Float64Array();
      for (const matrix of [state, sums[head] ?? []]) decayRows(matrix, (row) => kept(t, head, row));
      addOuter(state, key, headOf(values[t], heads, head));
      addOuter(sums[head] ?? [], key, Float64Array.of(1));
    });
  if (!causal) inputs.forEach((_, t) => enter(t));
  const mixed = inputs.map((_, t) => {
    if (causal) enter(t);
    return concat(
      states.map((state, head) => {
        const query = scaled(queries[t]?.[head] ?? new Float64Array(), scale);
        const below = normalised ? at(readState(sums[head] ?? [], query), 0) : 1;
        return map(readState(state, query), (value) => value / below);
      }),
    );
  });
  if (!mixer.gated) return project(mixed, "output", [heads * valueDim, hidden], parameters);
  const own = { ...norm, kind: "rms", bias: false } as const;
  const gate = await project(inputs, "gate", [hidden, heads * valueDim], parameters);
  const normed = await Promise.all(
    mixed.map(async (x) => concat([...(await runNorm(split(x, heads), own, valueDim, parameters.within("norm.")))])),
  );
  const gated = normed.map((x, t) => map(x, (value, i) => value * activate("silu", at(gate[t], i))));
  return project(gated, "output", [heads * valueDim, hidden], parameters);
}

/** LSTM (gates i, f, g, o) and GRU (r, z, n) as PyTorch defines them. */
export async function runCell(
  inputs: Sequence,
  { cell, width, bias }: RecurrentCell,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const gates = cell === "lstm" ? 4 : 3;
  const entered = await project(inputs, "input", [hidden, gates * width], parameters, bias);
  const recurrent = {
    weight: await parameters.matrix("recurrent.weight", gates * width, width),
    bias: bias ? await parameters.vector("recurrent.bias", gates * width, "bias") : null,
  };
  let h: Vector = new Float64Array(width);
  const c = new Float64Array(width);
  const stepped = entered.map((x) => {
    const before = linear(h, recurrent);
    h = map(h, (old, i) => {
      const both = (gate: number): number => at(x, gate * width + i) + at(before, gate * width + i);
      if (cell === "lstm") {
        c[i] = sigmoid(both(1)) * at(c, i) + sigmoid(both(0)) * Math.tanh(both(2));
        return sigmoid(both(3)) * Math.tanh(at(c, i));
      }
      const candidate = Math.tanh(at(x, 2 * width + i) + sigmoid(both(0)) * at(before, 2 * width + i));
      return (1 - sigmoid(both(1))) * candidate + sigmoid(both(1)) * old;
    });
    return h;
  });
  return width === hidden ? stepped : project(stepped, "output", [width, hidden], parameters, bias);
}

export async function runLinformer(
  inputs: Sequence,
  { heads, headDim, length, positions, shared, bias }: Linformer,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const width = heads * headDim;
  const queries = await project(inputs, "query", [hidden, width], parameters, bias);
  const shortened = async (side: "key" | "value"): Promise<Sequence> => {
    const all = await project(inputs, side, [hidden, width], parameters, bias);
    const weights = await parameters.matrix(`${shared ? "sequence" : `${side}_sequence`}.weight`, length, positions);
    return Array.from({ length }, (_, row) =>
      Float64Array.from({ length: width }, (__, i) =>
        all.reduce((sum, x, t) => sum + at(weights, row * positions + t) * at(x, i), 0),
      ),
    );
  };
  const keys = await shortened("key");
  const values = await shortened("value");
  const mixed = queries.map((query) =>
    concat(
      split(query, heads).map((own, head) => {
        const weights = softmax(keys.map((key) => dot(own, headOf(key, heads, head)) / Math.sqrt(headDim)));
        return readState(
          values.map((value) => headOf(value, heads, head)),
          Float64Array.from(weights),
        );
      }),
    ),
  );
  return project(mixed, "output", [width, hidden], parameters, bias);
}

type Matrix = readonly Vector[];

function product(a: Matrix, b: Matrix): Matrix {
  return a.map((row) => readState(b, row));
}

function turned(a: Matrix): Matrix {
  return Array.from({ length: a[0]?.length ?? 0 }, (_, i) => Float64Array.from(a, (row) => at(row, i)));
}

export async function runNystrom(
  inputs: Sequence,
  { heads, headDim, landmarks, convolution }: NystromAttention,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const width = heads * headDim;
  const n = inputs.length;
  const side = async (name: string): Promise<Sequence> => project(inputs, name, [hidden, width], parameters, true);
  const [queries, keys, values] = [await side("query"), await side("key"), await side("value")];
  const kernel =
    convolution === null ? null : await parameters.read("value_convolution.weight", [heads, 1, convolution], "matrix");
  const weigh = (a: Matrix, b: Matrix): Matrix =>
    product(a, turned(b)).map((row) => Float64Array.from(softmax([...row])));
  const means = (all: Matrix): Matrix =>
    Array.from({ length: landmarks }, (_, i) => {
      const part = all.slice(Math.floor((i * n) / landmarks), Math.floor(((i + 1) * n) / landmarks));
      return Float64Array.from(
        { length: headDim },
        (__, d) => part.reduce((sum, x) => sum + at(x, d), 0) / part.length,
      );
    });
  // factor·I − a
  const less = (factor: number, a: Matrix): Matrix =>
    a.map((row, i) => map(row, (value, j) => (i === j ? factor : 0) - value));
  const inverse = (matrix: Matrix): Matrix => {
    const largest = Math.max(...turned(matrix).map((column) => column.reduce((sum, value) => sum + value, 0)));
    let z: Matrix = turned(matrix).map((row) => scaled(row, 1 / largest));
    for (let i = 0; i < 6; i += 1) {
      const az = product(matrix, z);
      const inner = less(15, product(az, less(7, az)));
      z = product(z, less(13, product(az, inner))).map((row) => scaled(row, 0.25));
    }
    return z;
  };
  const byHead = Array.from({ length: heads }, (_, head) => {
    const own = (all: Sequence, factor = 1): Matrix => all.map((x) => scaled(headOf(x, heads, head), factor));
    const [q, k, v] = [own(queries, headDim ** -0.25), own(keys, headDim ** -0.25), own(values)];
    const mixed =
      n <= landmarks
        ? product(weigh(q, k), v)
        : product(product(weigh(q, means(k)), inverse(weigh(means(q), means(k)))), product(weigh(means(q), k), v));
    if (kernel === null || convolution === null) return mixed;
    return mixed.map((x, t) =>
      map(x, (value, d) => {
        let sum = value;
        for (let i = 0; i < convolution; i += 1) {
          const other = v[t - Math.floor(convolution / 2) + i];
          if (other !== undefined) sum += at(kernel, head * convolution + i) * at(other, d);
        }
        return sum;
      }),
    );
  });
  const together = inputs.map((_, t) => concat(byHead.map((rows) => rows[t] ?? new Float64Array())));
  return project(together, "output", [width, hidden], parameters, true);
}
