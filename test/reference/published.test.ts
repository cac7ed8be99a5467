import { describe, expect, test } from "vitest";
import { parametersOf, type Config } from "./written.js";

/** Sizes of published checkpoints and the sum over their tensors, written out. */
const checkpoints: readonly (readonly [string, Config, number])[] = [
  [
    "facebook/xglm-564M",
    {
      model_type: "xglm",
      architectures: ["XGLMForCausalLM"],
      activation_function: "gelu",
      attention_heads: 16,
      d_model: 1024,
      ffn_dim: 4096,
      max_position_embeddings: 2048,
      num_layers: 24,
      scale_embedding: true,
      vocab_size: 256_008,
    },
    256_008 * 1024 + 24 * (12 * 1024 ** 2 + 13 * 1024) + 2 * 1024,
  ],
  [
    "microsoft/biogpt",
    {
      model_type: "biogpt",
      architectures: ["BioGptForCausalLM"],
      hidden_act: "gelu",
      hidden_size: 1024,
      intermediate_size: 4096,
      max_position_embeddings: 1024,
      num_attention_heads: 16,
      num_hidden_layers: 24,
      vocab_size: 42_384,
    },
    (42_384 + 1026) * 1024 + 24 * (12 * 1024 ** 2 + 13 * 1024) + 2 * 1024,
  ],
  [
    "openai-community/openai-gpt",
    {
      model_type: "openai-gpt",
      architectures: ["OpenAIGPTLMHeadModel"],
      afn: "gelu",
      n_ctx: 512,
      n_embd: 768,
      n_head: 12,
      n_layer: 12,
      n_positions: 512,
      vocab_size: 40_478,
    },
    (40_478 + 512) * 768 + 12 * (12 * 768 ** 2 + 13 * 768),
  ],
  [
    "facebook/blenderbot_small-90M",
    {
      model_type: "blenderbot-small",
      architectures: ["BlenderbotSmallForConditionalGeneration"],
      activation_function: "gelu",
      d_model: 512,
      encoder_attention_heads: 16,
      decoder_attention_heads: 16,
      encoder_ffn_dim: 2048,
      decoder_ffn_dim: 2048,
      encoder_layers: 8,
      decoder_layers: 8,
      max_position_embeddings: 512,
      vocab_size: 54_944,
    },
    87_508_992,
  ],
  [
    "microsoft/bitnet-b1.58-2B-4T",
    {
      model_type: "bitnet",
      architectures: ["BitNetForCausalLM"],
      hidden_act: "relu2",
      hidden_size: 2560,
      intermediate_size: 6912,
      max_position_embeddings: 4096,
      num_attention_heads: 20,
      num_hidden_layers: 30,
      num_key_value_heads: 5,
      rms_norm_eps: 1e-5,
      rope_theta: 500_000,
      tie_word_embeddings: true,
      vocab_size: 128_256,
    },
    2_412_820_480,
  ],
  [
    "Alibaba-NLP/gte-base-en-v1.5",
    {
      model_type: "new",
      architectures: ["NewModel"],
      hidden_act: "gelu",
      hidden_size: 768,
      intermediate_size: 3072,
      layer_norm_eps: 1e-12,
      layer_norm_type: "layer_norm",
      max_position_embeddings: 8192,
      num_attention_heads: 12,
      num_hidden_layers: 12,
      pack_qkv: true,
      position_embedding_type: "rope",
      rope_theta: 500_000,
      type_vocab_size: 0,
      vocab_size: 30_528,
    },
    136_776_192,
  ],
  [
    "internlm/internlm-7b",
    {
      model_type: "internlm",
      architectures: ["InternLMForCausalLM"],
      bias: true,
      hidden_act: "silu",
      hidden_size: 4096,
      intermediate_size: 11_008,
      max_position_embeddings: 2048,
      num_attention_heads: 32,
      num_hidden_layers: 32,
      rms_norm_eps: 1e-6,
      tie_word_embeddings: false,
      vocab_size: 103_168,
    },
    2 * 103_168 * 4096 + 32 * (4 * 4096 ** 2 + 4 * 4096 + 3 * 4096 * 11_008 + 2 * 4096) + 4096,
  ],
  [
    "adept/persimmon-8b-base",
    {
      model_type: "persimmon",
      architectures: ["PersimmonForCausalLM"],
      hidden_act: "relu2",
      hidden_size: 4096,
      intermediate_size: 16_384,
      layer_norm_eps: 1e-5,
      max_position_embeddings: 16_384,
      num_attention_heads: 64,
      num_hidden_layers: 36,
      partial_rotary_factor: 0.5,
      qk_layernorm: true,
      tie_word_embeddings: false,
      vocab_size: 262_144,
    },
    2 * 262_144 * 4096 + 36 * (12 * 4096 ** 2 + (4 + 1 + 4) * 4096 + 16_384 + 4 * 64) + 2 * 4096,
  ],
];

describe("published checkpoints have the parameters of their tensors", () => {
  test.each(checkpoints)("%s", (_, config, parameters) => {
    expect(parametersOf(config)).toBe(parameters);
  });
});

test("blocks of a searched Llama: attention, a linear map, or nothing; each its own width", () => {
  const [hidden, vocabulary] = [512, 1000];
  const block = (attention: object, ffn: object) => ({ attention, ffn });
  const config = {
    model_type: "nemotron-nas",
    architectures: ["DeciLMForCausalLM"],
    hidden_act: "silu",
    hidden_size: hidden,
    intermediate_size: null,
    num_attention_heads: 8,
    num_hidden_layers: 3,
    num_key_value_heads: null,
    rms_norm_eps: 1e-5,
    rope_theta: 500_000,
    tie_word_embeddings: false,
    vocab_size: vocabulary,
    block_configs: [
      block({ n_heads_in_group: 4, no_op: false, replace_with_linear: false }, { ffn_mult: 3, no_op: false }),
      block({ n_heads_in_group: null, no_op: true }, { ffn_mult: 1.3, no_op: false }),
      block({ n_heads_in_group: null, replace_with_linear: true }, { ffn_mult: null, no_op: true }),
    ],
  };
  // ⌊2·3·512/3⌋ = 1024; ⌊2·1.3·512/3⌋ = 443, in whole 256s 512. Two KV heads of 64.
  const first = 2 * hidden ** 2 + 2 * hidden * 128 + 3 * hidden * 1024 + 2 * hidden;
  const second = 3 * hidden * 512 + hidden;
  const third = hidden ** 2 + hidden;
  expect(parametersOf(config)).toBe(2 * vocabulary * hidden + first + second + third + hidden);
  expect(() => parametersOf({ ...config, block_configs: config.block_configs.slice(1) })).toThrow(/expected 3 items/);
  const odd = [block({ n_heads_in_group: 3 }, { ffn_mult: 3 }), ...config.block_configs.slice(1)];
  expect(() => parametersOf({ ...config, block_configs: odd })).toThrow(/n_heads_in_group to divide/);
});
