import type { JsonValue } from "../hf/json.js";
import type { ModelDescription } from "../types.js";
import { families, knownArchitectures } from "./families.js";
import type { GgufMetadata } from "./metadata.js";
import type { Translated, Translation } from "./translate.js";

/** A Hugging Face config with the facts of a GGUF header. */
export interface TranslatedConfig {
  readonly config: Readonly<Record<string, JsonValue>>;
  /** GGUF key, or tensor, that each value comes from. */
  readonly origin: ReadonlyMap<string, string>;
  readonly adjust: (description: ModelDescription) => ModelDescription;
  /** What was taken for granted about an architecture that is not known; null where it is known. */
  readonly note: string | null;
}

/** Sizes that nearly all architectures name alike. */
const commonNames = {
  hidden_size: "embedding_length",
  max_position_embeddings: "context_length",
  num_attention_heads: "attention.head_count",
  num_key_value_heads: "attention.head_count_kv",
  head_dim: "attention.key_length",
  intermediate_size: "feed_forward_length",
  rms_norm_eps: "attention.layer_norm_rms_epsilon",
  layer_norm_eps: "attention.layer_norm_epsilon",
  rope_theta: "rope.freq_base",
} as const;

/**
 * The header in the words of Hugging Face configs, so that one reader per family serves both formats. What only the
 * tensors show (a head of its own, biases, the vocabulary) is read from their list.
 *
 * @param partial reads an architecture that is not known as a plain decoder of its sizes
 * @throws bad input for an architecture that is not known, naming its keys
 */
export function toConfig(metadata: GgufMetadata, partial = false): TranslatedConfig {
  const { architecture } = metadata;
  const known = Object.hasOwn(families, architecture) ? families[architecture] : undefined;
  const family = known ?? (partial ? families["llama"] : undefined);
  if (family === undefined) {
    throw metadata.bad(
      "general.architecture",
      architecture,
      `not understood, nor its keys (${metadata.keys().slice(0, 60).join(", ")}); known: ${knownArchitectures().join(", ")}; --allow-partial prices it as a plain decoder`,
    );
  }
  const entries: Translation = {};
  for (const [name, key] of Object.entries(commonNames)) {
    const value = family.perLayer?.includes(key) === true && metadata.isList(key) ? null : metadata.number(key);
    if (value !== null) entries[name] = { value, key: metadata.fullKey(key) };
  }
  Object.assign(entries, layerCount(metadata), fromTensors(metadata), family.more?.(metadata));
  entries["head_dim"] ??= headDim(entries);
  const modelType = typeof family.modelType === "string" ? family.modelType : family.modelType(metadata);
  const values = Object.entries(entries).map(([name, { value }]): [string, JsonValue] => [name, value]);
  return {
    config: {
      ...Object.fromEntries(values),
      model_type: modelType,
      architectures: [family.architecture ?? "LanguageModelForCausalLM"],
      torch_dtype: "float16",
    },
    origin: new Map(Object.entries(entries).map(([name, { key }]) => [name, key])),
    adjust: family.adjust ?? ((description) => description),
    note:
      known === undefined
        ? `partial: architecture ${architecture.slice(0, 40)} is not understood; structure is that of a plain decoder of its ` +
          "sizes, full causal attention and a gated FFN in every layer; bits and totals are those of its tensors"
        : null,
  };
}

/** llama.cpp counts the layers that predict further tokens as blocks. */
function layerCount(metadata: GgufMetadata): Translation {
  const blocks = metadata.required("block_count");
  const predicting = metadata.number("nextn_predict_layers") ?? 0;
  return {
    num_hidden_layers: { value: blocks - predicting, key: metadata.fullKey("block_count") },
    num_nextn_predict_layers: { value: predicting, key: metadata.fullKey("nextn_predict_layers") },
  };
}

function fromTensors(metadata: GgufMetadata): Translation {
  const table = metadata.header.tensors.find(({ name }) => name === "token_embd.weight");
  const rows = table?.shape[1];
  if (rows === undefined) throw metadata.bad("tensor token_embd.weight", undefined, "expected a matrix");
  const present = (...tensors: [string, ...string[]]): Translated => ({
    value: tensors.some((tensor) => metadata.has(tensor)),
    key: tensors[0],
  });
  return {
    vocab_size: { value: rows, key: "shape of token_embd.weight" },
    tie_word_embeddings: { value: !metadata.has("output.weight"), key: "output.weight" },
    attention_bias: present("blk.0.attn_q.bias", "blk.0.attn_qkv.bias"),
    attention_out_bias: present("blk.0.attn_output.bias"),
    mlp_bias: present("blk.0.ffn_down.bias"),
  };
}

/** llama.cpp's default, which is not every family's. */
function headDim(entries: Translation): Translated {
  const [hidden, heads] = [entries["hidden_size"]?.value, entries["num_attention_heads"]?.value];
  const whole = typeof hidden === "number" && typeof heads === "number" && hidden % heads === 0;
  return { value: whole ? hidden / heads : null, key: "embedding_length / attention.head_count" };
}
