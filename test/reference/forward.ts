import type { Weight } from "../../src/graph/types.js";
import type { Activation, Attention, DenseFfn, Layer, ModelDescription, Norm, Rotary } from "../../src/model/types.js";
import type { WeightSource } from "../../src/onnx/weights.js";

/**
 * A plain forward pass in float64, one sequence and one loop at a time: what the fast graphs must agree with.
 * It reads the model's description only, never its graph.
 */

type Vector = Float64Array;
/** One vector per position. */
type Sequence = readonly Vector[];

/** Logits of every position of one sequence: [n][vocabulary]. */
export async function referenceLogits(
  model: ModelDescription,
  source: WeightSource,
  ids: readonly number[],
): Promise<Sequence> {
  const parameters = new Parameters(model, source);
  const { rows, width, scale } = model.embedding;
  const table = await parameters.matrix("embedding.table", rows, width);
  let stream: Sequence = ids.map((id) => map(row(table, width, id), (x) => x * (scale ?? 1)));
  let index = 0;
  for (const stack of model.stacks) {
    for (const layer of stack.layers) {
      stream = await runLayer(stream, layer, model.hiddenSize, parameters.within(`layers.${index}.`));
      index += 1;
    }
    if (stack.finalNorm !== null) {
      stream = await runNorm(stream, stack.finalNorm, model.hiddenSize, parameters.within("final_norm.norm."));
    }
  }
  const { tied, bias, softcap } = model.head;
  const scope = parameters.within(tied ? "embedding." : "head.");
  const head: Linear = {
    weight: await scope.matrix(tied ? "table" : "weight", model.vocabularySize, model.hiddenSize),
    bias: bias ? await scope.vector("bias", model.vocabularySize, "bias") : null,
  };
  return stream.map((x) => map(linear(x, head), (logit) => (softcap === null ? logit : cap(logit, softcap))));
}

/** Reads parameters by name, below a prefix. */
class Parameters {
  constructor(
    private readonly model: ModelDescription,
    private readonly source: WeightSource,
    private readonly prefix = "",
  ) {}

  within(prefix: string): Parameters {
    return new Parameters(this.model, this.source, this.prefix + prefix);
  }

  matrix(name: string, rows: number, columns: number): Promise<Float32Array> {
    return this.read(name, [rows, columns], "matrix");
  }

  vector(name: string, length: number, init: Weight["init"]): Promise<Float32Array> {
    return this.read(name, [length], init);
  }

  private async read(name: string, shape: readonly number[], init: Weight["init"]): Promise<Float32Array> {
    const target = new Float32Array(shape.reduce((size, dimension) => size * dimension, 1));
    await this.source.read(this.prefix + name, { shape, dtype: this.model.dtypes.weights, init }, target);
    return target;
  }
}

async function runLayer(stream: Sequence, layer: Layer, hidden: number, parameters: Parameters): Promise<Sequence> {
  let result = stream;
  const branches: { name: string; run: (x: Sequence, own: Parameters) => Promise<Sequence> }[] = [];
  for (const mixer of layer.mixers) {
    if (mixer.kind !== "attention") throw new Error(`no reference for ${mixer.kind}`);
    branches.push({ name: "mixer.", run: (x, own) => runAttention(x, mixer, layer.norm, hidden, own) });
  }
  for (const ffn of layer.ffns) {
    if (ffn.kind !== "dense") throw new Error(`no reference for ${ffn.kind}`);
    branches.push({ name: "ffn.", run: (x, own) => runFfn(x, ffn, hidden, own) });
  }
  if (layer.arrangement === "parallel") {
    const normed = await runNorm(result, layer.norm, hidden, parameters.within("branch.pre_norm."));
    for (const { name, run } of branches) result = addUp(result, await run(normed, parameters.within(name)));
    return result;
  }
  for (const { name, run } of branches) {
    const own = parameters.within(name);
    const norm = (side: "pre" | "post", x: Sequence): Promise<Sequence> =>
      runNorm(x, layer.norm, hidden, own.within(`${side}_norm.`));
    switch (layer.normPlacement) {
      case "pre":
        result = addUp(result, await run(await norm("pre", result), own));
        break;
      case "post-branch":
        result = addUp(result, await norm("post", await run(result, own)));
        break;
      case "sandwich":
        result = addUp(result, await norm("post", await run(await norm("pre", result), own)));
        break;
      case "post-residual":
        result = await norm("post", addUp(result, await run(result, own)));
        break;
    }
  }
  return result;
}

