import { ModelBuilder } from "./builder.js";
import { addCachedAttention } from "./cached-attention.js";
import { masked } from "./masked.js";
import { addTransposedProduct } from "./product.js";
import { type ElementType, type OnnxInitializer, type OnnxNode, encodeModel, float, int, microsoft } from "./proto.js";
import { opsets, type Provider } from "./provider.js";
import { inputNames } from "./scope.js";
import { SharedNumbers, uniform } from "./shared-numbers.js";
import type { ExternalFile, Feed } from "./tensors.js";

/**
 * One operator, or a chain of one, as a model of its own: what calibration times. The same model serves every size that
 * is not baked into a weight: m, elements, rows, n and depth may differ from call to call.
 *
 * - `matmul`: [m, k] · [n, k]ᵀ with the right side a weight, which the runtime packs beforehand. `length` of them (1
 *   where absent) one after the other, alternately k → n and n → k, each with a weight of its own: with enough of them no weight is still
 *   in a cache when its turn comes, as in a model.
 * - `product`: [batch, rows, inner] · [batch, columns, inner]ᵀ of two activations, as naive attention's scores.
 * - `attention`: fused causal attention of n new tokens after `depth` cached ones, rotary included, as models run it;
 *   n + depth at most `longestAttention`.
 * - `elementwise`: `length` operators one after the other, each over `elements` float32: `scale` reads one array and
 *   writes one, `add` reads two and writes one, `silu` is an activation. A chain over one element gives the overhead
 *   of an operator; one over many elements gives the bandwidth of the cache level they fit in.
 * - `norm`, `softmax`: RMS norm of `rows` vectors of `width`, or softmax of a causal mask's; `length` one after the other,
 *   of which only the first softmax sees the mask.
 */
export type Micro =
  | { readonly kind: "matmul"; readonly m: number; readonly k: number; readonly n: number; readonly length?: number }
  | {
      readonly kind: "product";
      readonly batch: number;
      readonly rows: number;
      readonly inner: number;
      readonly columns: number;
    }
  | {
      readonly kind: "attention";
      readonly heads: number;
      readonly kvHeads: number;
      readonly headDim: number;
      readonly n: number;
      readonly depth: number;
      readonly batch: number;
    }
  | {
      readonly kind: "elementwise";
      readonly function: "scale" | "add" | "silu";
      readonly elements: number;
      readonly length: number;
    }
  | { readonly kind: "norm" | "softmax"; readonly rows: number; readonly width: number; readonly length: number };

/** Positions of the rotary tables: n + depth of an attention at most. */
const longestAttention = 8192;

/**
 * The only output that a call asks for: one number of the result. The runtime's binding copies whatever it hands out
 * into fresh memory, even where memory is given to write to, at half a millisecond a megabyte; a model's passes hand
 * out logits only, so that copy must not be timed.
 */
export const probe = "probe";

/** What one call hands in. */
export interface MicroInputs {
  readonly feeds: readonly Feed[];
}

export interface MicroModel {
  /** The bytes of the ONNX model. */
  readonly model: Uint8Array;
  readonly files: readonly ExternalFile[];
}

interface NamedValue {
  readonly name: string;
  readonly shape: readonly (number | string)[];
}

type Draw = ReturnType<SharedNumbers["draw"]>;

/** An input whose numbers are made when they are asked for: a third of a gigabyte, of some. */
interface Drawn {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: (draw: Draw) => Feed["data"];
}

interface Parts {
  readonly feeds: readonly Drawn[];
  /** Values that the model makes; the first is the result. */
  readonly outputs: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly nodes: readonly OnnxNode[];
  /** Small numbers that the nodes need. */
  readonly constants?: readonly OnnxInitializer[];
  /** Inputs and outputs as the model declares them, sizes that may change by name. */
  readonly declared: { readonly inputs: readonly NamedValue[]; readonly outputs: readonly NamedValue[] };
  readonly weights: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly data: () => Float32Array;
  }[];
}

/** Builds the model as models are for that provider, with random weights of ordinary size (no denormals). */
export function microModel(micro: Micro, provider: Provider = "cpu"): MicroModel {
  const { nodes, constants = [], feeds, outputs, weights, declared } = partsOf(micro, provider);
  const [result] = outputs;
  if (result === undefined) throw new Error("a micro model needs a result");
  const rank = result.shape.length;
  const initializers: OnnxInitializer[] = [...constants];
  const files: ExternalFile[] = [];
  for (const { name, shape, data } of weights) {
    const path = `${name}.bin`;
    const values = data();
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    files.push({ path, data: bytes });
    initializers.push({ name, type: "float32", shape, data: { path, offset: 0, length: bytes.byteLength } });
  }
  const types = new Map(feeds.map(({ name, type }) => [name, type]));
  for (const [name, value] of Object.entries({ zeros: 0n, ones: 1n })) {
    const data = new Uint8Array(BigInt64Array.from({ length: rank }, () => value).buffer);
    initializers.push({ name, type: "int64", shape: [rank], data });
  }
  const first: OnnxNode = {
    name: probe,
    op: "Slice",
    domain: "",
    inputs: [result.name, "zeros", "ones"],
    outputs: [probe],
    attributes: {},
  };
  const model = encodeModel({
    name: "micro",
    opset: opsets[provider],
    nodes: [...nodes, first],
    inputs: declared.inputs.map(({ name, shape }) => ({ name, type: types.get(name) ?? "float32", shape })),
    outputs: [
      { name: probe, type: "float32", shape: result.shape.map(() => 1) },
      ...declared.outputs
        .filter(({ name }) => name !== result.name)
        .map(({ name, shape }) => ({ name, type: "float32" as const, shape })),
    ],
    initializers,
  });
  return { model, files };
}

