import type { Attention, Biases, CompressedAttention, Indexer, LatentAttention, Mixer, Span } from "../mixers.js";
import type { Rotary } from "../rotary.js";
import { SpecProblem, divisor, share } from "./problem.js";
import { approximateOf, linearOf, recurrentOf } from "./linear-mixers.js";
import type { AttentionSpec, MixerSpec } from "./mixer-schema.js";

/** A mixer of the spec in full: what it leaves out has the defaults that docs/spec.md lists. */
export function mixerOf(spec: MixerSpec, hiddenSize: number, causal: boolean): Mixer {
  switch (spec.kind) {
    case "attention":
      return attentionOf(spec, hiddenSize, causal);
    case "latent":
      return latentOf(spec, hiddenSize);
    case "mamba1":
      return {
        kind: "mamba1",
        width: spec.width,
        stateDim: spec.state_dim,
        convolution: spec.convolution ?? 4,
        timeRank: spec.time_rank ?? Math.ceil(hiddenSize / 16),
        convolutionBias: true,
        bias: spec.bias ?? false,
        innerNorms: false,
      };
    case "mamba2":
      return {
        kind: "mamba2",
        heads: spec.heads,
        headDim: spec.head_dim,
        stateDim: spec.state_dim,
        groups: divisor("groups", spec.groups ?? 1, "heads", spec.heads),
        convolution: spec.convolution ?? 4,
        chunk: spec.chunk ?? 256,
        convolutionBias: true,
        bias: spec.bias ?? false,
        gatedNorm: true,
      };
    case "delta": {
      const valueHeads = spec.value_heads ?? spec.key_heads;
      divisor("key_heads", spec.key_heads, "value_heads", valueHeads);
      return {
        kind: "delta",
        keyHeads: spec.key_heads,
        valueHeads,
        keyDim: spec.key_dim,
        valueDim: spec.value_dim ?? spec.key_dim,
        convolution: spec.convolution ?? 4,
        chunk: spec.chunk ?? 64,
        decay: spec.decay ?? "per-head",
        decayRank: spec.decay_rank ?? null,
        gateRank: spec.gate_rank ?? null,
      };
    }
    case "lightning":
      return { kind: "lightning", heads: spec.heads, headDim: spec.head_dim, block: spec.block ?? 256 };
    case "rg-lru":
      return {
        kind: "rg-lru",
        width: spec.width,
        heads: divisor("heads", spec.heads, "width", spec.width),
        convolution: spec.convolution ?? 4,
      };
    case "short-convolution":
      return {
        kind: "short-convolution",
        width: spec.width ?? hiddenSize,
        convolution: spec.convolution,
        bias: spec.bias ?? false,
      };
    case "fourier":
      return { kind: "fourier" };
    case "compressed":
      return compressedOf(spec);
    case "linear":
    case "retnet":
    case "gla":
    case "performer":
      return linearOf(spec, hiddenSize, causal);
    case "rwkv":
    case "lstm":
    case "gru":
    case "mlstm":
      return recurrentOf(spec, hiddenSize);
    case "linformer":
    case "nystrom":
    case "relative":
      return approximateOf(spec, hiddenSize, causal);
  }
}

function compressedOf(spec: Extract<MixerSpec, { kind: "compressed" }>): CompressedAttention {
  const { heads, head_dim: dim, ratio = 0, indexer = null } = spec;
  if (ratio === 0 && indexer !== null) {
    throw new SpecProblem("indexer", "given", "expected a ratio: it chooses among compressed keys");
  }
  return {
    kind: "compressed",
    heads,
    dim,
    queryRank: spec.query_rank,
    window: spec.window,
    outputGroups: divisor("output_groups", spec.output_groups ?? 1, "heads", heads),
    outputRank: spec.output_rank,
    ratio,
    indexer,
  };
}

