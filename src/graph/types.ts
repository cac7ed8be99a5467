import type { Dtype } from "../base/units.js";
import type { Expression } from "../math/expression.js";
import type { Activation, Ffn, KeySpan, Mixer, Norm, Rotary } from "../model/types.js";

/** An activation inside a block. The shape is symbolic in n, c, b; e.g. [b, n, hidden_size]. */
export interface Value {
  readonly shape: readonly Expression[];
  readonly dtype: Dtype;
}

/** A parameter tensor. Linear weights are [out, in], as checkpoints store them. */
export interface Weight {
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** Bits of one element, scales included, where it is stored in blocks; those of `dtype` where absent. */
  readonly bits?: number;
  /** What stores it so, as people call it. */
  readonly format?: string;
  /** What activations are cast to before products with it; as they are where absent. */
  readonly operands?: Dtype;
  /** How synthetic values are drawn: a matrix with the fan-in's scale, ones (norms), or small noise (biases). */
  readonly init: "matrix" | "one" | "zero" | "bias";
  /** Of a table of positions: the row that the first one has; 0 where absent. */
  readonly firstRow?: number;
}

/** Keys and values kept across steps. */
export interface Cache {
  /** Which of the earlier tokens the next step needs; all of them where absent. */
  readonly span?: KeySpan;
  /** Written once per sequence and of the shape that is given (the encoder's keys and values). */
  readonly fixed?: true;
  readonly key: { readonly shape: readonly Expression[]; readonly dtype: Dtype };
  readonly value: { readonly shape: readonly Expression[]; readonly dtype: Dtype };
}

/** What a report groups operators by. */
export const parts = ["embedding", "projection", "attention", "ffn", "norm", "residual", "head"] as const;
export type Part = (typeof parts)[number];

interface Base {
  readonly name: string;
  readonly part: Part;
  readonly output: string;
}

export interface EmbedOperator extends Base {
  readonly kind: "embed";
  readonly ids: string;
  readonly table: string;
}
/** y = x·Wᵀ + bias over the last dimension. */
export interface LinearOperator extends Base {
  readonly kind: "linear";
  readonly input: string;
  readonly weight: string;
  readonly bias: string | null;
}
export interface NormOperator extends Base {
  readonly kind: "norm";
  readonly norm: "rms" | "layer";
  readonly input: string;
  readonly weight: string;
  readonly bias: string | null;
  readonly epsilon: number;
  /** The weight is stored as w and applied as 1 + w. */
  readonly offset: boolean;
  /** It scales and shifts, and norms nothing. */
  readonly affine?: true;
  /** The norm runs over groups of this many elements: hidden_size, or head_dim for a per-head norm. */
  readonly width: number;
}
/** Sizes every attention operator shares. */
export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly span: KeySpan;
  readonly causal: boolean;
  readonly scale: number;
  readonly softcap: number | null;
  /** Queries and keys of each sequence where they are not the n new tokens and the c + n of the cache. */
  readonly lengths?: { readonly queries: Expression; readonly keys: Expression; readonly earlier?: Expression };
  /** The values are a part of the keys: kept and read once (latent attention). */
  readonly valueInKey?: true;
}
/** One fused kernel: rotates, appends to the cache, scores, normalises, mixes; never holds n × n scores. */
export interface AttentionOperator extends Base, AttentionShape {
  readonly kind: "attention";
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly rotary: Rotary | null;
  /** Name of the block's cache it appends to and reads, or null where nothing is kept. */
  readonly cache: string | null;
}
/** Rotates queries or keys: input [b, n, heads·head_dim] → the same shape. */
export interface RotaryOperator extends Base {
  readonly kind: "rotary";
  readonly input: string;
  readonly heads: number;
  readonly headDim: number;
  readonly rotary: Rotary;
}
/** Appends to the cache along the sequence and hands on the whole: [b, kvHeads, c + n, dim]. */
export interface AppendOperator extends Base {
  readonly kind: "append";
  readonly input: string;
  readonly cache: string;
  readonly side: "key" | "value";
  readonly kvHeads: number;
  readonly dim: number;
}
/** Naive attention, first step: all heads·n·(c + n) scores in memory, scaled, masked. */
export interface ScoresOperator extends Base, AttentionShape {
  readonly kind: "scores";
  readonly query: string;
  readonly key: string;
}
/** Naive attention, second step: softmax over the last dimension. */
export interface SoftmaxOperator extends Base {
  readonly kind: "softmax";
  readonly input: string;
}
/** Naive attention, third step: weights times values. */
export interface MixOperator extends Base, AttentionShape {
  readonly kind: "mix";
  readonly weights: string;
  readonly value: string;
}
export type ElementwiseFunction = "add" | "multiply" | "scale" | "softcap" | Activation;
export interface ElementwiseOperator extends Base {
  readonly kind: "elementwise";
  readonly function: ElementwiseFunction;
  readonly inputs: readonly string[];
  /** The factor of `scale`, the cap of `softcap`; null otherwise. */
  readonly parameter: number | null;
}
/** Keeps the last position: [b, n, w] → [b, 1, w]. */
export interface LastOperator extends Base {
  readonly kind: "last";
  readonly input: string;
}

