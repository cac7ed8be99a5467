import { type Checkpoint, layer, testCheckpoints } from "./checkpoints.js";

/** A projection, a norm and the logits' bias. */
const transform = (h: number, rows: number): number => h * h + 3 * h + rows;

const bert = {
  attention_probs_dropout_prob: 0.1,
  hidden_act: "gelu",
  layer_norm_eps: 1e-12,
  num_attention_heads: 12,
  num_hidden_layers: 12,
  type_vocab_size: 2,
};
const nomic = {
  model_type: "nomic_bert",
  layer_norm_epsilon: 1e-5,
  n_embd: 768,
  n_head: 12,
  n_inner: 3072,
  n_layer: 12,
  n_positions: 8192,
  prenorm: false,
  rotary_emb_base: 1000,
  rotary_emb_fraction: 1,
};

/**
 * Encoders without reference counts: the total over a published checkpoint's tensors (safetensors, as
 * the hub states it), or the sum over the tensors that the published class allocates, written out.
 */
const checkpoints: readonly Checkpoint[] = [
  [
    "nomic-ai/nomic-embed-text-v1.5",
    {
      ...nomic,
      architectures: ["NomicBertModel"],
      activation_function: "swiglu",
      mlp_fc1_bias: false,
      mlp_fc2_bias: false,
      qkv_proj_bias: false,
      type_vocab_size: 2,
      vocab_size: 30_528,
    },
    136_731_648,
  ],
  [
    "nomic-ai/nomic-embed-text-v2-moe",
    {
      ...nomic,
      architectures: ["NomicBertModel"],
      activation_function: "gelu",
      mlp_fc1_bias: true,
      mlp_fc2_bias: true,
      moe_every_n_layers: 2,
      moe_top_k: 2,
      num_experts: 8,
      qkv_proj_bias: true,
      type_vocab_size: 1,
      vocab_size: 250_048,
    },
    475_292_928,
  ],
  [
    "jinaai/jina-embeddings-v2-base-en",
    {
      ...bert,
      model_type: "bert",
      architectures: ["JinaBertModel"],
      emb_pooler: "mean",
      feed_forward_type: "geglu",
      hidden_size: 768,
      intermediate_size: 3072,
      max_position_embeddings: 8192,
      position_embedding_type: "alibi",
      vocab_size: 30_528,
    },
    137_368_320,
  ],
  [
    "facebook/esm2_t6_8M_UR50D",
    {
      model_type: "esm",
      architectures: ["EsmForMaskedLM"],
      emb_layer_norm_before: false,
      hidden_act: "gelu",
      hidden_size: 320,
      intermediate_size: 1280,
      is_folding_model: false,
      layer_norm_eps: 1e-5,
      max_position_embeddings: 1026,
      num_attention_heads: 20,
      num_hidden_layers: 6,
      position_embedding_type: "rotary",
      token_dropout: true,
      vocab_size: 33,
    },
    33 * 320 + 6 * layer(320, 1280) + 2 * 320 + transform(320, 33) + (6 * 20 + 1),
  ],
  [
    "google/rembert",
    {
      ...bert,
      model_type: "rembert",
      architectures: ["RemBertForMaskedLM"],
      hidden_size: 1152,
      input_embedding_size: 256,
      intermediate_size: 4608,
      max_position_embeddings: 512,
      num_attention_heads: 18,
      num_hidden_layers: 32,
      output_embedding_size: 1664,
      vocab_size: 250_300,
    },
    (250_300 + 512 + 2 + 2) * 256 +
      (256 * 1152 + 1152) +
      32 * layer(1152, 4608) +
      (1152 * 1664 + 3 * 1664) +
      250_300 * 1665,
  ],
  [
    "andreasmadsen/efficient_mlm_m0.40",
    {
      ...bert,
      model_type: "roberta-prelayernorm",
      architectures: ["RobertaPreLayerNormForMaskedLM"],
      hidden_size: 1024,
      intermediate_size: 4096,
      max_position_embeddings: 514,
      num_attention_heads: 16,
      num_hidden_layers: 24,
      type_vocab_size: 1,
      vocab_size: 50_265,
    },
    (50_265 + 514 + 1 + 2) * 1024 + 24 * layer(1024, 4096) + 2 * 1024 + transform(1024, 50_265),
  ],
  [
    "FacebookAI/xlm-mlm-en-2048",
    {
      model_type: "xlm",
      architectures: ["XLMWithLMHeadModel"],
      asm: false,
      causal: false,
      emb_dim: 2048,
      gelu_activation: true,
      is_encoder: true,
      layer_norm_eps: 1e-12,
      max_position_embeddings: 512,
      n_heads: 16,
      n_langs: 1,
      n_layers: 12,
      n_words: 30_145,
      use_lang_emb: true,
    },
    (30_145 + 512 + 2) * 2048 + 12 * layer(2048, 8192) + 30_145,
  ],
  [
    "facebook/xlm-roberta-xl",
    {
      ...bert,
      model_type: "xlm-roberta-xl",
      architectures: ["XLMRobertaXLForMaskedLM"],
      hidden_size: 2560,
      intermediate_size: 10_240,
      max_position_embeddings: 514,
      num_attention_heads: 32,
      num_hidden_layers: 36,
      type_vocab_size: 1,
      vocab_size: 250_880,
    },
    (250_880 + 514 + 1) * 2560 + 36 * layer(2560, 10_240) + 2 * 2560 + transform(2560, 250_880),
  ],
  [
    "facebook/data2vec-text-base",
    {
      ...bert,
      model_type: "data2vec-text",
      architectures: ["Data2VecTextForMaskedLM"],
      hidden_size: 768,
      intermediate_size: 3072,
      max_position_embeddings: 514,
      type_vocab_size: 1,
      vocab_size: 50_265,
    },
    (50_265 + 514 + 1 + 2) * 768 + 12 * layer(768, 3072) + transform(768, 50_265),
  ],
  [
    "uclanlp/plbart-base",
    {
      model_type: "plbart",
      architectures: ["PLBartForConditionalGeneration"],
      activation_function: "gelu",
      d_model: 768,
      decoder_attention_heads: 12,
      decoder_ffn_dim: 3072,
      decoder_layers: 6,
      encoder_attention_heads: 12,
      encoder_ffn_dim: 3072,
      encoder_layers: 6,
      max_position_embeddings: 1024,
      scale_embedding: true,
      vocab_size: 50_005,
    },
    50_005 * 768 + 2 * (1026 + 2) * 768 + 12 * layer(768, 3072) + 6 * (4 * (768 ** 2 + 768) + 2 * 768),
  ],
  [
    "facebook/nllb-moe-54b",
    {
      model_type: "nllb-moe",
      architectures: ["NllbMoeForConditionalGeneration"],
      activation_function: "relu",
      d_model: 2048,
      decoder_attention_heads: 16,
      decoder_ffn_dim: 8192,
      decoder_layers: 24,
      decoder_sparse_step: 4,
      encoder_attention_heads: 16,
      encoder_ffn_dim: 8192,
      encoder_layers: 24,
      encoder_sparse_step: 4,
      expert_capacity: 64,
      max_position_embeddings: 1024,
      num_experts: 128,
      router_bias: false,
      scale_embedding: true,
      vocab_size: 256_206,
    },
    256_206 * 2048 +
      48 * layer(2048, 8192) +
      24 * (4 * (2048 ** 2 + 2048) + 2 * 2048) +
      2 * 6 * (127 * (2 * 2048 * 8192 + 8192 + 2048) + 128 * 2048) +
      2 * 2 * 2048,
  ],
  [
    "openai/privacy-filter",
    {
      model_type: "openai_privacy_filter",
      architectures: ["OpenAIPrivacyFilterForTokenClassification"],
      default_n_ctx: 128_000,
      head_dim: 64,
      hidden_size: 640,
      initial_context_length: 4096,
      intermediate_size: 640,
      max_position_embeddings: 131_072,
      num_attention_heads: 14,
      num_experts_per_tok: 4,
      num_hidden_layers: 8,
      num_key_value_heads: 2,
      num_local_experts: 128,
      sliding_window: 128,
      vocab_size: 200_064,
    },
    200_064 * 640 +
      8 * (641 * 18 * 64 + (14 * 64 + 1) * 640 + 14 + 2 * 640 + 641 * 128 + 128 * (641 * 2 * 640 + 641 * 640)) +
      640,
  ],
];

testCheckpoints(checkpoints);
