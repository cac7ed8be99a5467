import type {
  DeltaRule,
  GatedMemory,
  LightningAttention,
  LinearAttention,
  Mamba1,
  Mamba2,
  MatrixLstm,
  RecurrentCell,
  RgLru,
  Rwkv,
  Rwkv4,
  ShortConvolution,
} from "./recurrent-mixers.js";
import type { Rotary } from "./rotary.js";

/** Which positions a query may look at. Sizes are in tokens; a window of w holds the query itself and w − 1 before it. */
export type Span =
  | { readonly kind: "full" }
  /** With `first`, the sequence's first tokens stay visible and are kept beside the window (StreamingLLM's sinks). */
  | { readonly kind: "window"; readonly size: number; readonly first?: number }
  | { readonly kind: "chunk"; readonly size: number }
  /** The best `size` of the earlier tokens, wherever they are: everything must be kept. */
  | { readonly kind: "chosen"; readonly size: number }
  /** Buckets of an encoder: each query meets `size` keys in each of `rounds` rounds (Reformer). */
  | { readonly kind: "buckets"; readonly size: number; readonly rounds: number }
  /** Blocks of an encoder: three around, two global, some random; everything up to `(5 + 2·random)·size` (BigBird). */
  | { readonly kind: "blocks"; readonly size: number; readonly random: number }
  /**
   * Pairs of blocks of `size` tokens of an encoder: means of blocks are scored against each other, the best `count` pairs
   * token by token; with `coarse` the means stand in for the others (MRA, arXiv:2207.10284).
   */
  | { readonly kind: "ranked"; readonly size: number; readonly count: number; readonly coarse: boolean }
  /**
   * The query's block of `size` and `local` − 1 blocks before it; of those farther back one in `stride`, which one
   * differs from head to head, so that over all heads each is seen equally often (Phi-3-small, arXiv:2404.14219).
   */
  | { readonly kind: "strided"; readonly size: number; readonly local: number; readonly stride: number };

/** One compressed key for each `ratio` whole tokens before; at most `chosen` of them where an indexer chooses. */
export interface CompressedSpan {
  readonly kind: "compressed";
  readonly ratio: number;
  readonly chosen: number | null;
}

/** What an operator's queries may look at: tokens, or compressed keys of them. */
export type KeySpan = Span | CompressedSpan;

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
  /** So many tokens' keys are pooled into one, which is scored and kept; every token's own where absent. */
  readonly pool?: number;
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
  /**
   * Queries and keys are projected from tokens that were filtered with those before them, through a narrower width and back
   * (Yuan 2, arXiv:2311.15786).
   */
  readonly filter?: { readonly width: number };
  /**
   * So many tokens of the stack's own (its extra `global_tokens`) are seen by all and see all; what they cost stands in the
   * layer's extras (Pegasus-X).
   */
  readonly globals?: number;
  /** Chunks begin half a chunk earlier. */
  readonly staggered?: true;
  /** Each head's values are RMS normed, without weights (Gemma 3n and 4). */
  readonly valueNorm?: true;
  /** A learned score per head that takes part in the softmax (gpt-oss). */
  readonly sinks?: boolean;
  /** A projected gate on the mixture: one number per element or per head. */
  readonly gate?: "per-element" | "per-head";
  /** `shared`: reads another layer's cache and projects neither. `key-is-value`: one projection for both. */
  readonly keyValue?: "own" | "shared" | "key-is-value";
  /** Keys and values come from the encoder's output, once per sequence. */
  readonly source?: "self" | "encoder";
  /**
   * So many further queries per token meet the same keys; stream s of them meets s keys fewer and, in self-attention,
   * one key of its own (ProphetNet's predicting streams, arXiv:2001.04063).
   */
  readonly streams?: number;
  /**
   * Scores by distance to the key are projected from each query's token (the layer's extra `relative_positions`), a number
   * per head and bucket; buckets are those of `relativePositions`.
   */
  readonly projectedPositions?: { readonly buckets: number; readonly reach: number };
  /** Every query meets every key so often, with different values (differential attention); once where absent. */
  readonly passes?: number;
  /** One softmax over the own sequence and the encoder's output, which the same projections read (T5Gemma 2). */
  readonly joinsEncoder?: true;
  /** Width that keys and values are projected from when they come from elsewhere. */
  readonly sourceWidth?: number;
  /**
   * Keys and values come from another stack over the same text, so many positions for each of this one's. Each query
   * meets those of its own chunk, and nothing is kept (BLT's bytes and patches).
   */
  readonly across?: { readonly positions: number };
  /** Width of what is projected where it is not hidden_size; the input is widened with the embeddings (Zamba). */
  readonly inputWidth?: number;
  /** Width of the output where it is not hidden_size. */
  readonly outputWidth?: number;
  readonly indexer?: Indexer;
  /** Projections in groups: each sees a share of the channels (SqueezeBERT). */
  readonly groups?: Readonly<Record<"query" | "key" | "value" | "output", number>>;
  /** Queries and keys have one projection (Reformer's hashed attention). */
  readonly sharedQueryKey?: true;
  /** The reference computes whole blocks of queries against this many keys each. */
  readonly referenceBlocks?: { readonly block: number; readonly keys: number };
  /** The reference masks the window and keeps the whole cache all the same. */
  readonly maskedWindow?: true;
  /** Queries are projected through this rank, with an RMS norm between (Step 3). */
  readonly queryRank?: number;
  /** Queries and output are projected by experts that a router chooses (JetMoE). */
  readonly projectionExperts?: { readonly experts: number; readonly chosen: number };
  /**
   * A number per head and bucket of the distance between key and query is added to the scores (T5, arXiv:1910.10683):
   * half of the buckets are of one distance each, the others widen up to `reach`; where it looks both ways, half of all
   * are for keys after the query. The table is the layer's own, or the last one of a layer before it.
   */
  readonly relativePositions?: { readonly buckets: number; readonly reach: number; readonly own: boolean };
  /**
   * Scores by place beside those by content (DeBERTa, arXiv:2006.03654). The stack has a table `relative_positions` of
   * 2·reach places; each layer projects it (its extras `position_key`, `position_query`; the projections of content where
   * `shared`) and adds q·key(place) where `places` has `key`, query(place)·k where it has `query`. A query and key that
   * are d apart have the place reach + min(max(d, −reach), reach − 1); up to `farthest`, where it is not null, distances
   * beyond reach/2 share the places beyond it, logarithmically.
   */
  readonly disentangled?: {
    readonly reach: number;
    readonly farthest: number | null;
    readonly places: readonly ("key" | "query")[];
    readonly shared: boolean;
  };
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
  /** Queries, and the gate, are projected from this width instead of the query rank (A.X K2). */
  readonly queryWidth?: number;
  readonly gateFromQuery?: true;
  readonly sinks?: boolean;
  readonly indexer?: Indexer;
  /** Reads the choice of the last layer that owns an indexer. */
  readonly sharedIndexer?: { readonly chosen: number };
}

