import type { JsonValue } from "../hf/json.js";
import type { ModelDescription } from "../types.js";
import type { GgufMetadata } from "./metadata.js";

/** A value for the config of the family, and the GGUF key that it comes from. */
export interface Translated {
  readonly value: JsonValue;
  readonly key: string;
}
export type Translation = Record<string, Translated>;

/** What an architecture of llama.cpp is called in Hugging Face configs, and the keys that only it has. */
export interface Family {
  readonly modelType: string | ((metadata: GgufMetadata) => string);
  readonly more?: (metadata: GgufMetadata) => Translation;
  /** Keys of the header with one value per layer that `more` reads itself. */
  readonly perLayer?: readonly string[];
  /** Class that the config is for; a language model unless said. */
  readonly architecture?: string;
  /** What the file leaves out of the class that the config describes. */
  readonly adjust?: (description: ModelDescription) => ModelDescription;
}

/** The config's name on the left, the header's on the right; what the header lacks is left out. */
export function numbers(metadata: GgufMetadata, names: Readonly<Record<string, string>>): Translation {
  const found: Translation = {};
  for (const [name, key] of Object.entries(names)) {
    const value = metadata.number(key);
    if (value !== null) found[name] = { value, key: metadata.fullKey(key) };
  }
  return found;
}

export const experts = {
  num_experts: "expert_count",
  num_experts_per_tok: "expert_used_count",
  moe_intermediate_size: "expert_feed_forward_length",
};

export const deepseekExperts = {
  n_routed_experts: "expert_count",
  num_experts_per_tok: "expert_used_count",
  moe_intermediate_size: "expert_feed_forward_length",
  n_shared_experts: "expert_shared_count",
  first_k_dense_replace: "leading_dense_block_count",
};

/** Which layers slide: the header's list or period, else llama.cpp's own period for the architecture. */
export function sliding(metadata: GgufMetadata, period: number, defaultWindow: number | null = null): Translation {
  const key = "attention.sliding_window";
  const window = metadata.number(key) ?? defaultWindow;
  if (window === null || window === 0) return { sliding_window: { value: null, key: metadata.fullKey(key) } };
  const pattern = "attention.sliding_window_pattern";
  const length = metadata.layers();
  const every = metadata.isList(pattern) ? period : (metadata.number(pattern) ?? period);
  const slides = metadata.flags(pattern) ?? Array.from({ length }, (_, layer) => (layer + 1) % every !== 0);
  return {
    sliding_window: { value: window, key: metadata.fullKey(key) },
    layer_types: {
      value: slides.map((is) => (is ? "sliding_attention" : "full_attention")),
      key: metadata.fullKey(pattern),
    },
  };
}

export const noWindow = (metadata: GgufMetadata): Translation => ({
  sliding_window: { value: null, key: metadata.fullKey("attention.sliding_window") },
});

/** MLA: new files state the sizes of the compressed form, with those of the heads apart. */
export function latent(metadata: GgufMetadata): Translation {
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

export const softcaps = {
  attn_logit_softcapping: "attn_logit_softcapping",
  final_logit_softcapping: "final_logit_softcapping",
};

/** A value that only the list of tensors shows. */
export const tensorFact = (value: JsonValue, tensor: string): Translated => ({ value, key: tensor });

/** Rows of a tensor (its second size), or null where the file has no such tensor. */
export function rowsOf(metadata: GgufMetadata, tensor: string): number | null {
  return metadata.header.tensors.find(({ name }) => name === tensor)?.shape[1] ?? null;
}
