import type { Norm, Rwkv, Rwkv4, RwkvFfn } from "../../src/model/types.js";
import type { Parameters } from "./parameters.js";
import { addOuter, decayRows, headOf, project, readState, zeros } from "./sequences.js";
import { type Sequence, activate, at, concat, linear, map, sigmoid } from "./vectors.js";

/** x·μ + x′·(1 − μ) with the token before. */
function mixBefore(inputs: Sequence, share: ArrayLike<number>): Sequence {
  return inputs.map((x, t) =>
    map(x, (value, i) => value * at(share, i) + at(inputs[t - 1] ?? x.map(() => 0), i) * (1 - at(share, i))),
  );
}

export async function runRwkv4(
  inputs: Sequence,
  { width }: Rwkv4,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const side = async (name: string): Promise<Sequence> => {
    const share = await parameters.vector(`time_mix_${name}`, hidden, "bias");
    return project(mixBefore(inputs, share), name, [hidden, width], parameters);
  };
  const [key, value, receptance] = [await side("key"), await side("value"), await side("receptance")];
  const decay = await parameters.vector("time_decay", width, "bias");
  const first = await parameters.vector("time_first", width, "bias");
  const above = new Float64Array(width);
  const below = new Float64Array(width);
  const mixed = inputs.map((_, t) =>
    Float64Array.from({ length: width }, (__, i) => {
      const [k, v] = [at(key[t], i), at(value[t], i)];
      const own = Math.exp(at(first, i) + k);
      const mean = (at(above, i) + own * v) / (at(below, i) + own);
      const kept = Math.exp(-Math.exp(at(decay, i)));
      above[i] = kept * at(above, i) + Math.exp(k) * v;
      below[i] = kept * at(below, i) + Math.exp(k);
      return sigmoid(at(receptance[t], i)) * mean;
    }),
  );
  return project(mixed, "output", [width, hidden], parameters);
}

export async function runRwkvFfn(
  inputs: Sequence,
  { width, ungated }: RwkvFfn,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const forKey = mixBefore(inputs, await parameters.vector("time_mix_key", hidden, "bias"));
  const key = await project(forKey, "key", [hidden, width], parameters);
  const squared = key.map((x) => map(x, (value) => activate("relu2", value)));
  const value = await project(squared, "value", [width, hidden], parameters);
  if (ungated === true) return value;
  const forReceptance = mixBefore(inputs, await parameters.vector("time_mix_receptance", hidden, "bias"));
  const receptance = await project(forReceptance, "receptance", [hidden, hidden], parameters);
  return value.map((x, t) => map(x, (one, i) => one * sigmoid(at(receptance[t], i))));
}

/** Versions 5 and 6. */
export async function runRwkv(
  inputs: Sequence,
  { version, width, headDim, ranks }: Rwkv,
  norm: Norm,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const heads = width / headDim;
  const mixes = version === 5 ? 4 : 6;
  const table = await parameters.read("time_mix", [mixes, hidden], "bias");
  const row = (i: number): Float32Array => table.subarray(i * hidden, (i + 1) * hidden);
  const base = await parameters.read("decay", [heads, headDim], "bias");
  const bonus = await parameters.read("bonus", [heads, headDim], "bias");
  const mixed: Record<string, Sequence> = {};
  let logs: Sequence = inputs.map(() => Float64Array.from(base));
  if (version === 5) {
    ["key", "value", "receptance", "gate"].forEach((name, i) => (mixed[name] = mixBefore(inputs, row(i))));
  } else {
    const differences = inputs.map((x, t) => map(x, (value, i) => at(inputs[t - 1] ?? x.map(() => 0), i) - value));
    const shared = inputs.map((x, t) => map(x, (value, i) => value + at(differences[t], i) * at(row(0), i)));
    const down = await project(shared, "mix_down", [hidden, 5 * ranks.mix], parameters);
    const up = await parameters.matrix("mix_up.weight", 5 * hidden, ranks.mix);
    ["decay", "key", "value", "receptance", "gate"].forEach((name, part) => {
      const weight = up.subarray(part * hidden * ranks.mix, (part + 1) * hidden * ranks.mix);
      mixed[name] = inputs.map((x, t) => {
        const small = map(headOf(down[t], 5, part), Math.tanh);
        const own = linear(small, { weight, bias: null });
        return map(x, (value, i) => value + at(differences[t], i) * (at(row(part + 1), i) + at(own, i)));
      });
    });
    const low = await project(mixed["decay"] ?? [], "decay_down", [hidden, ranks.decay], parameters);
    const bent = low.map((x) => map(x, Math.tanh));
    const raised = await project(bent, "decay_up", [ranks.decay, width], parameters);
    logs = raised.map((x) => map(x, (value, i) => value + at(base, i)));
  }
  const side = (name: string): Promise<Sequence> => project(mixed[name] ?? [], name, [hidden, width], parameters);
  const [r, k, v, g] = [await side("receptance"), await side("key"), await side("value"), await side("gate")];
  const weight = await parameters.read("norm.weight", [heads, headDim], norm.offset ? "zero" : "one");
  const bias = await parameters.read("norm.bias", [heads, headDim], "bias");
  const states = Array.from({ length: heads }, () => zeros(headDim, headDim));
  const outputs = inputs.map((_, t) =>
    concat(
      states.map((state, head) => {
        const [receptance, key, value] = [r, k, v].map((all) => headOf(all[t], heads, head));
        const now = state.map((old) => old.slice());
        const start = head * headDim;
        addOuter(
          now,
          map(key ?? new Float64Array(), (x, i) => x * at(bonus, start + i)),
          value ?? new Float64Array(),
        );
        const read = readState(now, receptance ?? new Float64Array());
        decayRows(state, (i) => Math.exp(-Math.exp(at(logs[t], start + i))));
        addOuter(state, key ?? new Float64Array(), value ?? new Float64Array());
        const mean = read.reduce((sum, x) => sum + x, 0) / headDim;
        const spread = read.reduce((sum, x) => sum + (x - mean) ** 2, 0) / headDim;
        return map(read, (x, i) => {
          const scale = at(weight, start + i) + (norm.offset ? 1 : 0);
          const normed = ((x - mean) / Math.sqrt(spread + norm.epsilon)) * scale + at(bias, start + i);
          return normed * activate("silu", at(g[t], start + i));
        });
      }),
    ),
  );
  return project(outputs, "output", [width, hidden], parameters);
}
