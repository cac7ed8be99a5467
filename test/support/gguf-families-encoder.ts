import {
  type Case,
  bertLayer,
  ffn,
  firstOnly,
  fusedWide,
  gated,
  hidden,
  t5Attention,
  t5Network,
  vocabulary,
  withBias,
} from "./gguf-shapes.js";

/** Small headers by architecture: encoders, and encoder–decoders. */
export const encoderFamilies: Readonly<Record<string, Case>> = {
  bert: {
    layer: bertLayer,
    keys: { "attention.head_count_kv": 4, "attention.layer_norm_epsilon": 0.5 },
    outside: {
      "token_embd.weight": [hidden, vocabulary],
      "position_embd.weight": [hidden, 4096],
      "token_types.weight": [hidden, 2],
      "token_embd_norm.weight": [hidden],
      "token_embd_norm.bias": [hidden],
    },
  },
  "nomic-bert": {
    layer: {
      ...fusedWide,
      ...gated,
      ...withBias({ "attn_output_norm.weight": [hidden], "layer_output_norm.weight": [hidden] }),
    },
    keys: { "attention.head_count_kv": 4, "attention.layer_norm_epsilon": 0.5 },
    outside: {
      "token_embd.weight": [hidden, vocabulary],
      "token_types.weight": [hidden, 2],
      "token_embd_norm.weight": [hidden],
      "token_embd_norm.bias": [hidden],
    },
  },
  "modern-bert": {
    layer: (index) => ({
      ...fusedWide,
      ...firstOnly(index === 0 ? 1 : 0, { "attn_norm.weight": [hidden] }),
      "ffn_norm.weight": [hidden],
      "ffn_up.weight": [hidden, 2 * ffn],
      "ffn_down.weight": [ffn, hidden],
    }),
    keys: { "attention.head_count_kv": 4, "attention.layer_norm_epsilon": 0.5, "attention.sliding_window": 16 },
    beside: { "token_embd_norm.weight": [hidden] },
  },
  t5: {
    layer: (index) => ({
      ...Object.fromEntries(
        Object.entries({ ...t5Attention("attn"), ...t5Network }).map(([name, shape]) => [`enc.${name}`, shape]),
      ),
      ...firstOnly(index, { "enc.attn_rel_b.weight": [4, 32], "dec.attn_rel_b.weight": [4, 32] }),
      ...Object.fromEntries(
        Object.entries({ ...t5Attention("attn"), ...t5Attention("cross_attn"), ...t5Network }).map(([name, shape]) => [
          `dec.${name}`,
          shape,
        ]),
      ),
    }),
    keys: { "attention.head_count_kv": 4, "attention.relative_buckets_count": 32 },
    outside: {
      "token_embd.weight": [hidden, vocabulary],
      "enc.output_norm.weight": [hidden],
      "dec.output_norm.weight": [hidden],
    },
  },
  t5encoder: {
    layer: (index) => ({
      ...Object.fromEntries(
        Object.entries({ ...t5Attention("attn"), ...t5Network }).map(([name, shape]) => [`enc.${name}`, shape]),
      ),
      ...firstOnly(index, { "enc.attn_rel_b.weight": [4, 32] }),
    }),
    keys: { "attention.head_count_kv": 4, "attention.relative_buckets_count": 32 },
    outside: { "token_embd.weight": [hidden, vocabulary], "enc.output_norm.weight": [hidden] },
  },
};