function attentionOf(spec: AttentionSpec, hiddenSize: number, causal: boolean): Attention {
  const { heads } = spec;
  const kvHeads = divisor("kv_heads", spec.kv_heads ?? heads, "heads", heads);
  const keyDim = spec.head_dim ?? share("heads", heads, hiddenSize, "head_dim");
  const looksBack = spec.source === "encoder" ? false : (spec.causal ?? causal);
  return {
    kind: "attention",
    heads,
    kvHeads,
    keyDim,
    valueDim: spec.value_dim ?? keyDim,
    bias: biasOf(spec.bias ?? false),
    queryKeyNorm: spec.qk_norm === true ? "per-head" : "none",
    rotary: spec.rope === false || spec.source === "encoder" ? null : rotaryOf(spec, keyDim),
    span: spanOf(spec, looksBack),
    causal: looksBack,
    scale: keyDim ** -0.5,
    softcap: spec.softcap ?? null,
    ...(spec.sinks === true ? { sinks: true } : {}),
    ...(spec.shared_query_key === true ? { sharedQueryKey: true as const } : {}),
    ...(spec.gate === undefined ? {} : { gate: spec.gate }),
    ...(spec.cache === undefined ? {} : { keyValue: spec.cache }),
    ...(spec.source === undefined ? {} : { source: spec.source }),
    ...(spec.indexer === undefined ? {} : { indexer: indexerOf(spec.indexer, hiddenSize) }),
  };
}

function spanOf(spec: AttentionSpec, causal: boolean): Span {
  const { window, chunk, blocks, buckets, first_tokens: first } = spec;
  const [given, second] = (["window", "chunk", "blocks", "buckets"] as const).filter((key) => spec[key] !== undefined);
  if (given !== undefined && second !== undefined) {
    throw new SpecProblem(second, "given", `expected ${given} or ${second}, not both`);
  }
  if (first !== undefined && window === undefined) throw new SpecProblem("first_tokens", first, "expected a window");
  if (causal && (blocks !== undefined || buckets !== undefined)) {
    throw new SpecProblem(given ?? "", "given", "expected it in an encoder, or causal: false");
  }
  if (window !== undefined) return { kind: "window", size: window, ...(first === undefined ? {} : { first }) };
  if (blocks !== undefined) return { kind: "blocks", size: blocks.size, random: blocks.random ?? 3 };
  if (buckets !== undefined) return { kind: "buckets", size: buckets.size, rounds: buckets.rounds ?? 1 };
  return chunk === undefined ? { kind: "full" } : { kind: "chunk", size: chunk };
}

function rotaryOf(spec: AttentionSpec, keyDim: number): Rotary | null {
  const dims = spec.rope_dims ?? keyDim - (keyDim % 2);
  if (dims % 2 !== 0 || dims > keyDim) {
    throw new SpecProblem("rope_dims", dims, `expected an even number up to the head's ${keyDim} dimensions`);
  }
  return dims === 0 ? null : { dims, theta: spec.rope_theta ?? 10_000, interleaved: false };
}

type LatentSpec = Extract<MixerSpec, { kind: "latent" }>;

function latentOf(spec: LatentSpec, hiddenSize: number): LatentAttention {
  if (spec.rope_dim % 2 !== 0) throw new SpecProblem("rope_dim", spec.rope_dim, "expected an even number");
  const queryRank = spec.query_rank ?? null;
  return {
    kind: "latent",
    heads: spec.heads,
    queryRank,
    kvRank: spec.kv_rank,
    nopeDim: spec.nope_dim,
    ropeDim: spec.rope_dim,
    valueDim: spec.value_dim,
    bias: spec.bias ?? false,
    scale: (spec.nope_dim + spec.rope_dim) ** -0.5,
    rotary: spec.rope_dim === 0 ? null : { dims: spec.rope_dim, theta: spec.rope_theta ?? 10_000, interleaved: true },
    ...(spec.indexer === undefined ? {} : { indexer: indexerOf(spec.indexer, queryRank ?? hiddenSize) }),
  };
}

function indexerOf(spec: NonNullable<AttentionSpec["indexer"]>, queryWidth: number): Indexer {
  return { ...spec, queryWidth, norm: "layer", weighted: true };
}

function biasOf(all: boolean): Biases {
  return { query: all, key: all, value: all, output: all };
}
