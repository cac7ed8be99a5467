import { type Family, numbers, tensorFact } from "./translate.js";

/** Decoders of the GPT-2 kind: layer norms, plain networks, fused projections. */

export const classicFamilies: Readonly<Record<string, Family>> = {
  gpt2: { modelType: "gpt2" },
  starcoder: {
    modelType: "gpt_bigcode",
    more: (metadata) => ({
      multi_query: { value: metadata.number("attention.head_count_kv") === 1, key: "attention.head_count_kv" },
    }),
  },
  gptneox: {
    modelType: "gpt_neox",
    more: (metadata) => ({
      use_parallel_residual: {
        value: metadata.flag("use_parallel_residual"),
        key: metadata.fullKey("use_parallel_residual"),
      },
    }),
  },
  bloom: { modelType: "bloom" },
  mpt: {
    modelType: "mpt",
    more: (metadata) => ({
      expansion_ratio: {
        value: metadata.required("feed_forward_length") / metadata.required("embedding_length"),
        key: metadata.fullKey("feed_forward_length"),
      },
    }),
  },
  falcon: {
    modelType: "falcon",
    more: (metadata) => ({
      ...numbers(metadata, { num_kv_heads: "attention.head_count_kv" }),
      new_decoder_architecture: tensorFact(metadata.has("blk.0.attn_norm_2.weight"), "blk.0.attn_norm_2.weight"),
      multi_query: { value: metadata.number("attention.head_count_kv") === 1, key: "attention.head_count_kv" },
      parallel_attn: tensorFact(true, "blk.0.ffn_norm.weight"),
      bias: tensorFact(metadata.has("blk.0.ffn_up.bias"), "blk.0.ffn_up.bias"),
    }),
  },
  phi2: {
    modelType: "phi",
    more: () => ({ qk_layernorm: tensorFact(false, "blk.0.attn_q_norm.weight") }),
  },
  olmo: { modelType: "olmo" },
  nemotron: {
    modelType: "nemotron",
    more: (metadata) => numbers(metadata, { norm_eps: "attention.layer_norm_epsilon" }),
  },
  stablelm: {
    modelType: "stablelm",
    more: (metadata) => ({
      use_qkv_bias: tensorFact(metadata.has("blk.0.attn_q.bias"), "blk.0.attn_q.bias"),
      qk_layernorm: tensorFact(metadata.has("blk.0.attn_q_norm.weight"), "blk.0.attn_q_norm.weight"),
      use_parallel_residual: tensorFact(!metadata.has("blk.0.ffn_norm.weight"), "blk.0.ffn_norm.weight"),
    }),
  },
  starcoder2: {
    modelType: "starcoder2",
    more: (metadata) => ({
      ...numbers(metadata, { norm_epsilon: "attention.layer_norm_epsilon" }),
      use_bias: tensorFact(metadata.has("blk.0.ffn_up.bias"), "blk.0.ffn_up.bias"),
    }),
  },
};
