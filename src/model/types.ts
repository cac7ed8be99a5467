import type { Dtype } from "../base/units.js";
import type { Mixer } from "./mixers.js";
import type { WeightStorage } from "./storage.js";

export type * from "./mixers.js";
export type * from "./recurrent-mixers.js";
export type * from "./rotary.js";

export type Activation = "silu" | "gelu" | "gelu-tanh" | "relu" | "relu2";

/**
 * Bounds of what meets in a gated network: gate·σ(slope·gate)·(up + shift) of gate ≤ limit and |up| ≤ limit. gpt-oss has
 * slope 1.702 and shift 1; DeepSeek-V4 bounds what SiLU is given and no more.
 */
export interface Clamp {
  readonly limit: number;
  readonly slope: number;
  readonly shift: number;
}

export interface DenseFfn {
  readonly kind: "dense";
  readonly width: number;
  /** down(act(gate(x)) · up(x)) instead of down(act(up(x))). */
  readonly gated: boolean;
  readonly activation: Activation;
  readonly bias: boolean;
  /** Projections in groups: each sees a share of the channels (SqueezeBERT). */
  readonly groups?: { readonly up: number; readonly down: number };
  /** Of a gated network; its activation is SiLU. */
  readonly clamp?: Clamp;
  /**
   * Few gates open: of each token's gates, the mean and the standard deviations below which so large a share of normal
   * numbers lies are taken off, and what is below is none (Gemma 3n).
   */
  readonly sparsity?: number;
}

/** Mixture of experts: a router sends each token to `chosen` of `experts`. */
export interface MoeFfn {
  readonly kind: "moe";
  readonly experts: number;
  readonly chosen: number;
  /** The reference's eager code runs every expert for every token (Llama 4). */
  readonly referenceRunsAll?: true;
  /** Width of one expert. */
  readonly width: number;
  readonly gated: boolean;
  readonly activation: Activation;
  /** Biases of the experts. */
  readonly bias: boolean;
  readonly routerBias: boolean;
  /** Replicas of the model whose tokens these experts serve as well (expert parallelism); 1 where absent. */
  readonly peers?: number;
  /** Choices that do nothing (LongCat's identity experts); the router scores them too. */
  readonly idle?: number;
  /** Experts work in a narrower space; projections lead into it and back. */
  readonly latentWidth?: number;
  /** A norm of what the experts made in that space. */
  readonly latentNorm?: true;
  /** The router is a network of this width (Zaya). */
  readonly routerWidth?: number;
  /** How scores become the weights of what the chosen experts make: their softmax where absent. */
  readonly router?: {
    /** Softmax over all choices, or each score by itself. */
    readonly scores: "softmax" | "sigmoid" | "sqrtsoftplus";
    /** The chosen ones' weights are divided by their sum. */
    readonly normalised: boolean;
    readonly scale: number;
  };
  /** Of the experts that are chosen. */
  readonly clamp?: Clamp;
  /** Expert that every token passes: its width, and whether a scalar gate weighs it. */
  readonly shared?: {
    readonly width: number;
    readonly gate: boolean;
    readonly count?: number;
    readonly clamp?: Clamp;
  };
}

/**
 * Channel mixing of RWKV: a squared-ReLU network on a mixture with the token before, gated by the receptance up to
 * version 6; version 7 has no gate.
 */
export interface RwkvFfn {
  readonly kind: "rwkv4-ffn";
  readonly width: number;
  readonly ungated?: true;
}

export type Ffn = DenseFfn | MoeFfn | RwkvFfn;

export interface Norm {
  readonly kind: "rms" | "layer";
  readonly bias: boolean;
  readonly epsilon: number;
  /** The weight is stored as w and applied as 1 + w (Gemma). */
  readonly offset: boolean;
  /** No weight at all (OLMo 1). */
  readonly plain?: boolean;
  /** It scales and shifts, and norms nothing (MobileBERT). */
  readonly affine?: true;
}

/**
 * Where a layer's norms stand. `pre`: x + f(norm(x)). `post-branch`: x + norm(f(x)) (OLMo 2). `post-residual`:
 * norm(x + f(x)) (the original Transformer, BERT). `sandwich`: x + norm(f(norm(x))) (Gemma 2).
 */
