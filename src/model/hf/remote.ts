import type { Ffn, Span } from "../types.js";
import { flag, layerCount, real, size, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { deepseekFfn, readDeepseekMoe } from "./deepseek-moe.js";
import { allBias, decoder, dense, flagOr, inputBias, layerNorm, listLayers, moe, noBias, softmax } from "./parts.js";
import { readDense } from "./dense.js";
import { readMoe } from "./moe.js";
import type { Reader } from "./reader.js";

/**
 * Families whose classes come with the checkpoint instead of with Hugging Face transformers: read after their
 * published `modeling_*.py`; there are no class defaults here, so that a missing key is an error.
 */

/** Llama under another name: internlm2, xverse, baichuan (7B), minicpm. */
const readLlamaLike: Reader = (config) => {
  config.ignore(
    "bias",
    "z_loss_weight",
    "model_max_length",
    "max_tokenizer_truncation",
    "scale_emb",
    "scale_depth",
    "dim_model_base",
  );
  if (config.has("num_experts") && config.size("num_experts") > 1) {
    const experts = moe(config);
    return readMoe(config, { ffn: () => [experts] });
  }
  return readDense(config, {});
};

/** Orion: layer norms with biases. */
const readOrion: Reader = (config) => readDense(config, { norm: layerNorm(config, true, "rms_norm_eps") });

/** EXAONE 3: Llama with its own key names. */
const readExaone: Reader = (config) => readDense(config, { ffn: dense(config, { act: "activation_function" }) });

/** Qwen (the first): biased queries, keys and values; intermediate_size counts both halves of the gated network. */
const readQwen1: Reader = (config) => {
  config.ignore(
    "kv_channels",
    "no_bias",
    "rotary_pct",
    "rotary_emb_base",
    "scale_attn_weights",
    "use_dynamic_ntk",
    "use_logn_attn",
    "seq_length",
    "onnx_safe",
  );
  const ffn: Ffn = {
    kind: "dense",
    width: config.size("intermediate_size") / 2,
    gated: true,
    activation: "silu",
    bias: false,
  };
  return readDense(config, { bias: inputBias, ffn });
};

/** Ling (bailing_moe): shared experts in every layer but the first dense ones. */
const readBailing: Reader = (config) => {
  config.ignore("norm_head", "norm_softmax");
  if (config.flag("use_bias")) throw config.bad("use_bias", true, "expected false: biased networks are not understood");
  const bias = config.flag("use_qkv_bias") ? inputBias : noBias;
  return readMoe(config, { ffn: deepseekFfn(config), attention: () => ({ bias }) });
};

/** ChatGLM 2 and 3: few heads of keys and values, half of each head rotates. */
const readChatGlm: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  const headDim = config.size("kv_channels");
  const shares = config.flag("multi_query_attention");
  const kvHeads = shares ? config.size("multi_query_group_num") : heads;
  const epsilon = config.real("layernorm_epsilon");
  const norm = { kind: config.flag("rmsnorm") ? "rms" : "layer", bias: false, epsilon, offset: false } as const;
  const linearBias = config.flag("add_bias_linear");
  const attention = softmax(
    { heads, kvHeads, headDim },
    { dims: headDim / 2, theta: 10_000, interleaved: true },
    {
      bias: config.flag("add_qkv_bias") ? inputBias : noBias,
    },
  );
  const ffn: Ffn = {
    kind: "dense",
    width: config.size("ffn_hidden_size"),
    gated: true,
    activation: "silu",
    bias: linearBias,
  };
  const vocabulary = config.read("padded_vocab_size", tokenCount);
  config.ignore("original_rope");
  const result = decoder(config.with({ vocab_size: vocabulary, tie_word_embeddings: false }), {
    hiddenSize: hidden,
    contextLength: config.tokens("seq_length"),
    layers: listLayers(config.size("num_layers"), () => ({
      mixers: [attention],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: flagOr(config, "post_layer_norm", true) ? norm : null,
  });
  // ChatGLM's classes call the language model a plain "Model".
  return { ...result, head: { ...result.head, kind: "lm" } };
};

/** Phi-1.5 and Phi-2 under their first key names. */
const readPhiMsft: Reader = (config) => {
  const hidden = config.size("n_embd");
  const heads = config.size("n_head");
  if (hidden % heads !== 0) throw config.bad("n_head", heads, `expected a divisor of n_embd (${hidden})`);
  const kvHeads = config.derived("n_head_kv", size, "n_head", () => heads);
  const norm = layerNorm(config);
  const width = config.derived("n_inner", size, "4 · n_embd", () => 4 * hidden);
  const rotary = { dims: config.size("rotary_dim"), theta: 10_000, interleaved: false };
  const attention = softmax({ heads, kvHeads, headDim: hidden / heads }, rotary, { bias: allBias });
  const ffn = dense(config, { width, gated: false, bias: true, act: "activation_function" });
  config.ignore("flash_attn", "flash_rotary", "fused_dense", "img_processor");
  return decoder(config, {
    hiddenSize: hidden,
    contextLength: config.tokens("n_positions"),
    layers: listLayers(config.read("n_layer", layerCount), () => ({
      mixers: [attention],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
      arrangement: "parallel",
    })),
    finalNorm: norm,
    head: { bias: true },
  });
};

/**
 * Yuan 2: queries and keys come from tokens filtered with the two before them: two convolutions over two tokens, through
 * half the width and back, a residual and a norm.
 */
const readYuan: Reader = (config) => {
  config.ignore(
    "causal_mask",
    "dropout",
    "eod_token",
    "mask_token_id",
    "reset_attention_mask",
    "reset_position_ids",
    "sep_token",
    "sep_token_id",
    "use_flash_attention",
    "use_loss_mask",
  );
  const hidden = config.size("hidden_size");
  if (hidden % 2 !== 0) throw config.bad("hidden_size", hidden, "expected an even number: filters halve it");
  return readDense(config, { attention: { filter: { width: hidden / 2 } } });
};

/** Phi-3-small: biases everywhere, a gated GELU network; every second layer attends to blocks only. */
const readPhi3Small: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  if (hidden % heads !== 0) throw config.bad("num_attention_heads", heads, `expected a divisor of ${hidden}`);
  const kvHeads = config.size("num_key_value_heads");
  const headDim = hidden / heads;
  const norm = layerNorm(config);
  const theta = config.real("rope_embedding_base");
  const full = softmax({ heads, kvHeads, headDim }, { dims: headDim, theta, interleaved: false }, { bias: allBias });
  const ffn = dense(config, { width: config.size("ff_intermediate_size"), bias: true, activation: "gelu" });
  const period = config.optional("dense_attention_every_n_layers", size) ?? 1;
  const sparse = period > 1 ? { ...full, span: stridedSpan(config, heads) } : full;
  config.ignore("blocksparse_triton_kernel_block_size", "gegelu_limit", "gegelu_pad_to_256");
  config.ignore("pad_sequence_to_multiple_of_64");
  return decoder(config.with({ tie_word_embeddings: true }), {
    layers: listLayers(config.read("num_hidden_layers", layerCount), (index) => ({
      mixers: [(index + 1) % period === 0 ? full : sparse],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
    embedding: { scale: config.optional("mup_embedding_multiplier", real) },
  });
};

/** Which blocks the sparse layers of Phi-3-small see. */
function stridedSpan(config: ConfigReader, heads: number): Span {
  const span = {
    kind: "strided",
    size: config.size("blocksparse_block_size"),
    local: config.size("blocksparse_num_local_blocks"),
    stride: config.size("blocksparse_vert_stride"),
  } as const;
  // Far blocks are seen equally often only where the heads go through all phases of the stride.
  if (config.optional("blocksparse_homo_head_pattern", flag) !== true && heads % span.stride === 0) return span;
  config.note("layers that attend to blocks are priced as full: an upper bound, for their heads are not spread evenly");
  return { kind: "full" };
}

export const remoteReaders: Readonly<Record<string, Reader>> = {
  internlm2: readLlamaLike,
  xverse: readLlamaLike,
  baichuan: readLlamaLike,
  minicpm: readLlamaLike,
  orion: readOrion,
  exaone: readExaone,
  qwen: readQwen1,
  bailing_moe: readBailing,
  deepseek: readDeepseekMoe,
  chatglm: readChatGlm,
  "phi-msft": readPhiMsft,
  phi3small: readPhi3Small,
  yuan: readYuan,
};
