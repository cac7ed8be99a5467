import type { GgufMetadata } from "./metadata.js";
import {
  type Family,
  type Translation,
  experts,
  latent,
  numbers,
  rowsOf,
  sliding,
  softcaps,
  tensorFact,
} from "./translate.js";

/** Decoders whose layers differ from each other, or that choose what they attend to. */

/** Embeddings of each layer beside the token's. */
function perLayerInputs(metadata: GgufMetadata): Translation {
  const rows = rowsOf(metadata, "per_layer_token_embd.weight");
  return {
    ...numbers(metadata, {
      hidden_size_per_layer_input: "embedding_length_per_layer_input",
      num_kv_shared_layers: "attention.shared_kv_layers",
    }),
    ...(rows === null ? {} : { vocab_size_per_layer_input: tensorFact(rows, "per_layer_token_embd.weight") }),
  };
}

const widest = (list: readonly number[]): number => Math.max(0, ...list);

/** Gemma 4: heads, key-value heads and network differ between local and global layers. */
function gemma4(metadata: GgufMetadata): Translation {
  const slides = metadata.flags("attention.sliding_window_pattern");
  const heads = metadata.list("attention.head_count_kv");
  const widths = metadata.list("feed_forward_length");
  const of = (local: boolean): number | undefined => heads.find((_, layer) => slides?.[layer] === local);
  const local = of(true) ?? widest(heads);
  const global = of(false) ?? local;
  const lastGlobal = slides?.lastIndexOf(false) ?? -1;
  const own = (layer: number): boolean => layer < heads.length - (metadata.number("attention.shared_kv_layers") ?? 0);
  const oneProjection = slides?.some((is, layer) => !is && own(layer) && !metadata.has(`blk.${layer}.attn_v.weight`));
  const narrow = Math.min(...widths);
  const key = metadata.fullKey("attention.head_count_kv");
  return {
    ...sliding(metadata, 6),
    ...perLayerInputs(metadata),
    ...numbers(metadata, {
      final_logit_softcapping: "final_logit_softcapping",
      head_dim: "attention.key_length_swa",
      global_head_dim: "attention.key_length",
      num_experts: "expert_count",
      top_k_experts: "expert_used_count",
      moe_intermediate_size: "expert_feed_forward_length",
    }),
    num_key_value_heads: { value: local, key },
    num_global_key_value_heads: { value: global, key },
    attention_k_eq_v: tensorFact(oneProjection ?? false, `blk.${Math.max(0, lastGlobal)}.attn_v.weight`),
    intermediate_size: { value: narrow, key: metadata.fullKey("feed_forward_length") },
    use_double_wide_mlp: { value: widest(widths) > narrow, key: metadata.fullKey("feed_forward_length") },
    enable_moe_block: { value: (metadata.number("expert_count") ?? 0) > 0, key: metadata.fullKey("expert_count") },
  };
}

/** An indexer beside latent attention. */
const indexed = (metadata: GgufMetadata): Translation => ({
  ...latent(metadata),
  ...numbers(metadata, {
    index_n_heads: "attention.indexer.head_count",
    index_head_dim: "attention.indexer.key_length",
    index_topk: "attention.indexer.top_k",
  }),
});

export const latestFamilies: Readonly<Record<string, Family>> = {
  gemma3n: {
    modelType: "gemma3n_text",
    more: (metadata) => ({
      ...sliding(metadata, 5),
      ...perLayerInputs(metadata),
      ...numbers(metadata, { ...softcaps, altup_num_inputs: "altup.num_inputs" }),
      laurel_rank: tensorFact(rowsOf(metadata, "blk.0.laurel_l.weight"), "blk.0.laurel_l.weight"),
      intermediate_size: { value: metadata.list("feed_forward_length"), key: metadata.fullKey("feed_forward_length") },
    }),
    perLayer: ["feed_forward_length"],
  },
  gemma4: {
    modelType: "gemma4_text",
    more: gemma4,
    perLayer: ["feed_forward_length", "attention.head_count_kv"],
  },
  llama4: {
    modelType: "llama4_text",
    more: (metadata) => ({
      ...numbers(metadata, {
        num_local_experts: "expert_count",
        num_experts_per_tok: "expert_used_count",
        intermediate_size: "expert_feed_forward_length",
        intermediate_size_mlp: "feed_forward_length",
        interleave_moe_layer_step: "interleave_moe_layer_step",
        attention_chunk_size: "attention.chunk_size",
      }),
    }),
  },
  afmoe: {
    modelType: "afmoe",
    more: (metadata) => ({
      ...sliding(metadata, 4),
      ...numbers(metadata, {
        ...experts,
        num_shared_experts: "expert_shared_count",
        num_dense_layers: "leading_dense_block_count",
      }),
    }),
  },
  deepseek32: { modelType: "deepseek_v32", more: indexed },
  "glm-dsa": { modelType: "glm_moe_dsa", more: indexed },
};
