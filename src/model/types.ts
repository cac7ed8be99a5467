import type { Dtype } from "../base/units.js";

/** Which positions a query may look at. Sizes are in tokens; a window of w holds the query itself and w − 1 before it. */
export type Span =
  | { readonly kind: "full" }
  | { readonly kind: "window"; readonly size: number }
  | { readonly kind: "chunk"; readonly size: number };

export interface Rotary {
  /** Dimensions of each head that are rotated; even, at most the key dimension. */
  readonly dims: number;
  readonly theta: number;
  /** Pairs are neighbours (GPT-J) rather than halves (NeoX, Llama). */
  readonly interleaved: boolean;
}

/** Softmax attention: MHA where kvHeads = heads, MQA where kvHeads = 1, GQA between. */
export interface Attention {
  readonly kind: "attention";
  readonly heads: number;
  readonly kvHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly bias: { readonly query: boolean; readonly key: boolean; readonly value: boolean; readonly output: boolean };
  /** RMS norm of queries and keys: over each head, or over the whole projected width (OLMo 2). */
  readonly queryKeyNorm: "none" | "per-head" | "per-layer";
  readonly rotary: Rotary | null;
  readonly span: Span;
  readonly causal: boolean;
  /** Factor on the scores; 1/√keyDim unless the config says otherwise. */
  readonly scale: number;
  /** scores ← cap·tanh(scores/cap), or null. */
  readonly softcap: number | null;
}

/** How a layer mixes tokens. */
export type Mixer = Attention;

export type Activation = "silu" | "gelu" | "gelu-tanh" | "relu" | "relu2";

export interface DenseFfn {
  readonly kind: "dense";
  readonly width: number;
  /** down(act(gate(x)) · up(x)) instead of down(act(up(x))). */
  readonly gated: boolean;
  readonly activation: Activation;
  readonly bias: boolean;
}

export type Ffn = DenseFfn;

export interface Norm {
  readonly kind: "rms" | "layer";
  readonly bias: boolean;
  readonly epsilon: number;
  /** The weight is stored as w and applied as 1 + w (Gemma). */
  readonly offset: boolean;
}

/**
 * Where a layer's norms stand. `pre`: x + f(norm(x)). `post-branch`: x + norm(f(x)) (OLMo 2). `post-residual`:
 * norm(x + f(x)) (the original Transformer, BERT). `sandwich`: x + norm(f(norm(x))) (Gemma 2).
 */
export type NormPlacement = "pre" | "post-branch" | "post-residual" | "sandwich";

export interface Layer {
  /** Applied one after the other. */
  readonly mixers: readonly Mixer[];
  readonly ffns: readonly Ffn[];
  readonly norm: Norm;
  readonly normPlacement: NormPlacement;
}

export interface Stack {
  readonly kind: "decoder";
  /** One entry per executed layer; equal layers may be the same object. */
  readonly layers: readonly Layer[];
  readonly finalNorm: Norm | null;
}

export interface Embedding {
  readonly rows: number;
  readonly width: number;
  /** Factor on the looked-up rows (Gemma: √hidden_size), or null. */
  readonly scale: number | null;
}

export interface Head {
  readonly kind: "lm" | "none";
  readonly tied: boolean;
  readonly bias: boolean;
  readonly softcap: number | null;
}

export interface Dtypes {
  readonly weights: Dtype;
  readonly kv: Dtype;
  readonly activations: Dtype;
}

/** A value the reader did not find in the file, and where it took it from. */
export interface Filled {
  readonly key: string;
  readonly value: unknown;
  readonly from: string;
}

/** Everything about a model that decides what inference costs. */
export interface ModelDescription {
  readonly name: string;
  /** The format's own name of the family: `llama`, `qwen2`, … */
  readonly modelType: string;
  /** Where the description came from: a path, an address, `built-in`. */
  readonly source: string;
  readonly hiddenSize: number;
  readonly vocabularySize: number;
  /** Longest sequence the model was made for, in tokens; null where the file does not say. */
  readonly contextLength: number | null;
  readonly embedding: Embedding;
  readonly head: Head;
  readonly stacks: readonly Stack[];
  readonly dtypes: Dtypes;
  readonly filled: readonly Filled[];
  /** What the description leaves out, in words. */
  readonly notes: readonly string[];
}
