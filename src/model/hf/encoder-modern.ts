import type { Ffn, Layer } from "../types.js";
import { flag, layerCount, oneOf, real, size, sizeOrZero, text, tokenCount } from "./checks.js";
import { full, readRotary } from "./decoder.js";
import { encoder } from "./encoder.js";
import { biasOf, dense, flagOr, layerNorm, listLayers, moe, rmsNorm, softmax } from "./parts.js";
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
    hidden,
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
    embeddingNorm: norm,
    transform: { width: hidden, bias: config.flag("classifier_bias"), norm },
    headBias: flagOr(config, "decoder_bias", true),
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
    hidden,
    layers: listLayers(config.read("num_hidden_layers", layerCount), () => ({
      mixers: [attention],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
    tied: config.read("tie_word_embeddings", flag),
  });
};

/**
 * models/nomic_bert: rotary positions, norms after each residual; its published files have GPT-2's key names. Gated
 * networks without biases, or plain ones with, of which every n-th is one of experts.
 */
const readNomicBert: Reader = (config) => {
  const hidden = config.size(["n_embd", "hidden_size"]);
  const heads = config.size(["n_head", "num_attention_heads"]);
  if (hidden % heads !== 0) throw config.bad("n_head", heads, `expected a divisor of the hidden size (${hidden})`);
  const norm = layerNorm(config);
  const headDim = hidden / heads;
  const base = config.optional("rotary_emb_base", real);
  const rotary = base === null ? readRotary(config, headDim) : { dims: headDim, theta: base, interleaved: false };
  const attention = softmax({ heads, kvHeads: heads, headDim }, rotary, {
    causal: false,
    bias: biasOf(flagOr(config, "qkv_proj_bias", false)),
  });
  const act = config.optional("activation_function", text) ?? "swiglu";
  const gated = act.endsWith("glu");
  const activation = act === "swiglu" ? "silu" : "gelu";
  const bias = flagOr(config, "mlp_fc1_bias", false);
  const width = config.size(["n_inner", "intermediate_size"]);
  const plain: Ffn = { kind: "dense", width, gated, activation, bias };
  const every = config.optional("moe_every_n_layers", sizeOrZero) ?? 0;
  // The experts' second projections share one bias.
  const experts = every > 0 ? moe(config, { gated, activation, width, chosen: config.size("moe_top_k") }) : null;
  const outBias = { extras: { weights: [{ name: "experts_bias", shape: [hidden] }] } };
  const types = config.optional("type_vocab_size", sizeOrZero) ?? 0;
  config.ignore("hidden_act", "head_dim", "mlp_fc2_bias", "prenorm", "rotary_emb_fraction", "rotary_emb_interleaved");
  config.ignore("rotary_emb_scale_base", "parallel_block", "parallel_block_tied_norm", "pad_vocab_size_multiple");
  config.ignore("fused_bias_fc", "fused_dropout_add_ln", "use_rms_norm", "use_xentropy", "dense_seq_output", "causal");
  config.ignore(
    "max_trained_positions",
    "moe_impl",
    "moe_normalize_expert_weights",
    "moe_resid_pdrop",
    "expert_choice_router",
  );
  config.ignore("ffn_div", "num_shared_experts", "add_pooling_layer", "qkv_proj_bias", "last_layer_subset");
  return encoder(config, {
    hidden,
    layers: listLayers(config.read(["n_layer", "num_hidden_layers"], layerCount), (index) => ({
      mixers: [attention],
      ffns: [experts !== null && index % every === 1 ? experts : plain],
      norm,
      normPlacement: "post-residual",
      ...(experts !== null && index % every === 1 ? outBias : {}),
    })),
    finalNorm: null,
    tables: types > 0 ? [{ name: "types", rows: types, width: hidden }] : [],
    embeddingNorm: norm,
    transform: { width: hidden, bias: true, norm },
    headBias: true,
    tied: flagOr(config, "tie_word_embeddings", true),
  });
};

export const modernEncoderReaders: Readonly<Record<string, Reader>> = {
  modernbert: readModernBert,
  "modernbert-decoder": readModernBert,
  eurobert: readEuroBert,
  nomic_bert: readNomicBert,
};