/** Attention's small forerunner: scores every visible token with few heads and picks the best ones (DSA). */
export interface IndexOperator extends Base {
  readonly kind: "index";
  /** Projected queries, [b, n, heads·dim]. */
  readonly input: string;
  /** Name of the cache of its keys, or null where another layer keeps them. */
  readonly cache: string | null;
  readonly heads: number;
  readonly dim: number;
  readonly weighted: boolean;
  readonly causal: boolean;
  /** What it scores: every earlier token where absent. */
  readonly span?: KeySpan;
}
/** Routed experts: each token passes `chosen` of `experts`; every weight is [experts, out, in]. */
export interface ExpertsOperator extends Base {
  readonly kind: "experts";
  readonly input: string;
  readonly weights: readonly string[];
  readonly biases: readonly string[];
  readonly experts: number;
  /** Experts per token; a fraction where the others are on other devices. */
  readonly chosen: number;
  /** Batches like this one whose tokens come here too; 1 where absent. */
  readonly peers?: number;
}
/** A batched product of two activations: batch × (rows × inner) × (inner × columns). */
export interface ProductOperator extends Base {
  readonly kind: "product";
  readonly input: string;
  readonly inputs: readonly string[];
  readonly batch: Expression;
  readonly rows: Expression;
  readonly inner: Expression;
  readonly columns: Expression;
}
/** Convolution over positions: weight [out, in / groups, …kernel], at `positions` places of each sequence. */
export interface ConvolutionOperator extends Base {
  readonly kind: "convolution";
  readonly input: string;
  readonly weight: string;
  readonly bias: string | null;
  readonly positions: Expression;
  /** As a description's, at the beginning of an encoder. */
  readonly stride?: number;
  readonly activation?: "tanh";
}
/** One step of a recurrence per token: reads and writes the state once per pass, elementwise work per token. */
export interface ScanOperator extends Base {
  readonly kind: "scan";
  readonly input: string;
  readonly inputs: readonly string[];
  readonly state: string;
  /** Elementary operations per token beside matrix products. */
  readonly operations: number;
}
/**
 * A recurrent cell, token by token: gates of the input and of the state before, the state's by a weight of
 * [gates · width, width] that every step reads again.
 */
