import type { Rotary } from "./rotary.js";

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
  /** So many heads: each makes Δ, B and C of its own share of the channels (Zamba); 1 where absent. */
  readonly heads?: number;
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
  /**
   * B, C and Δ are projected from the convolved channels, each with a norm, Δ through this rank; where absent the
   * projection into the mixer has them (PLaMo 2).
   */
  readonly selectRank?: number;
}

/** Delta rule: DeltaNet (no decay), Gated DeltaNet (a decay per head) or Kimi Delta Attention (a decay per channel). */
export interface DeltaRule {
  readonly kind: "delta";
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly convolution: number;
  readonly chunk: number;
  readonly decay: "none" | "per-head" | "per-channel";
  /** The output passes no gate (DeltaNet). */
  readonly ungated?: true;
  /** Rank of the projections of decay and output gate (KDA), or null where they are projected directly. */
  readonly decayRank: number | null;
  readonly gateRank: number | null;
  /**
   * Values alone pass a convolution, whose kernels a small network of this rank makes for every token (JetBlock,
   * arXiv:2508.15884); queries and keys pass none.
   */
  readonly dynamicConvolution?: { readonly rank: number };
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

/** Gated memory unit (SambaY, arXiv:2507.06607): out(silu(in(x)) ⊙ memory), the last Mamba's scan of the same token. */
export interface GatedMemory {
  readonly kind: "gated-memory";
  readonly width: number;
  readonly bias: boolean;
}

/** Time mixing of RWKV 4: four projections and a recurrence per channel. */
export interface Rwkv4 {
  readonly kind: "rwkv4";
  readonly width: number;
}

/**
 * Linear attention: softmax(q·kᵀ) becomes φ(q)·φ(k)ᵀ, and the past a state of one keyDim × valueDim matrix per head:
 * S ← λ ⊙ S + φ(k)ᵀ·v and o = φ(q)·S. Prefill works in chunks where it is causal.
 */
export interface LinearAttention {
  readonly kind: "linear";
  readonly heads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly chunk: number;
  readonly causal: boolean;
  /**
   * φ. `elu`: elu(x) + 1 (arXiv:2006.16236). `none`: x. Random: exp(ω·x′ − |x′|²/2)/√m with x′ = x/keyDim^¼ and m rows
   * ω drawn once (Performer, arXiv:2009.14794); the state is then m × valueDim.
   */
  readonly feature: "elu" | "none" | { readonly random: number };
  /** Queries are multiplied by this; 1 where the features are normalised. */
  readonly scale: number;
  /** o is divided by φ(q)·z with z ← λ ⊙ z + φ(k). */
  readonly normalised: boolean;
  /**
   * λ. `none`: 1. `fixed`: 1 − 2^(−5−h) of head h (RetNet, arXiv:2307.08621). Of rank r: per channel of the keys,
   * sigmoid(up·down·x + bias)^(1/16) (GLA, arXiv:2312.06635).
   */
  readonly decay: "none" | "fixed" | { readonly rank: number };
  readonly rotary: Rotary | null;
  /** The mixture passes an RMS norm per head of valueDim weights, then is multiplied by silu(gate·x). */
  readonly gated: boolean;
  /** λ is one less the key, so that one projection says what is forgotten and what is written (HGRN2, arXiv:2404.07904). */
  readonly keyDecays?: true;
  /** The mixture passes an RMS norm over all its channels. */
  readonly normed?: true;
}

/**
 * Time mixing of RWKV 5 to 7: heads with a state of headDim × headDim. 5 (Eagle, arXiv:2404.05892): a fixed decay per
 * channel. 6 (Finch): decay and mixing with the token before depend on the input. 7 (Goose, arXiv:2503.14456): a
 * generalised delta rule.
 */
export interface Rwkv {
  readonly kind: "rwkv";
  readonly version: 5 | 6 | 7;
  readonly width: number;
  readonly headDim: number;
  readonly chunk: number;
  /** Ranks of the small projections; none in version 5. */
  readonly ranks: {
    readonly mix: number;
    readonly decay: number;
    readonly rate: number;
    readonly value: number;
    readonly gate: number;
  };
  /** Version 7: the first layer's values are handed on, so that it has no projection that mixes them in. */
  readonly first?: true;
}

/**
 * A recurrent cell over the tokens, one after the other: each step multiplies the state by a weight, so steps wait for
 * each other. Gates in PyTorch's order and with its two biases: LSTM i, f, g, o: c ← f·c + i·g, h ← o·tanh(c); GRU
 * r, z, n: h ← (1 − z)·n + z·h with n = tanh(Wx + b + r·(Uh + b′)). An output projection where width ≠ hidden_size.
 */
export interface RecurrentCell {
  readonly kind: "cell";
  readonly cell: "lstm" | "gru";
  readonly width: number;
  readonly bias: boolean;
}