function addUp(a: Sequence, b: Sequence): Sequence {
  return a.map((x, i) => map(x, (value, j) => value + at(b[i], j)));
}

async function runAttention(
  inputs: Sequence,
  mixer: Attention,
  norm: Norm,
  hidden: number,
  parameters: Parameters,
): Promise<Sequence> {
  const { heads, kvHeads, keyDim, valueDim } = mixer;
  const project = async (side: "query" | "key" | "value" | "output", x: Sequence, from: number, to: number) => {
    const weights: Linear = {
      weight: await parameters.matrix(`${side}.weight`, to, from),
      bias: mixer.bias[side] ? await parameters.vector(`${side}.bias`, to, "bias") : null,
    };
    return x.map((vector) => linear(vector, weights));
  };
  const turn = (vector: Vector, position: number, count: number): Vector[] =>
    split(vector, count).map((head) => rotate(head, position, mixer.rotary));
  const prepare = async (side: "query" | "key", count: number): Promise<Vector[][]> => {
    const projected = await project(side, inputs, hidden, count * keyDim);
    if (mixer.queryKeyNorm === "none") return projected.map((x, position) => turn(x, position, count));
    const width = mixer.queryKeyNorm === "per-head" ? keyDim : count * keyDim;
    const layerNorm = mixer.queryKeyLayerNorm;
    const own: Norm = { ...norm, kind: layerNorm === undefined ? "rms" : "layer", bias: layerNorm?.bias ?? false };
    const groups = projected.map((vector) => split(vector, vector.length / width));
    const normed = await Promise.all(
      groups.map((parts) => runNorm(parts, own, width, parameters.within(`${side}_norm.`))),
    );
    return normed.map((parts, position) => turn(concat(parts), position, count));
  };
  const queries = await prepare("query", heads);
  const keys = await prepare("key", kvHeads);
  const values = (await project("value", inputs, hidden, kvHeads * valueDim)).map((vector) => split(vector, kvHeads));

  const mixed = queries.map((ofPosition, position) =>
    concat(
      ofPosition.map((query, head) => {
        const shared = Math.floor(head / (heads / kvHeads));
        const seen = keys.map((_, other) => other).filter((other) => sees(mixer, position, other));
        const scores = seen.map((other) => {
          const score = dot(query, keys[other]?.[shared]) * mixer.scale;
          return mixer.softcap === null ? score : cap(score, mixer.softcap);
        });
        const weights = softmax(scores);
        const sum = new Float64Array(valueDim);
        seen.forEach((other, i) => {
          for (let d = 0; d < valueDim; d += 1) sum[d] = at(sum, d) + at(weights, i) * at(values[other]?.[shared], d);
        });
        return sum;
      }),
    ),
  );
  return project("output", mixed, heads * valueDim, hidden);
}

function sees({ span, causal }: Attention, position: number, other: number): boolean {
  if (causal && other > position) return false;
  if (span.kind === "full") return true;
  if (span.kind === "window") return Math.abs(position - other) < span.size;
  if (span.kind === "chunk") return Math.floor(position / span.size) === Math.floor(other / span.size);
  throw new Error(`no reference for a ${span.kind} span`);
}

/** Turns pairs of the first `dims` dimensions by position·theta^(−2i/dims). */
function rotate(head: Vector, position: number, rotary: Rotary | null): Vector {
  if (rotary === null) return head;
  const result = head.slice();
  const half = rotary.dims / 2;
  for (let i = 0; i < half; i += 1) {
    const [first, second] = rotary.interleaved ? [2 * i, 2 * i + 1] : [i, i + half];
    const angle = position * rotary.theta ** ((-2 * i) / rotary.dims);
    result[first] = at(head, first) * Math.cos(angle) - at(head, second) * Math.sin(angle);
    result[second] = at(head, second) * Math.cos(angle) + at(head, first) * Math.sin(angle);
  }
  return result;
}

