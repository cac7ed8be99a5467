import type { ModelDescription } from "../types.js";
import { type Family, numbers, rowsOf, tensorFact } from "./translate.js";
import type { GgufMetadata } from "./metadata.js";

/** Encoders and encoder–decoders. */

const tables = (metadata: GgufMetadata) => ({
  type_vocab_size: tensorFact(rowsOf(metadata, "token_types.weight") ?? 0, "token_types.weight"),
});

/** llama.cpp keeps no pooler: embeddings are means, or the first position's. */
function withoutPooler(description: ModelDescription): ModelDescription {
  return { ...description, head: { kind: "none", tied: true, bias: false, softcap: null } };
}

const t5Names = {
  d_model: "embedding_length",
  d_ff: "feed_forward_length",
  d_kv: "attention.key_length",
  num_heads: "attention.head_count",
  num_layers: "block_count",
  relative_attention_num_buckets: "attention.relative_buckets_count",
  layer_norm_epsilon: "attention.layer_norm_rms_epsilon",
};

const gate = "enc.blk.0.ffn_gate.weight";

const t5 = (metadata: GgufMetadata) => ({
  ...numbers(metadata, t5Names),
  feed_forward_proj: tensorFact(metadata.has(gate) ? "gated-gelu" : "relu", gate),
});

export const encoderFamilies: Readonly<Record<string, Family>> = {
  bert: { modelType: "bert", more: tables, architecture: "BertModel", adjust: withoutPooler },
  "nomic-bert": { modelType: "nomic_bert", more: tables, architecture: "NomicBertModel" },
  "modern-bert": {
    modelType: "modernbert",
    architecture: "ModernBertModel",
    more: (metadata) => {
      const key = "attention.sliding_window_pattern";
      const slides = metadata.flags(key);
      return {
        ...numbers(metadata, { local_attention: "attention.sliding_window", norm_eps: "attention.layer_norm_epsilon" }),
        ...(slides === null
          ? numbers(metadata, { global_attn_every_n_layers: key })
          : {
              layer_types: {
                value: slides.map((is) => (is ? "sliding_attention" : "full_attention")),
                key: metadata.fullKey(key),
              },
            }),
      };
    },
    perLayer: ["attention.sliding_window_pattern"],
  },
  t5: {
    modelType: "t5",
    architecture: "T5ForConditionalGeneration",
    more: (metadata) => ({
      ...t5(metadata),
      num_decoder_layers: {
        value: metadata.number("decoder_block_count") ?? metadata.required("block_count"),
        key: metadata.fullKey("decoder_block_count"),
      },
    }),
  },
  t5encoder: { modelType: "t5", architecture: "T5EncoderModel", more: t5 },
};
