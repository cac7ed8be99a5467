import type { Weight } from "../../src/graph/types.js";
import type { ModelDescription, Norm } from "../../src/model/types.js";
import type { WeightSource } from "../../src/onnx/weights.js";
import { type Vector, type Sequence, map, at, rmsNorm } from "./vectors.js";

/** What layers leave for later ones. */
interface Kept {
  /** By what of the sequence they are for. */
  keysAndValues: Map<string, { readonly keys: Vector[][]; readonly values: Vector[][] }>;
  /** The encoder's output, which the decoder's layers read. */
  encoded: Sequence;
  /** The last table of relative positions, [buckets, heads]. */
  relative: Float32Array | null;
  /** What the last indexer lets each position see. */
  chosen: Set<number>[];
  /** The stack's table of places (DeBERTa). */
  places: Sequence;
  /** Values of the first layer (RWKV 7). */
  firstValues: Sequence;
  /** Longest sequence that the model was opened for: by it Reformer draws directions. */
  longest: number;
  /** What the last pooling layer pooled, and how many tokens of the text are between two of its tokens (Funnel). */
  pooled: { from: Sequence; stride: number };
  /** The embeddings, and what a layer made beside the stream for the next one (Zamba). */
  embedded: Sequence;
  aside: Sequence | null;
  /** Inputs of every layer's own (Gemma 4): one vector of all layers' per position. */
  perLayer: Sequence;
}

/** A projection of that name with what low-rank adapters add to it, or without. */
export type Adapt = (side: string, inputs: Sequence, projected: Sequence) => Promise<Sequence>;

/** Reads parameters by name, below a prefix. */
export class Parameters {
  constructor(
    private readonly model: ModelDescription,
    private readonly source: WeightSource,
    private readonly prefix = "",
    readonly kept: Kept = {
      keysAndValues: new Map(),
      encoded: [],
      relative: null,
      chosen: [],
      places: [],
      firstValues: [],
      embedded: [],
      aside: null,
      perLayer: [],
      pooled: { from: [], stride: 1 },
      longest: 0,
    },
  ) {}

  within(prefix: string): Parameters {
    return new Parameters(this.model, this.source, this.prefix + prefix, this.kept);
  }

  /** The same below the prefix of another part of the same layer. */
  sibling(prefix: string): Parameters {
    const layer = this.prefix.replace(/[^.]+\.$/, "");
    return new Parameters(this.model, this.source, layer + prefix, this.kept);
  }

  matrix(name: string, rows: number, columns: number): Promise<Float32Array> {
    return this.read(name, [rows, columns], "matrix");
  }

  vector(name: string, length: number, init: Weight["init"]): Promise<Float32Array> {
    return this.read(name, [length], init);
  }

  /** Any tensor; its numbers depend on what it is for. */
  async read(name: string, shape: readonly number[], init: Weight["init"]): Promise<Float32Array> {
    const target = new Float32Array(shape.reduce((size, dimension) => size * dimension, 1));
    await this.source.read(this.prefix + name, { shape, dtype: this.model.dtypes.weights, init }, target);
    return target;
  }
}

export async function runNorm(inputs: Sequence, norm: Norm, width: number, parameters: Parameters): Promise<Sequence> {
  const weight =
    norm.plain === true
      ? new Float32Array(width).fill(1)
      : await parameters.vector("weight", width, norm.offset ? "zero" : "one");
  const bias = norm.bias ? await parameters.vector("bias", width, "bias") : null;
  if (norm.affine === true)
    return inputs.map((x) => map(x, (value, i) => value * at(weight, i) + at(bias ?? weight, i)));
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