/** Random inputs of the sizes of this call. */
export function microInputs(micro: Micro, numbers: SharedNumbers = new SharedNumbers()): MicroInputs {
  const draw = numbers.draw();
  return { feeds: partsOf(micro, "cpu").feeds.map(({ name, shape, data }) => ({ name, shape, data: data(draw) })) };
}

function partsOf(micro: Micro, provider: Provider): Parts {
  switch (micro.kind) {
    case "matmul":
      return matmul(micro, provider);
    case "product":
      return product(micro, provider);
    case "attention":
      return attention(micro, provider);
    case "elementwise":
      return elementwise(micro);
    case "norm":
    case "softmax":
      return rowwise(micro);
  }
}

function feed(name: string, shape: readonly number[]): Drawn {
  const elements = shape.reduce((size, dimension) => size * dimension, 1);
  return { name, type: "float32", shape, data: (draw) => draw(elements) };
}

/** Scores under a causal mask: from row to row a few more keys are seen, and half are so low that they weigh nothing. */
function maskedScores(rows: number, width: number): Drawn {
  const data = (draw: Draw): Float32Array => {
    const scores = draw(rows * width).slice();
    for (let row = 0; row < rows; row += 1) {
      const seen = 1 + Math.floor((row * width) / rows);
      scores.fill(masked, row * width + seen, (row + 1) * width);
    }
    return scores;
  };
  return { name: "x", type: "float32", shape: [rows, width], data };
}

function matmul(micro: Extract<Micro, { kind: "matmul" }>, provider: Provider): Parts {
  const { m, k, n, length = 1 } = micro;
  const width = (step: number): number => (step % 2 === 0 ? k : n);
  const steps = Array.from({ length }, (_, step) => step);
  const last = `y${length - 1}`;
  const builder = new ModelBuilder(provider);
  for (const step of steps) {
    const [input, weight] = [step === 0 ? "x" : `y${step - 1}`, `weight${step}`] as const;
    // As in models: the processor takes weights as they are, other providers the other way round.
    if (provider === "cpu") addTransposedProduct(builder, `y${step}`, [input, weight], { rank: 2 });
    else builder.node(`y${step}`, "MatMul", [input, weight]);
  }
  return {
    nodes: builder.build("matmul", []).nodes,
    feeds: [feed("x", [m, k])],
    weights: steps.map((step) => ({
      name: `weight${step}`,
      shape: provider === "cpu" ? [width(step + 1), width(step)] : [width(step), width(step + 1)],
      // Uniform on ±√(3 / fan-in): every product keeps the variance of its input, so a long chain stays in range.
      data: () => uniform(k * n, Math.sqrt(3 / width(step)), 2 + step),
    })),
    outputs: [{ name: last, shape: [m, width(length)] }],
    declared: {
      inputs: [{ name: "x", shape: ["m", k] }],
      outputs: [{ name: last, shape: ["m", width(length)] }],
    },
  };
}

function product(micro: Extract<Micro, { kind: "product" }>, provider: Provider): Parts {
  const { batch, rows, inner, columns } = micro;
  const builder = new ModelBuilder(provider);
  addTransposedProduct(builder, "y", ["left", "right"], { rank: 3 });
  return {
    nodes: builder.build("product", []).nodes,
    feeds: [feed("left", [batch, rows, inner]), feed("right", [batch, columns, inner])],
    weights: [],
    outputs: [{ name: "y", shape: [batch, rows, columns] }],
    declared: {
      inputs: [
        { name: "left", shape: ["batch", "rows", "inner"] },
        { name: "right", shape: ["batch", "columns", "inner"] },
      ],
      outputs: [{ name: "y", shape: ["batch", "rows", "columns"] }],
    },
  };
}

