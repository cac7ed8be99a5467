import { classicFamilies } from "./families-classic.js";
import { encoderFamilies } from "./families-encoder.js";
import { hybridFamilies } from "./families-hybrid.js";
import { latestFamilies } from "./families-latest.js";
import { type Family, deepseekExperts, experts, latent, noWindow, numbers, sliding, softcaps } from "./translate.js";

/** Decoders of plain attention layers. */
const plainFamilies: Readonly<Record<string, Family>> = {
  llama: {
    modelType: (metadata) => ((metadata.number("expert_count") ?? 0) > 0 ? "mixtral" : "llama"),
    more: (metadata) => ({
      ...numbers(metadata, { num_local_experts: "expert_count", num_experts_per_tok: "expert_used_count" }),
      ...noWindow(metadata),
    }),
  },
  mistral3: { modelType: "ministral3", more: noWindow },
  qwen2: { modelType: "qwen2", more: noWindow },
  qwen3: { modelType: "qwen3", more: noWindow },
  qwen2moe: {
    modelType: "qwen2_moe",
    more: (metadata) =>
      numbers(metadata, {
        ...experts,
        shared_expert_intermediate_size: "expert_shared_feed_forward_length",
      }),
  },
  qwen3moe: { modelType: "qwen3_moe", more: (metadata) => numbers(metadata, experts) },
  gemma: { modelType: "gemma" },
  gemma2: {
    modelType: "gemma2",
    more: (metadata) => ({ ...sliding(metadata, 2, 4096), ...numbers(metadata, softcaps) }),
  },
  gemma3: {
    modelType: "gemma3_text",
    more: (metadata) => ({ ...sliding(metadata, 6), ...numbers(metadata, softcaps) }),
  },
  phi3: { modelType: "phi3", more: noWindow },
  smollm3: { modelType: "smollm3", more: noWindow },
  olmo2: {
    modelType: (metadata) => ((metadata.number("attention.sliding_window") ?? 0) > 0 ? "olmo3" : "olmo2"),
    more: (metadata) => ((metadata.number("attention.sliding_window") ?? 0) > 0 ? sliding(metadata, 4) : {}),
  },
  olmoe: { modelType: "olmoe", more: (metadata) => numbers(metadata, experts) },
  "gpt-oss": {
    modelType: "gpt_oss",
    more: (metadata) => ({
      ...sliding(metadata, 2),
      ...numbers(metadata, {
        num_local_experts: "expert_count",
        num_experts_per_tok: "expert_used_count",
        intermediate_size: "expert_feed_forward_length",
      }),
    }),
  },
  deepseek2: {
    modelType: ({ header }) =>
      header.tensors.some(({ name }) => name.endsWith("exp_probs_b.bias")) ? "deepseek_v3" : "deepseek_v2",
    more: latent,
  },
  glm4moe: {
    modelType: "glm4_moe",
    more: (metadata) => ({
      ...numbers(metadata, deepseekExperts),
      use_qk_norm: { value: metadata.has("blk.0.attn_q_norm.weight"), key: "blk.0.attn_q_norm.weight" },
    }),
  },
  "command-r": { modelType: "cohere" },
  cohere2: { modelType: "cohere2", more: (metadata) => sliding(metadata, 4) },
  seed_oss: { modelType: "seed_oss" },
  arcee: { modelType: "arcee" },
  baichuan: { modelType: "llama" },
  internlm2: { modelType: "llama" },
  xverse: { modelType: "llama" },
  minicpm: { modelType: "llama" },
  granite: { modelType: "granite" },
  granitemoe: {
    modelType: "granitemoeshared",
    more: (metadata) =>
      numbers(metadata, {
        num_local_experts: "expert_count",
        num_experts_per_tok: "expert_used_count",
        shared_intermediate_size: "expert_shared_feed_forward_length",
      }),
  },
  ernie4_5: { modelType: "ernie4_5" },
  "hunyuan-dense": { modelType: "hunyuan_v1_dense" },
  glm4: { modelType: "glm4" },
  exaone4: {
    modelType: "exaone4",
    more: (metadata) =>
      (metadata.number("attention.sliding_window") ?? 0) > 0 ? sliding(metadata, 4) : noWindow(metadata),
  },
  "minimax-m2": {
    modelType: "minimax_m2",
    more: (metadata) =>
      numbers(metadata, {
        num_local_experts: "expert_count",
        num_experts_per_tok: "expert_used_count",
        intermediate_size: "expert_feed_forward_length",
      }),
  },
  dots1: { modelType: "dots1", more: (metadata) => ({ ...numbers(metadata, deepseekExperts), ...noWindow(metadata) }) },
  "hunyuan-moe": {
    modelType: "hunyuan_v1_moe",
    more: (metadata) => ({
      ...numbers(metadata, {
        num_experts: "expert_count",
        moe_topk: "expert_used_count",
        moe_intermediate_size: "expert_feed_forward_length",
        intermediate_size: "expert_shared_feed_forward_length",
      }),
      num_shared_expert: { value: 1, key: metadata.fullKey("expert_shared_feed_forward_length") },
    }),
  },
  "ernie4_5-moe": {
    modelType: "ernie4_5_moe",
    more: (metadata) =>
      numbers(metadata, {
        moe_num_experts: "expert_count",
        moe_k: "expert_used_count",
        moe_intermediate_size: "expert_feed_forward_length",
        moe_num_shared_experts: "expert_shared_count",
        moe_layer_start_index: "leading_dense_block_count",
        moe_layer_interval: "interleave_moe_layer_step",
      }),
  },
  minicpm3: {
    modelType: "minicpm3",
    more: (metadata) => latent(metadata),
  },
  deepseek: {
    modelType: "deepseek",
    more: (metadata) => ({
      ...numbers(metadata, deepseekExperts),
      hidden_act: { value: "silu", key: "general.architecture" },
    }),
  },
};

/** Architectures by llama.cpp's name. */
export const families: Readonly<Record<string, Family>> = {
  ...plainFamilies,
  ...classicFamilies,
  ...hybridFamilies,
  ...latestFamilies,
  ...encoderFamilies,
};

/** Every architecture whose headers are understood. */
export function knownArchitectures(): string[] {
  return Object.keys(families).sort();
}