export interface RecurrenceOperator extends Base {
  readonly kind: "recurrence";
  readonly cell: "lstm" | "gru";
  /** Projected gates of the input, [b, n, gates · width]. */
  readonly input: string;
  readonly weight: string;
  readonly bias: string | null;
  readonly state: string;
}
/** Scales, shifts or gates with parameters, element by element. */
export interface WeightedOperator extends Base {
  readonly kind: "weighted";
  readonly input: string;
  readonly weights: readonly string[];
  /** It is a norm without parameters. */
  readonly plain?: Pick<Norm, "kind" | "epsilon">;
}
/** Fast Fourier transform over tokens and channels: 5·N·log₂N operations, N = tokens · channels (Cooley and Tukey). */
export interface FourierOperator extends Base {
  readonly kind: "fourier";
  readonly input: string;
  readonly tokens: Expression;
  readonly channels: number;
}
/** Puts values beside each other along the last dimension. */
export interface ConcatOperator extends Base {
  readonly kind: "concat";
  readonly input: string;
  readonly inputs: readonly string[];
}

export type Operator =
  | IndexOperator
  | ExpertsOperator
  | ProductOperator
  | ConvolutionOperator
  | ScanOperator
  | RecurrenceOperator
  | WeightedOperator
  | ConcatOperator
  | FourierOperator
  | EmbedOperator
  | LinearOperator
  | NormOperator
  | AttentionOperator
  | RotaryOperator
  | AppendOperator
  | ScoresOperator
  | SoftmaxOperator
  | MixOperator
  | ElementwiseOperator
  | LastOperator;
export type OperatorKind = Operator["kind"];

/**
 * A mixer or feed-forward part of a layer: the operators that price it, and the description they were made from. What
 * executes a graph may take the module as a whole, in the form that is fastest there.
 */
export interface GraphModule {
  /** Prefix of its names in the block: `mixer`, `ffn`. */
  readonly name: string;
  readonly description: Mixer | Ffn;
  /** The norm that the layer's parts take epsilon and offset from. */
  readonly norm: Norm;
  readonly input: string;
  readonly output: string;
  readonly operators: readonly Operator[];
}

/** Operators that belong together and repeat: an embedding, a layer, a head. Names inside are local to the block. */
export interface Block {
  readonly name: string;
  /** Values handed in, in order; the first is the stream of hidden states (or token ids). */
  readonly inputs: readonly string[];
  readonly output: string;
  readonly values: ReadonlyMap<string, Value>;
  readonly weights: ReadonlyMap<string, Weight>;
  readonly caches: ReadonlyMap<string, Cache>;
  /** States of recurrences: as large after one token as after a million. */
  readonly states: ReadonlyMap<string, Value>;
  /** In executable order. */
  readonly operators: readonly Operator[];
  /** The parts of a layer; none in other blocks. */
  readonly modules: readonly GraphModule[];
  /** What it makes goes to the next block beside the stream, which passes unchanged. */
  readonly aside?: true;
}

/** One execution of a block. Instances of equal layers share the block object. */
export interface BlockInstance {
  readonly block: Block;
  /** Prefix of its weights' names: instances with the same scope share weights (tied, ALBERT). */
  readonly scope: string;
  /** Index of the layer it is, or null for embedding and head. */
  readonly layer: number | null;
  /** Part of an encoder whose output a decoder reads: it runs with the prompt, once. */
  readonly encodes?: true;
}

export interface GraphOptions {
  /** `fused` never materialises scores; `naive` writes and reads heads·n·(c + n) of them. */
  readonly attention: "fused" | "naive";
  /** Positions whose logits are computed: the last one (generation) or all (scoring). */
  readonly head: "last" | "all";
  /** Decode runs no encoder and folds the projections of latent attention into its queries. */
  readonly phase: "prefill" | "decode";
  /** What good kernels do, or what the eager code of Hugging Face transformers does. */
  readonly kernels: "efficient" | "reference";
  /** Length of an encoder's input: a variable of its own (m), or that of the phase (n, in decode c). */
  readonly encoder: "own" | "same";
}

/** The model as operators, symbolic in n, c, b. Decode is n = 1 with c tokens cached. */
export interface Graph {
  readonly model: string;
  readonly options: GraphOptions;
  readonly vocabularySize: number;
  /** In order of execution. The output of each is the first input of the next. */
  readonly instances: readonly BlockInstance[];
}