export type NormPlacement = "pre" | "post-branch" | "post-residual" | "sandwich";

/** A linear map of every token beside mixers and FFNs: adapters, per-layer inputs, streams. */
export interface ExtraLinear {
  readonly name: string;
  readonly inWidth: number;
  readonly outWidth: number;
  readonly bias: boolean;
  /** How often each token passes it; once where absent. */
  readonly times?: number;
}

/** Parameters that only scale or shift: read, but no matrix product. */
export interface ExtraWeight {
  readonly name: string;
  readonly shape: readonly number[];
  /** Of a table of positions: the row that the first one has (BART: 2); 0 where absent. */
  readonly firstRow?: number;
}

/** A convolution over positions: the stem of a sound encoder. */
export interface ExtraConvolution {
  readonly name: string;
  readonly inWidth: number;
  readonly outWidth: number;
  readonly kernel: number;
  readonly bias: boolean;
  /** How many, or how many for each token of the stack and more of the sequence. */
  readonly positions: number | { readonly each: number; readonly more: number };
  /** From one position to the next, with nothing around the input; where absent, what is around keeps the positions whole. */
  readonly stride?: number;
  /** GELU where absent. */
  readonly activation?: "tanh";
}

/** A product of activations per token: rows × inner × columns. */
export interface ExtraProduct {
  readonly name: string;
  readonly rows: number;
  readonly inner: number;
  readonly columns: number;
  /** Worked out once per sequence instead of for every token. */
  readonly perSequence?: true;
}

/** What a layer or a model has beside the named parts. */
export interface Extras {
  readonly linears?: readonly ExtraLinear[];
  readonly convolutions?: readonly ExtraConvolution[];
  readonly products?: readonly ExtraProduct[];
  /** Causal depthwise convolutions over the tokens. */
  readonly shortConvolutions?: readonly {
    readonly name: string;
    readonly width: number;
    readonly kernel: number;
    readonly bias: boolean;
    /** Tokens from one that it sees to the next; 1 where absent. */
    readonly dilation?: number;
  }[];
  readonly weights?: readonly ExtraWeight[];
  /** Sines and cosines of its position, counted from `first`, are added to each token (M2M-100, Pegasus-X). */
  readonly sinusoids?: { readonly first: number };
}

/**
 * How mixers and FFNs of a layer stand to each other. `sequence`: one after the other, each with its residual.
 * `parallel`: all from the same input, one residual; `norms` says whether they share one norm. `parallel-mixers`: the
 * mixers are parallel behind one norm, the FFNs follow (Falcon-H1). `parallel-ffns`: the mixers come first, then the
 * FFNs are parallel behind one norm.
 */
export type Arrangement = "sequence" | "parallel" | "parallel-two-norms" | "parallel-mixers" | "parallel-ffns";

export interface Layer {
  readonly mixers: readonly Mixer[];
  readonly ffns: readonly Ffn[];
  readonly norm: Norm;
  readonly normPlacement: NormPlacement;
  /** `sequence` where absent. */
  readonly arrangement?: Arrangement;
  readonly extras?: Extras;
  /** Layers with the same name here use the same weights: parameters once, FLOPs and cache at every use. */
  readonly weightsOf?: string;
  /** The mixer has no norm before it (the first layer of ModernBERT). */
  readonly withoutMixerNorm?: true;
  /**
   * Its parts follow each other without residuals, and what they make goes to the next layer beside the stream, which
   * passes unchanged: that layer projects it (its extra `linear`) and reads both together, and its other extras add to
   * what this one projects, by low rank (Zamba's shared blocks).
   */
  readonly aside?: true;
  /** It looks at an image and is skipped in text (Llama 3.2 Vision). */
  readonly onlyWithImage?: true;
}

/** What a stack's length is: the new tokens, the encoder's input, a constant, or not run for text at all. */
export type StackLength =
  | { readonly kind: "new" }
  | { readonly kind: "encoder" }
  /** The new tokens, pooled: ⌈n / by⌉; of a decoder n / by, its mean. */
  | { readonly kind: "pooled"; readonly by: number }
  | { readonly kind: "constant"; readonly tokens: number }
  /** Of a prompt only its last token, where no other logits are asked for; else the new tokens. It keeps no cache. */
  | { readonly kind: "last" }
  | { readonly kind: "absent" };

