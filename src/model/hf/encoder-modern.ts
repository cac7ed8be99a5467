import type { Ffn, Layer } from "../types.js";
import { flag, layerCount, oneOf, size, sizeOrZero, tokenCount } from "./checks.js";
import { full, readRotary } from "./decoder.js";
import { encoder } from "./encoder.js";
import { biasOf, dense, flagOr, layerNorm, listLayers, noBias, rmsNorm, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/** models/modernbert: gated networks without biases, local layers between global ones; the first has one norm less. */
const readModernBert: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  const count = config.read("num_hidden_layers", layerCount);
  const norm = layerNorm(config, config.flag("norm_bias"), ["norm_eps", "layer_norm_eps"]);
  const every = config.derived("global_attn_every_n_layers", size, "class default of modernbert", () => 3);
  const types = config.perLayer("layer_types", oneOf(["full_attention", "sliding_attention"]), count);
  const local = config.read(["local_attention", "sliding_window"], tokenCount);
  const isDecoder = config.family === "modernbert-decoder";
  const isGlobal = (index: number): boolean =>
    types === null ? index % every === 0 : types[index] === "full_attention";
  // local_attention counts both sides; a window of w here reaches w − 1 to each side, or w − 1 back in the decoder.
  const reach = Math.floor(local / 2);
  const window = { kind: "window", size: isDecoder ? reach : reach + 1 } as const;
  const mlpBias = config.flag("mlp_bias");
  const ffn: Ffn = {
    kind: "dense",
    width: config.size("intermediate_size"),
    gated: true,
    activation: "gelu",
    bias: mlpBias,
  };
  const rotary = { dims: hidden / heads, theta: 160_000, interleaved: false };
  config.ignore(
    "global_rope_theta",
    "local_rope_theta",
    "sliding_window",
    "hidden_activation",
    "classifier_pooling",
    "decoder_bias",
    "sparse_prediction",
    "cls_token_id",
    "deterministic_flash_attn",
    "reference_compile",
    "repad_logits_with_grad",
    "sparse_pred_ignore_index",
    "position_embedding_type",
    "initializer_cutoff_factor",
  );
  const bias = biasOf(config.flag("attention_bias"));
  const result = encoder(config, {
    norm,
    hidden,
    width: hidden,
    layers: listLayers(
      count,
      (index): Layer => ({
        mixers: [
          softmax({ heads, kvHeads: heads, headDim: hidden / heads }, rotary, {
            causal: isDecoder,
            bias,
            span: isGlobal(index) ? full : window,
          }),
        ],
        ffns: [ffn],
        norm,
        normPlacement: "pre",
        ...(index === 0 ? { withoutMixerNorm: true } : {}),
      }),
    ),
    finalNorm: norm,
    projectionBias: false,
    tables: [],
    embeddingNorm: norm,
    transform: { width: hidden, bias: config.flag("classifier_bias"), norm },
    headBias: flagOr(config, "decoder_bias", true),
    pooler: false,
    extras: {},
    tied: flagOr(config, "tie_word_embeddings", true),
  });
  if (!isDecoder) return result;
  return { ...result, stacks: result.stacks.map((stack) => ({ ...stack, kind: "decoder" })) };
};

/** models/eurobert: Llama looking both ways. */
const readEuroBert: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  const kvHeads = config.derived("num_key_value_heads", size, "num_attention_heads", () => heads);
  const headDim = config.derived("head_dim", size, "hidden_size / num_attention_heads", () => hidden / heads);
  const norm = rmsNorm(config);
  const attention = softmax({ heads, kvHeads, headDim }, readRotary(config, headDim), {
    causal: false,
    bias: biasOf(config.flag("attention_bias")),
  });
  const ffn = dense(config, { bias: config.flag("mlp_bias") });
  return encoder(config, {
    norm,
    hidden,
    width: hidden,
    layers: listLayers(config.read("num_hidden_layers", layerCount), () => ({
      mixers: [attention],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
    projectionBias: false,
    tables: [],
    embeddingNorm: null,
    transform: null,
    headBias: false,
    pooler: false,
    extras: {},
    tied: config.read("tie_word_embeddings", flag),
  });
};

/** models/nomic_bert: rotary positions, gated networks without biases, norms after each residual. */
const readNomicBert: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  const norm = layerNorm(config);
  const headDim = hidden / heads;
  const attention = softmax({ heads, kvHeads: heads, headDim }, readRotary(config, headDim), {
    causal: false,
    bias: noBias,
  });
  const ffn: Ffn = {
    kind: "dense",
    width: config.size("intermediate_size"),
    gated: true,
    activation: "silu",
    bias: false,
  };
  const types = config.optional("type_vocab_size", sizeOrZero) ?? 0;
  config.ignore("hidden_act", "head_dim");
  return encoder(config, {
    norm,
    hidden,
    width: hidden,
    layers: listLayers(config.read("num_hidden_layers", layerCount), () => ({
      mixers: [attention],
      ffns: [ffn],
      norm,
      normPlacement: "post-residual",
    })),
    finalNorm: null,
    projectionBias: false,
    tables: types > 0 ? [{ name: "types", rows: types, width: hidden }] : [],
    embeddingNorm: norm,
    transform: { width: hidden, bias: true, norm },
    headBias: true,
    pooler: false,
    extras: {},
    tied: flagOr(config, "tie_word_embeddings", true),
  });
};

export const modernEncoderReaders: Readonly<Record<string, Reader>> = {
  modernbert: readModernBert,
  "modernbert-decoder": readModernBert,
  eurobert: readEuroBert,
  nomic_bert: readNomicBert,
};