function attention(micro: Extract<Micro, { kind: "attention" }>, provider: Provider): Parts {
  const { heads, kvHeads, headDim, n, depth, batch } = micro;
  const total = depth + n;
  const half = headDim / 2;
  const angles = (of: (angle: number) => number) => (): Float32Array =>
    new Float32Array(longestAttention * half).map((_, i) => of(Math.floor(i / half) * 10_000 ** (-(i % half) / half)));
  const widths = { query: heads * headDim, key: kvHeads * headDim, value: kvHeads * headDim };
  const caches = ["past_key", "past_value"] as const;
  const presents = ["present_key", "present_value"] as const;
  const builder = new ModelBuilder(provider);
  addCachedAttention(
    builder,
    "mixed",
    ["query", "key", "value"],
    { past: { key: caches[0], value: caches[1] }, fresh: { key: presents[0], value: presents[1] } },
    {
      heads,
      kvHeads,
      dim: headDim,
      scale: 1 / Math.sqrt(headDim),
      softcap: null,
      sinks: null,
      rotary: { tables: ["cos", "sin"], dims: headDim, interleaved: false },
    },
  );
  const { nodes, initializers: constants } = builder.build("attention", []);
  return {
    nodes,
    constants,
    feeds: [
      ...Object.entries(widths).map(([name, width]) => feed(name, [batch, n, width])),
      ...caches.map((name) => feed(name, [batch, kvHeads, depth, headDim])),
      { name: inputNames.last, type: "int32", shape: [batch], data: () => new Int32Array(batch).fill(total - 1) },
      { name: inputNames.total, type: "int32", shape: [], data: () => Int32Array.of(total) },
      { name: inputNames.depth, type: "int64", shape: [1], data: () => BigInt64Array.of(BigInt(depth)) },
    ],
    weights: [
      { name: "cos", shape: [longestAttention, half], data: angles(Math.cos) },
      { name: "sin", shape: [longestAttention, half], data: angles(Math.sin) },
    ],
    outputs: [
      { name: "mixed", shape: [batch, n, widths.query] },
      ...presents.map((name) => ({ name, shape: [batch, kvHeads, n, headDim] })),
    ],
    declared: {
      inputs: [
        ...Object.entries(widths).map(([name, width]) => ({ name, shape: ["batch", "n", width] })),
        ...caches.map((name) => ({ name, shape: ["batch", kvHeads, "depth", headDim] })),
        { name: inputNames.last, shape: ["batch"] },
        { name: inputNames.total, shape: [] },
        { name: inputNames.depth, shape: [1] },
      ],
      outputs: [
        { name: "mixed", shape: ["batch", "n", widths.query] },
        ...presents.map((name) => ({ name, shape: ["batch", kvHeads, "n", headDim] })),
      ],
    },
  };
}

function elementwise(micro: Extract<Micro, { kind: "elementwise" }>): Parts {
  const nodes: OnnxNode[] = [];
  for (let i = 0; i < micro.length; i += 1) {
    const from = i === 0 ? "x" : `y${i - 1}`;
    const common = { name: `op${i}`, outputs: [`y${i}`] };
    if (micro.function === "silu") {
      nodes.push({ ...common, op: "QuickGelu", domain: microsoft, inputs: [from], attributes: { alpha: float(1) } });
    } else if (micro.function === "add") {
      nodes.push({ ...common, op: "Add", domain: "", inputs: [from, "x"], attributes: {} });
    } else {
      nodes.push({ ...common, op: "Mul", domain: "", inputs: [from, "factor"], attributes: {} });
    }
  }
  const last = `y${micro.length - 1}`;
  return {
    nodes,
    feeds: [feed("x", [micro.elements])],
    weights: micro.function === "scale" ? [{ name: "factor", shape: [1], data: () => Float32Array.of(0.999) }] : [],
    outputs: [{ name: last, shape: [micro.elements] }],
    declared: { inputs: [{ name: "x", shape: ["elements"] }], outputs: [{ name: last, shape: ["elements"] }] },
  };
}

function rowwise(micro: Extract<Micro, { kind: "norm" | "softmax" }>): Parts {
  const { kind, rows, width, length } = micro;
  const nodes: OnnxNode[] = [];
  for (let i = 0; i < length; i += 1) {
    const from = i === 0 ? "x" : `y${i - 1}`;
    const common = { name: `${kind}${i}`, domain: "", outputs: [`y${i}`] };
    if (kind === "norm") {
      const attributes = { axis: int(-1), epsilon: float(1e-5) };
      nodes.push({ ...common, op: "SimplifiedLayerNormalization", inputs: [from, "weight"], attributes });
    } else {
      nodes.push({ ...common, op: "Softmax", inputs: [from], attributes: { axis: int(-1) } });
    }
  }
  const last = `y${length - 1}`;
  return {
    nodes,
    feeds: [kind === "norm" ? feed("x", [rows, width]) : maskedScores(rows, width)],
    weights: kind === "norm" ? [{ name: "weight", shape: [width], data: () => new Float32Array(width).fill(1) }] : [],
    outputs: [{ name: last, shape: [rows, width] }],
    declared: {
      inputs: [{ name: "x", shape: ["rows", width] }],
      outputs: [{ name: last, shape: ["rows", width] }],
    },
  };
}
