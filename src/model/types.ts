import type { Dtype } from "../base/units.js";

/** Which positions a query may look at. Sizes are in tokens; a window of w holds the query itself and w − 1 before it. */
export type Span =
  | { readonly kind: "full" }
  | { readonly kind: "window"; readonly size: number }
  | { readonly kind: "chunk"; readonly size: number }
  /** The best `size` of the earlier tokens, wherever they are: everything must be kept. */
  | { readonly kind: "chosen"; readonly size: number };

export interface Rotary {
  /** Dimensions of each head that are rotated; even, at most the key dimension. */
  readonly dims: number;
  readonly theta: number;
  /** Pairs are neighbours (GPT-J) rather than halves (NeoX, Llama). */
  readonly interleaved: boolean;
}

/** Scores every earlier token with small heads and lets attention see only the best ones (DeepSeek's DSA). */
export interface Indexer {
  readonly heads: number;
  readonly dim: number;
  /** Width its queries are projected from: the query rank, or hidden_size. */
  readonly queryWidth: number;
  /** Tokens that attention may see at most. */
  readonly chosen: number;
  /** Norm of its keys. */
  readonly norm: "none" | "rms" | "layer";
  /** Whether each head's score has a weight projected from the hidden state. */
  readonly weighted: boolean;
}

export interface Biases {
  readonly query: boolean;
  readonly key: boolean;
  readonly value: boolean;
  readonly output: boolean;
}

/** Softmax attention: MHA where kvHeads = heads, MQA where kvHeads = 1, GQA between. */
export interface Attention {
  readonly kind: "attention";
  readonly heads: number;
  readonly kvHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly bias: Biases;
  /** Norm of queries and keys: over each head, over each head with weights of its own, or over the whole width. */
  readonly queryKeyNorm: "none" | "per-head" | "each-head" | "per-layer";
  readonly rotary: Rotary | null;
  readonly span: Span;
  readonly causal: boolean;
  /** Factor on the scores; 1/√keyDim unless the config says otherwise. */
  readonly scale: number;
  /** scores ← cap·tanh(scores/cap), or null. */
  readonly softcap: number | null;
  /** The norm of queries and keys is a layer norm with these parts instead of an RMS norm. */
  readonly queryKeyLayerNorm?: { readonly bias: boolean };
  /** A learned score per head that takes part in the softmax (gpt-oss). */
  readonly sinks?: boolean;
  /** A projected gate on the mixture: one number per element or per head. */
  readonly gate?: "per-element" | "per-head";
  /** `shared`: reads another layer's cache and projects neither. `key-is-value`: one projection for both. */
  readonly keyValue?: "own" | "shared" | "key-is-value";
  /** Keys and values come from the encoder's output, once per sequence. */
  readonly source?: "self" | "encoder";
  /** Width that keys and values are projected from when they come from elsewhere. */
  readonly sourceWidth?: number;
  /** Width of what is projected where it is not hidden_size; the input is widened with the embeddings (Zamba). */
  readonly inputWidth?: number;
  /** Width of the output where it is not hidden_size. */
  readonly outputWidth?: number;
  readonly indexer?: Indexer;
  /** The reference masks the window and keeps the whole cache all the same. */
  readonly maskedWindow?: true;
  /** Queries and output are projected by experts that a router chooses (JetMoE). */
  readonly projectionExperts?: { readonly experts: number; readonly chosen: number };
  /** Rows of a table of relative positions, with one number per head. */
  readonly relativeBuckets?: number;
}

/** Multi-head latent attention (DeepSeek-V2): keys and values of all heads are projected from one small latent. */
export interface LatentAttention {
  readonly kind: "latent";
  readonly heads: number;
  /** Rank of the query projection, or null where queries are projected directly. */
  readonly queryRank: number | null;
  readonly kvRank: number;
  /** Dimensions of a head without and with rotary embedding. */
  readonly nopeDim: number;
  readonly ropeDim: number;
  readonly valueDim: number;
  readonly bias: boolean;
  readonly scale: number;
  readonly rotary: Rotary | null;
  readonly gate?: "per-element" | "per-head";
  readonly indexer?: Indexer;
  /** Reads the choice of the last layer that owns an indexer. */
  readonly sharedIndexer?: { readonly chosen: number };
}

/** Selective state space of Mamba: one state of `stateDim` per channel. */
export interface Mamba1 {
  readonly kind: "mamba1";
  readonly width: number;
  readonly stateDim: number;
  readonly convolution: number;
  readonly timeRank: number;
  readonly convolutionBias: boolean;
  readonly bias: boolean;
  /** Norms of Δ, B and C (Jamba). */
  readonly innerNorms: boolean;
}

/** State space of Mamba 2 (SSD): a scalar decay per head; prefill works in chunks. */
export interface Mamba2 {
  readonly kind: "mamba2";
  readonly heads: number;
  readonly headDim: number;
  readonly stateDim: number;
  readonly groups: number;
  readonly convolution: number;
  readonly chunk: number;
  readonly convolutionBias: boolean;
  readonly bias: boolean;
  readonly gatedNorm: boolean;
}