async function runFfn(inputs: Sequence, ffn: DenseFfn, hidden: number, parameters: Parameters): Promise<Sequence> {
  const weights = async (side: "gate" | "up" | "down", from: number, to: number): Promise<Linear> => ({
    weight: await parameters.matrix(`${side}.weight`, to, from),
    bias: ffn.bias ? await parameters.vector(`${side}.bias`, to, "bias") : null,
  });
  const up = await weights("up", hidden, ffn.width);
  const down = await weights("down", ffn.width, hidden);
  const gate = ffn.gated ? await weights("gate", hidden, ffn.width) : null;
  return inputs.map((x) => {
    const raised = linear(x, up);
    const gates = gate === null ? raised : linear(x, gate);
    const factors = gate === null ? null : raised;
    const inner = map(gates, (value, i) => activate(ffn.activation, value) * (factors === null ? 1 : at(factors, i)));
    return linear(inner, down);
  });
}

async function runNorm(inputs: Sequence, norm: Norm, width: number, parameters: Parameters): Promise<Sequence> {
  const weight = await parameters.vector("weight", width, norm.offset ? "zero" : "one");
  const bias = norm.bias ? await parameters.vector("bias", width, "bias") : null;
  return inputs.map((x) => {
    const mean = norm.kind === "layer" ? x.reduce((sum, value) => sum + value, 0) / width : 0;
    const normed = rmsNorm(
      map(x, (value) => value - mean),
      weight,
      norm.epsilon,
      norm.offset,
    );
    return bias === null ? normed : map(normed, (value, i) => value + at(bias, i));
  });
}

function rmsNorm(x: Vector, weight: Float32Array, epsilon: number, offset: boolean): Vector {
  const meanSquare = x.reduce((sum, value) => sum + value * value, 0) / x.length;
  return map(x, (value, i) => (value / Math.sqrt(meanSquare + epsilon)) * (at(weight, i) + (offset ? 1 : 0)));
}

interface Linear {
  readonly weight: Float32Array;
  readonly bias: Float32Array | null;
}

function linear(x: Vector, { weight, bias }: Linear): Vector {
  const result = new Float64Array(weight.length / x.length);
  for (let out = 0; out < result.length; out += 1) {
    let sum = bias === null ? 0 : at(bias, out);
    for (let i = 0; i < x.length; i += 1) sum += at(weight, out * x.length + i) * at(x, i);
    result[out] = sum;
  }
  return result;
}

function activate(activation: Activation, x: number): number {
  switch (activation) {
    case "silu":
      return x / (1 + Math.exp(-x));
    case "gelu":
      return (x / 2) * (1 + errorFunction(x / Math.SQRT2));
    case "gelu-tanh":
      return (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    case "relu":
      return Math.max(0, x);
    case "relu2":
      return Math.max(0, x) ** 2;
  }
}

/** Maclaurin series (Abramowitz and Stegun 7.1.5); enough terms for the small arguments of these tests. */
function errorFunction(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 200 && Math.abs(term) > 1e-18; n += 1) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

const cap = (x: number, limit: number): number => limit * Math.tanh(x / limit);

function softmax(scores: readonly number[]): number[] {
  const highest = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - highest));
  const sum = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / sum);
}

function dot(a: Vector, b: Vector | undefined): number {
  return a.reduce((sum, value, i) => sum + value * at(b, i), 0);
}

function map(x: Vector, f: (value: number, index: number) => number): Vector {
  return Float64Array.from(x, f);
}

function row(table: Float32Array, width: number, index: number): Vector {
  return Float64Array.from(table.subarray(index * width, (index + 1) * width));
}

function split(x: Vector, count: number): Vector[] {
  const width = x.length / count;
  return Array.from({ length: count }, (_, i) => x.slice(i * width, (i + 1) * width));
}

function concat(parts: readonly Vector[]): Vector {
  return Float64Array.from(parts.flatMap((part) => [...part]));
}

function at(values: { readonly [index: number]: number } | undefined, index: number): number {
  const value = values?.[index];
  if (value === undefined) throw new RangeError(`no element ${index}`);
  return value;
}
