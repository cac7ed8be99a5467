import type { JsonValue } from "../hf/json.js";
import type { GgufMetadata } from "./metadata.js";

/** A value for the config of the family, and the GGUF key that it comes from. */
export interface Translated {
  readonly value: JsonValue;
  readonly key: string;
}
export type Translation = Record<string, Translated>;

/** What an architecture of llama.cpp is called in Hugging Face configs, and the keys that only it has. */
interface Family {
  readonly modelType: string | ((metadata: GgufMetadata) => string);
  readonly more?: (metadata: GgufMetadata) => Translation;
}

/** The config's name on the left, the header's on the right; what the header lacks is left out. */
function numbers(metadata: GgufMetadata, names: Readonly<Record<string, string>>): Translation {
  const found: Translation = {};
  for (const [name, key] of Object.entries(names)) {
    const value = metadata.number(key);
    if (value !== null) found[name] = { value, key: metadata.fullKey(key) };
  }
  return found;
}

const experts = {
  num_experts: "expert_count",
  num_experts_per_tok: "expert_used_count",
  moe_intermediate_size: "expert_feed_forward_length",
};

const deepseekExperts = {
  n_routed_experts: "expert_count",
  num_experts_per_tok: "expert_used_count",
  moe_intermediate_size: "expert_feed_forward_length",
  n_shared_experts: "expert_shared_count",
  first_k_dense_replace: "leading_dense_block_count",
};

/** Which layers slide: the header's list or period, else llama.cpp's own period for the architecture. */
function sliding(metadata: GgufMetadata, period: number, defaultWindow: number | null = null): Translation {
  const key = "attention.sliding_window";
  const window = metadata.number(key) ?? defaultWindow;
  if (window === null || window === 0) return { sliding_window: { value: null, key: metadata.fullKey(key) } };
  const pattern = "attention.sliding_window_pattern";
  const layers = metadata.required("block_count");
  const every = metadata.isList(pattern) ? period : (metadata.number(pattern) ?? period);
  // Beyond any real depth nothing is built here: the config's reader refuses the number of layers.
  const length = Math.min(Math.max(0, Math.floor(layers)), 10_001);
  const slides = metadata.flags(pattern) ?? Array.from({ length }, (_, layer) => (layer + 1) % every !== 0);
  return {
    sliding_window: { value: window, key: metadata.fullKey(key) },
    layer_types: {
      value: slides.map((is) => (is ? "sliding_attention" : "full_attention")),
      key: metadata.fullKey(pattern),
    },
  };
}

const noWindow = (metadata: GgufMetadata): Translation => ({
  sliding_window: { value: null, key: metadata.fullKey("attention.sliding_window") },
});

/** MLA: new files state the sizes of the compressed form, with those of the heads apart. */
function latent(metadata: GgufMetadata): Translation {
  const rope = metadata.required("rope.dimension_count");
  const own = metadata.number("attention.key_length_mla") === null ? "" : "_mla";
  const key = `attention.key_length${own}`;
  return {
    ...numbers(metadata, {
      q_lora_rank: "attention.q_lora_rank",
      kv_lora_rank: "attention.kv_lora_rank",
      qk_rope_head_dim: "rope.dimension_count",
      v_head_dim: `attention.value_length${own}`,
      ...deepseekExperts,
    }),
    qk_nope_head_dim: { value: metadata.required(key) - rope, key: metadata.fullKey(key) },
    ...(metadata.number("attention.q_lora_rank") === null
      ? { q_lora_rank: { value: null, key: metadata.fullKey("attention.q_lora_rank") } }
      : {}),
  };
}

const softcaps = {
  attn_logit_softcapping: "attn_logit_softcapping",
  final_logit_softcapping: "final_logit_softcapping",
};

/** Architectures by llama.cpp's name. */
export const families: Readonly<Record<string, Family>> = {
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
};

/** Every architecture whose headers are understood. */
export function knownArchitectures(): string[] {
  return Object.keys(families).sort();
}