/** Gated delta rule: Gated DeltaNet (a decay per head) or Kimi Delta Attention (a decay per channel). */
export interface DeltaRule {
  readonly kind: "delta";
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly convolution: number;
  readonly chunk: number;
  readonly decay: "per-head" | "per-channel";
  /** Rank of the projections of decay and output gate (KDA), or null where they are projected directly. */
  readonly decayRank: number | null;
  readonly gateRank: number | null;
}

/** Linear attention with a fixed decay per head, in blocks (Lightning attention, MiniMax-01). */
export interface LightningAttention {
  readonly kind: "lightning";
  readonly heads: number;
  readonly headDim: number;
  readonly block: number;
}

/** Matrix memory of xLSTM. */
export interface MatrixLstm {
  readonly kind: "mlstm";
  readonly heads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly chunk: number;
}

/** Real-gated linear recurrence (Griffin, RecurrentGemma). */
export interface RgLru {
  readonly kind: "rg-lru";
  readonly width: number;
  readonly heads: number;
  readonly convolution: number;
}

/** Gated short convolution (LFM2). */
export interface ShortConvolution {
  readonly kind: "short-convolution";
  readonly width: number;
  readonly convolution: number;
  readonly bias: boolean;
}

/** Time mixing of RWKV 4: four projections and a recurrence per channel. */
export interface Rwkv4 {
  readonly kind: "rwkv4";
  readonly width: number;
}

/** How a layer mixes tokens. */
export type Mixer =
  | Attention
  | LatentAttention
  | Mamba1
  | Mamba2
  | DeltaRule
  | LightningAttention
  | MatrixLstm
  | RgLru
  | ShortConvolution
  | Rwkv4;

export type Activation = "silu" | "gelu" | "gelu-tanh" | "relu" | "relu2";

export interface DenseFfn {
  readonly kind: "dense";
  readonly width: number;
  /** down(act(gate(x)) · up(x)) instead of down(act(up(x))). */
  readonly gated: boolean;
  readonly activation: Activation;
  readonly bias: boolean;
}

/** Mixture of experts: a router sends each token to `chosen` of `experts`. */
export interface MoeFfn {
  readonly kind: "moe";
  readonly experts: number;
  readonly chosen: number;
  /** Width of one expert. */
  readonly width: number;
  readonly gated: boolean;
  readonly activation: Activation;
  /** Biases of the experts. */
  readonly bias: boolean;
  readonly routerBias: boolean;
  /** Choices that do nothing (LongCat's identity experts); the router scores them too. */
  readonly idle?: number;
  /** Experts work in a narrower space; projections lead into it and back. */
  readonly latentWidth?: number;
  /** Expert that every token passes: its width, and whether a scalar gate weighs it. */
  readonly shared?: { readonly width: number; readonly gate: boolean; readonly count?: number };
}

/** Channel mixing of RWKV 4: receptance gates a squared-ReLU network. */
export interface RwkvFfn {
  readonly kind: "rwkv4-ffn";
  readonly width: number;
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
}

/** Parameters that only scale or shift: read, but no matrix product. */
export interface ExtraWeight {
  readonly name: string;
  readonly shape: readonly number[];
}

/** What a layer or a model has beside the named parts. */
export interface Extras {
  readonly linears?: readonly ExtraLinear[];
  readonly weights?: readonly ExtraWeight[];
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
  /** It looks at an image and is skipped in text (Llama 3.2 Vision). */
  readonly onlyWithImage?: true;
}

/** What a stack's length is: the new tokens, the encoder's input, a constant, or not run for text at all. */
export type StackLength =
  | { readonly kind: "new" }
  | { readonly kind: "encoder" }
  | { readonly kind: "constant"; readonly tokens: number }
  | { readonly kind: "absent" };

export interface Stack {
  readonly kind: "decoder" | "encoder" | "vision" | "audio";
  /** One entry per executed layer; equal layers may be the same object. */
  readonly layers: readonly Layer[];
  readonly finalNorm: Norm | null;
  /** The new tokens where absent. */
  readonly length?: StackLength;
  /** hidden_size of this stack where it is not the model's. */
  readonly hiddenSize?: number;
  readonly extras?: Extras;
}

/** A table whose rows are looked up per token beside the token embedding. */
export interface ExtraTable {
  readonly name: string;
  readonly rows: number;
  readonly width: number;
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
  readonly kind: "lm" | "none";
  readonly tied: boolean;
  readonly bias: boolean;
  readonly softcap: number | null;
  /** Projection, activation and norm before the logits (masked language models). */
  readonly transform?: { readonly width: number; readonly bias: boolean; readonly norm: Norm | null };
  /** Rows of the logits where they are not the vocabulary's. */
  readonly rows?: number;
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
  /** What stands outside of embedding, stacks and head. */
  readonly extras?: Extras;
  readonly stacks: readonly Stack[];
  readonly dtypes: Dtypes;
  readonly filled: readonly Filled[];
  /** What the description leaves out, in words. */
  readonly notes: readonly string[];
}