/**
 * Attention over a window and over compressed keys (DeepSeek-V4): one key, which is the value too, for all heads; each
 * `ratio` tokens are compressed into one more. The output is projected in groups.
 */
export interface CompressedAttention {
  readonly kind: "compressed";
  readonly heads: number;
  readonly dim: number;
  readonly queryRank: number;
  readonly window: number;
  readonly outputGroups: number;
  readonly outputRank: number;
  /** Tokens per compressed key; 0 where the layer has a window only. */
  readonly ratio: number;
  /**
   * The last dimensions of queries and keys are rotated, a compressed key by the place of its first token, and those of the
   * mixture back; each head's queries are RMS normed before, without weights. None of it where absent.
   */
  readonly rotary?: Rotary;
  /** Chooses among the compressed keys, which then overlap and take twice the width. */
  readonly indexer: { readonly heads: number; readonly dim: number; readonly chosen: number } | null;
}

/**
 * Linformer (arXiv:2006.04768): keys and values of all positions are projected to `length` rows by learned matrices
 * [length, positions], the same for all heads: softmax(q·(E·k)ᵀ)·(F·v). It looks both ways.
 */
export interface Linformer {
  readonly kind: "linformer";
  readonly heads: number;
  readonly headDim: number;
  readonly length: number;
  /** Columns of the matrices: the longest sequence. */
  readonly positions: number;
  /** One matrix for keys and values. */
  readonly shared: boolean;
  readonly bias: boolean;
}

/** Nyström approximation of attention (arXiv:2102.03902): `landmarks` means stand for all queries and keys. */
export interface NystromAttention {
  readonly kind: "nystrom";
  readonly heads: number;
  readonly headDim: number;
  readonly landmarks: number;
  /** Width of the depthwise convolution of values, or null. */
  readonly convolution: number | null;
}

/** Attention with relative positions of Transformer-XL (Funnel): content, position and segment scores. */
export interface RelativeAttention {
  readonly kind: "relative";
  readonly heads: number;
  readonly headDim: number;
  /** Biases of keys, values and output. */
  readonly bias: boolean;
  /** How many times shorter the queries are than the keys: 2 in a layer that pools. */
  readonly pooling: 1 | 2;
}

/**
 * Attention of Transformer-XL (arXiv:1901.02860) to the segment and to `memory` tokens before it: scores by content and by
 * relative position. Of the memory the hidden states are kept, which each segment projects anew.
 */
export interface SegmentAttention {
  readonly kind: "segment";
  readonly heads: number;
  readonly headDim: number;
  readonly memory: number;
  /** Each query sees `memory` keys at most, its own among them; else all of its segment and of the memory. */
  readonly sameLength: boolean;
  /** Biases of the scores are the layer's own; else the model has them once. */
  readonly ownBiases: boolean;
}

/** Two-dimensional Fourier transform over tokens and channels (FNet): n log n, and no parameters. */
export interface FourierMixing {
  readonly kind: "fourier";
}

/** How a layer mixes tokens. */
export type Mixer =
  | Attention
  | LatentAttention
  | CompressedAttention
  | Mamba1
  | Mamba2
  | DeltaRule
  | LightningAttention
  | MatrixLstm
  | RgLru
  | ShortConvolution
  | GatedMemory
  | Rwkv4
  | Rwkv
  | LinearAttention
  | RecurrentCell
  | Linformer
  | NystromAttention
  | RelativeAttention
  | SegmentAttention
  | FourierMixing;