export interface Stack {
  /** Tells stacks of the same kind apart. */
  readonly name?: string;
  readonly kind: "decoder" | "encoder" | "vision" | "audio";
  /** One entry per executed layer; equal layers may be the same object. */
  readonly layers: readonly Layer[];
  readonly finalNorm: Norm | null;
  /** The new tokens where absent. */
  readonly length?: StackLength;
  /** hidden_size of this stack where it is not the model's. */
  readonly hiddenSize?: number;
  /**
   * Each branch, and what follows the last layer, reads a learned mixture over depth: the streams kept at the beginning
   * of each block of so many layers, and the sum since (attention residuals, arXiv:2603.15031).
   */
  readonly depthBlock?: number;
  readonly extras?: Extras;
}

/** A table whose rows are looked up per token beside the token embedding. */
export interface ExtraTable {
  readonly name: string;
  readonly rows: number;
  readonly width: number;
  /** Rows that are looked up per token; one where absent. */
  readonly lookups?: number;
  /** Of a table of positions: the row that the first one has (OPT: 2); 0 where absent. */
  readonly firstRow?: number;
}

export interface Embedding {
  readonly rows: number;
  readonly width: number;
  /** Factor on the looked-up rows (Gemma: √hidden_size), or null. */
  readonly scale: number | null;
  /** Learned positions, token types, per-layer embeddings. */
  readonly tables?: readonly ExtraTable[];
  readonly norm?: Norm;
  /** Projection from `width` to hidden_size where they differ. */
  readonly projection?: { readonly bias: boolean };
}

export interface Head {
  /** `pooler`: a projection of one position (BERT's sentence vector). */
  readonly kind: "lm" | "none" | "pooler";
  readonly tied: boolean;
  readonly bias: boolean;
  readonly softcap: number | null;
  /** Projection, activation and norm before the logits (masked language models). */
  readonly transform?: {
    readonly width: number;
    readonly bias: boolean;
    readonly norm: Norm | null;
    /** GELU where absent. */
    readonly activation?: Activation;
  };
  /** One vector of the whole picture: a learned token asks all others, then passes a network of this width (SigLIP). */
  readonly probe?: { readonly heads: number; readonly width: number; readonly activation: Activation };
  /** A pooler is there beside the logits (BigBird, FNet); width of its projection. */
  readonly pooler?: number;
  /** Width of what it reads where it is not hidden_size. */
  readonly inWidth?: number;
  /** So many channels more, whose weights stand beside those that are tied (MobileBERT). */
  readonly rest?: number;
  /** Where logits of all positions are computed, so many of each (ProphetNet's predicting streams). */
  readonly streams?: number;
  /** Rows of the logits where they are not the vocabulary's. */
  readonly rows?: number;
  /**
   * Further rows of the logits (adaptive softmax, arXiv:1609.04309), of weights with biases of their own: from the same
   * width as the head's, or behind a projection from hidden_size to a narrower one.
   */
  readonly tails?: readonly { readonly rows: number; readonly width: number; readonly projected: boolean }[];
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

/** What a published checkpoint holds beside the model that text runs through. */
export interface Unrun {
  /** Layers that predict tokens further ahead (multi-token prediction). */
  readonly prediction?: Stack;
  /** Routers' balancing biases, tables of fixed routes, projections that shared keys leave unused. */
  readonly weights: readonly ExtraWeight[];
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
  /** What stands outside of embedding, stacks and head. */
  readonly extras?: Extras;
  readonly stacks: readonly Stack[];
  /** In the checkpoint as published, not run for text. */
  readonly unrun?: Unrun;
  readonly dtypes: Dtypes;
  /** Bits that each weight really takes; those of `dtypes.weights` where absent. */
  readonly storage?: WeightStorage;
  readonly filled: readonly Filled[];
  /** What the description leaves out, in words. */
  readonly notes: readonly string[];
}
