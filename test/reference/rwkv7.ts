import type { Norm, Rwkv } from "../../src/model/types.js";
import type { Parameters } from "./parameters.js";
import { addOuter, decayRows, headOf, project, readState, scaled, zeros } from "./sequences.js";
import { type Sequence, type Vector, at, concat, dot, map, sigmoid } from "./vectors.js";

/** Version 7, token by token: S ← diag(w)·S − (a ⊙ κ)·(κᵀ·S) + k·vᵀ. */
export async function runRwkv7(
  inputs: Sequence,
  { width, headDim, ranks, first }: Rwkv,
  norm: Norm,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const heads = width / headDim;
  const table = await parameters.read("time_mix", [6, hidden], "bias");
  const [r, w, k, v, a, g] = [0, 1, 2, 3, 4, 5].map((row) =>
    inputs.map((x, t) => {
      const before = inputs[t - 1] ?? new Float64Array(hidden);
      return map(x, (value, i) => value + (at(before, i) - value) * at(table, row * hidden + i));
    }),
  );
  const low = async (name: string, x: Sequence = [], rank: number, bend: (value: number) => number) => {
    const down = await project(x, `${name}_down`, [hidden, rank], parameters);
    return project(
      down.map((row) => map(row, bend)),
      `${name}_up`,
      [rank, width],
      parameters,
    );
  };
  const plain = (value: number): number => value;
  const wide = (name: string): Promise<Float32Array> => parameters.vector(name, width, "bias");
  const receptance = await project(r ?? [], "receptance", [hidden, width], parameters);
  const raw = await low("decay", w, ranks.decay, Math.tanh);
  const base = await wide("decay_base");
  const rates = await low("rate", a, ranks.rate, plain);
  const rateBase = await wide("rate_base");
  const plainKeys = await project(k ?? [], "key", [hidden, width], parameters);
  const [keyNorm, keyRate] = [await wide("key_norm"), await wide("key_rate")];
  let values = await project(v ?? [], "value", [hidden, width], parameters);
  if (first === true) parameters.kept.firstValues = values;
  else {
    const shares = await low("value_mix", v, ranks.value, plain);
    const valueBase = await wide("value_base");
    values = values.map((x, t) =>
      map(x, (value, i) => {
        const theirs = at(parameters.kept.firstValues[t], i);
        return value + (theirs - value) * sigmoid(at(shares[t], i) + at(valueBase, i));
      }),
    );
  }
  const gates = await low("gate", g, ranks.gate, sigmoid);
  const bonus = await parameters.read("bonus", [heads, headDim], "bias");
  const weight = await parameters.read("norm.weight", [heads, headDim], norm.offset ? "zero" : "one");
  const bias = await parameters.read("norm.bias", [heads, headDim], "bias");
  const states = Array.from({ length: heads }, () => zeros(headDim, headDim));
  const outputs = inputs.map((_, t) => {
    const rate = map(rates[t] ?? new Float64Array(), (x, i) => sigmoid(x + at(rateBase, i)));
    const key = map(plainKeys[t] ?? new Float64Array(), (x, i) => x * (1 + (at(rate, i) - 1) * at(keyRate, i)));
    const direction = map(plainKeys[t] ?? new Float64Array(), (x, i) => x * at(keyNorm, i));
    return concat(
      states.map((state, head) => {
        const own = (x: Vector | undefined): Vector => headOf(x, heads, head);
        const start = head * headDim;
        const along = own(direction);
        const kappa = scaled(along, 1 / Math.sqrt(dot(along, along)));
        const removed = readState(state, kappa);
        decayRows(state, (i) => Math.exp(-Math.exp(-0.5) * sigmoid(at(raw[t], start + i) + at(base, start + i))));
        addOuter(
          state,
          map(kappa, (x, i) => -x * at(rate, start + i)),
          removed,
        );
        addOuter(state, own(key), own(values[t]));
        const read = readState(state, own(receptance[t]));
        const mean = read.reduce((sum, x) => sum + x, 0) / headDim;
        const spread = read.reduce((sum, x) => sum + (x - mean) ** 2, 0) / headDim;
        const pair = map(own(receptance[t]), (x, i) => x * at(key, start + i) * at(bonus, start + i));
        const now = pair.reduce((sum, x) => sum + x, 0);
        return map(read, (x, i) => {
          const scale = at(weight, start + i) + (norm.offset ? 1 : 0);
          const normed = ((x - mean) / Math.sqrt(spread + norm.epsilon)) * scale + at(bias, start + i);
          return (normed + now * at(values[t], start + i)) * at(gates[t], start + i);
        });
      }),
    );
  });
  return project(outputs, "output", [width, hidden], parameters);
}
