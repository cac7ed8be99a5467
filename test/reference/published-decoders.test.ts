import { describe, expect, test } from "vitest";
import { cacheBytes } from "../../src/cost/cache.js";
import { countParameters } from "../../src/cost/parameters.js";
import { priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import { readConfigFile } from "./data.js";

const embeddingGemma = {
  model_type: "gemma3_text",
  head_dim: 256,
  hidden_size: 768,
  intermediate_size: 1152,
  num_attention_heads: 3,
  num_hidden_layers: 24,
  num_key_value_heads: 1,
  query_pre_attn_scalar: 256,
  sliding_window: 512,
  use_bidirectional_attention: true,
  vocab_size: 262_144,
};

/** Gemma 4's 26B-A4B, whose shapes it has. */
function diffusionGemma(): Record<string, unknown> {
  const gemma = readConfigFile("configs", "google__gemma-4-26B-A4B.json");
  const text: object = { ...(gemma["text_config"] as object) };
  return { ...gemma, model_type: "diffusion_gemma", text_config: { ...text, model_type: "diffusion_gemma_text" } };
}

/**
 * Sizes of published checkpoints of decoder families without reference counts, and the total over their tensors as the
 * hub states it (safetensors; listed in TransformerLens' model_registry/data/architecture_gaps.json of 2026-06-25), or
 * the sum over the tensors that the published class allocates, written out.
 */
const checkpoints: readonly (readonly [string, Record<string, unknown>, number])[] = [
  [
    "google/vaultgemma-1b",
    {
      model_type: "vaultgemma",
      architectures: ["VaultGemmaForCausalLM"],
      head_dim: 256,
      hidden_size: 1152,
      intermediate_size: 6912,
      num_attention_heads: 4,
      num_hidden_layers: 26,
      num_key_value_heads: 4,
      sliding_window: 512,
      tie_word_embeddings: true,
      vocab_size: 256_000,
    },
    1_038_741_120,
  ],
  [
    "facebook/cwm",
    {
      model_type: "cwm",
      architectures: ["CwmForCausalLM"],
      head_dim: 128,
      hidden_act: "silu",
      hidden_size: 6144,
      intermediate_size: 21_504,
      num_attention_heads: 48,
      num_hidden_layers: 64,
      num_key_value_heads: 8,
      rms_norm_eps: 1e-5,
      rope_theta: 1_000_000,
      sliding_window: 8192,
      tie_word_embeddings: false,
      vocab_size: 128_256,
    },
    2 * 128_256 * 6144 + 64 * (2 * 6144 ** 2 + 2 * 6144 * 1024 + 3 * 6144 * 21_504 + 2 * 6144) + 6144,
  ],
  [
    "Skywork/Skywork-13B-base",
    {
      model_type: "skywork",
      architectures: ["SkyworkForCausalLM"],
      hidden_act: "silu",
      hidden_size: 4608,
      intermediate_size: 12_288,
      num_attention_heads: 36,
      num_hidden_layers: 52,
      num_key_value_heads: 36,
      rms_norm_eps: 1e-6,
      tie_word_embeddings: false,
      vocab_size: 65_519,
    },
    2 * 65_519 * 4608 + 52 * (4 * 4608 ** 2 + 3 * 4608 * 12_288 + 2 * 4608) + 4608,
  ],
  [
    "upstage/solar-pro-preview-instruct",
    {
      model_type: "solar",
      architectures: ["SolarForCausalLM"],
      attention_bias: false,
      hidden_act: "silu",
      hidden_size: 5120,
      intermediate_size: 17_920,
      num_attention_heads: 40,
      num_hidden_layers: 64,
      num_key_value_heads: 10,
      rms_norm_eps: 1e-5,
      rope_theta: 10_000,
      tie_word_embeddings: false,
      vocab_size: 32_128,
    },
    22_140_032_000,
  ],
  [
    "ServiceNow-AI/Apriel-5B-Instruct",
    {
      model_type: "apriel",
      architectures: ["AprielForCausalLM"],
      attention_bias: false,
      head_dim: 128,
      hidden_act: "silu",
      hidden_size: 4096,
      intermediate_size: 8192,
      mlp_bias: false,
      num_attention_heads: 24,
      num_hidden_layers: 28,
      num_key_value_heads: 8,
      rms_norm_eps: 1e-5,
      rope_theta: 1_000_000,
      tie_word_embeddings: false,
      vocab_size: 131_072,
    },
    4_832_071_680,
  ],
  [
    "openPangu-Embedded-1B",
    {
      model_type: "PanguEmbedded",
      architectures: ["PanguEmbeddedForCausalLM"],
      bias: true,
      hidden_act: "silu",
      hidden_size: 1536,
      intermediate_size: 6144,
      num_attention_heads: 12,
      num_hidden_layers: 26,
      num_key_value_heads: 6,
      rms_norm_eps: 1e-5,
      rope_theta: 4_000_000,
      tie_word_embeddings: false,
      vocab_size: 153_376,
    },
    1_391_497_728,
  ],
  [
    "naver-hyperclovax/HyperCLOVAX-SEED-Think-14B",
    {
      model_type: "hyperclovax",
      architectures: ["HyperCLOVAXForCausalLM"],
      attention_bias: false,
      head_dim: 128,
      hidden_act: "silu",
      hidden_size: 6144,
      intermediate_size: 14_336,
      mlp_bias: false,
      num_attention_heads: 48,
      num_hidden_layers: 38,
      num_key_value_heads: 8,
      rms_norm_eps: 1e-5,
      rope_theta: 100_000_000,
      tie_word_embeddings: false,
      use_post_norm: true,
      vocab_size: 110_592,
    },
    14_748_112_896,
  ],
  [
    "amd/Instella-3B-Instruct",
    {
      model_type: "instella",
      architectures: ["InstellaForCausalLM"],
      hidden_act: "silu",
      hidden_size: 2560,
      intermediate_size: 6912,
      num_attention_heads: 32,
      num_hidden_layers: 36,
      num_key_value_heads: 32,
      rms_norm_eps: 1e-5,
      rope_theta: 10_000,
      tie_word_embeddings: false,
      vocab_size: 50_304,
    },
    3_112_675_840,
  ],
  [
    "inceptionai/Jais-2-8B-Chat",
    {
      model_type: "jais2",
      architectures: ["Jais2ForCausalLM"],
      attention_bias: true,
      head_dim: 128,
      hidden_act: "relu2",
      hidden_size: 3328,
      intermediate_size: 26_624,
      layer_norm_eps: 1e-5,
      mlp_bias: true,
      num_attention_heads: 26,
      num_hidden_layers: 32,
      num_key_value_heads: 26,
      rope_theta: 500_000,
      tie_word_embeddings: false,
      vocab_size: 150_272,
    },
    8_090_401_280,
  ],
  [
    "Aleph-Alpha/Pharia-1-LLM-7B-control-hf",
    {
      model_type: "pharia-v1",
      architectures: ["PhariaForCausalLM"],
      attention_bias: true,
      hidden_act: "gelu",
      hidden_size: 4608,
      intermediate_size: 18_432,
      mlp_bias: true,
      num_attention_heads: 36,
      num_hidden_layers: 27,
      num_key_value_heads: 4,
      rope_theta: 1_000_000,
      tie_word_embeddings: false,
      vocab_size: 128_000,
    },
    7_041_544_704,
  ],
  [
    "GSAI-ML/LLaDA-8B-Instruct",
    {
      model_type: "llada",
      architectures: ["LLaDAModelLM"],
      d_model: 4096,
      embedding_size: 126_464,
      include_bias: false,
      include_qkv_bias: false,
      layer_norm_type: "rms",
      max_sequence_length: 4096,
      mlp_hidden_size: 12_288,
      n_heads: 32,
      n_kv_heads: 32,
      n_layers: 32,
      rope_theta: 500_000,
      vocab_size: 126_464,
      weight_tying: false,
    },
    8_015_581_184,
  ],
  [
    "inclusionAI/LLaDA-MoE-7B-A1B-Base",
    {
      model_type: "llada",
      architectures: ["LLaDAMoEModelLM"],
      dense_intermediate_size: 8192,
      expert_intermediate_size: 1024,
      hidden_act: "silu",
      hidden_size: 2048,
      moe_layer_freq: Array.from({ length: 16 }, () => 1),
      num_attention_heads: 16,
      num_experts: 64,
      num_experts_per_tok: 8,
      num_hidden_layers: 16,
      num_key_value_heads: 16,
      qk_layernorm: true,
      rms_norm_eps: 1e-5,
      rope_theta: 50_000,
      shared_expert_intermediate_size: null,
      tie_word_embeddings: false,
      vocab_size: 157_184,
    },
    7_356_880_896,
  ],
  [
    "Dream-org/Dream-v0-Instruct-7B",
    {
      model_type: "Dream",
      architectures: ["DreamModel"],
      hidden_act: "silu",
      hidden_size: 3584,
      intermediate_size: 18_944,
      max_window_layers: 28,
      num_attention_heads: 28,
      num_hidden_layers: 28,
      num_key_value_heads: 4,
      rms_norm_eps: 1e-6,
      rope_theta: 1_000_000,
      sliding_window: null,
      tie_word_embeddings: false,
      use_sliding_window: false,
      vocab_size: 152_064,
    },
    7_615_616_512,
  ],
  [
    "JetLM/SDAR-1.7B-Chat",
    {
      model_type: "sdar",
      architectures: ["SDARForCausalLM"],
      attention_bias: false,
      block_size: 4,
      head_dim: 128,
      hidden_act: "silu",
      hidden_size: 2048,
      intermediate_size: 6144,
      num_attention_heads: 16,
      num_hidden_layers: 28,
      num_key_value_heads: 8,
      rms_norm_eps: 1e-6,
      rope_theta: 1_000_000,
      tie_word_embeddings: false,
      vocab_size: 151_936,
    },
    2_031_739_904,
  ],
  [
    "inclusionAI/Ling-mini-2.0",
    {
      model_type: "bailing_moe_v2",
      architectures: ["BailingMoeV2ForCausalLM"],
      first_k_dense_replace: 1,
      head_dim: 128,
      hidden_act: "silu",
      hidden_size: 2048,
      intermediate_size: 5120,
      moe_intermediate_size: 512,
      moe_router_enable_expert_bias: true,
      num_attention_heads: 16,
      num_experts: 256,
      num_experts_per_tok: 8,
      num_hidden_layers: 20,
      num_key_value_heads: 4,
      num_nextn_predict_layers: 0,
      num_shared_experts: 1,
      partial_rotary_factor: 0.5,
      rms_norm_eps: 1e-6,
      rope_theta: 600_000,
      tie_word_embeddings: false,
      use_qk_norm: true,
      use_qkv_bias: false,
      vocab_size: 157_184,
    },
    16_255_643_392,
  ],
  [
    "ByteDance/Ouro-1.4B",
    {
      model_type: "ouro",
      architectures: ["OuroForCausalLM"],
      early_exit_threshold: 1,
      head_dim: 128,
      hidden_act: "silu",
      hidden_size: 2048,
      intermediate_size: 5632,
      num_attention_heads: 16,
      num_hidden_layers: 24,
      num_key_value_heads: 16,
      rms_norm_eps: 1e-6,
      rope_theta: 1_000_000,
      tie_word_embeddings: false,
      total_ut_steps: 4,
      vocab_size: 49_152,
    },
    1_434_652_673,
  ],
  [
    "Snowflake/snowflake-arctic-instruct",
    {
      model_type: "arctic",
      architectures: ["ArcticForCausalLM"],
      hidden_act: "silu",
      hidden_size: 7168,
      intermediate_size: 4864,
      moe_layer_frequency: 1,
      num_attention_heads: 56,
      num_experts_per_tok: 2,
      num_hidden_layers: 35,
      num_key_value_heads: 8,
      num_local_experts: 128,
      rms_norm_eps: 1e-5,
      rope_theta: 10_000,
      tie_word_embeddings: false,
      use_residual: true,
      vocab_size: 32_000,
    },
    478_584_608_768,
  ],
  [
    "hpcai-tech/grok-1",
    {
      model_type: "grok-1",
      architectures: ["Grok1ModelForCausalLM"],
      hidden_size: 6144,
      intermediate_size: 32_768,
      num_attention_heads: 48,
      num_experts: 8,
      num_experts_per_tok: 2,
      num_hidden_layers: 64,
      num_key_value_heads: 8,
      rms_norm_eps: 1e-5,
      tie_word_embeddings: true,
      vocab_size: 131_072,
    },
    131_072 * 6144 + 64 * (2 * 6144 ** 2 + 2 * 6144 * 1024 + 8 * (3 * 6144 * 32_768 + 6144) + 4 * 6144) + 6144,
  ],
  [
    "Tele-AI/TeleChat-7B",
    {
      model_type: "telechat",
      architectures: ["TelechatForCausalLM"],
      ffn_hidden_size: 12_288,
      hidden_size: 4096,
      layer_norm_epsilon: 1e-5,
      n_head: 32,
      n_layer: 30,
      vocab_size: 160_256,
    },
    2 * 160_256 * 4096 + 30 * (4 * 4096 ** 2 + 4096 + 3 * 4096 * 12_288 + 4096 + 2 * 4096) + 4096,
  ],
  [
    "allenai/OLMo-1B",
    {
      model_type: "hf_olmo",
      architectures: ["OLMoForCausalLM"],
      d_model: 2048,
      embedding_size: 50_304,
      include_bias: false,
      layer_norm_type: "default",
      max_sequence_length: 2048,
      mlp_hidden_size: 16_384,
      n_heads: 16,
      n_layers: 16,
      vocab_size: 50_280,
      weight_tying: true,
    },
    1_176_764_416,
  ],
  [
    "allenai/Flex-reddit-2x7B-1T",
    {
      model_type: "flex_olmo",
      architectures: ["FlexOlmoForCausalLM"],
      attention_bias: false,
      hidden_act: "silu",
      hidden_size: 4096,
      intermediate_size: 11_008,
      num_attention_heads: 32,
      num_experts: 2,
      num_experts_per_tok: 2,
      num_hidden_layers: 32,
      num_key_value_heads: 32,
      rms_norm_eps: 1e-6,
      rope_theta: 500_000,
      tie_word_embeddings: false,
      vocab_size: 100_352,
    },
    11_627_401_216,
  ],
  [
    "rednote-hilab/dots.llm1.inst",
    {
      model_type: "dots1",
      architectures: ["Dots1ForCausalLM"],
      attention_bias: false,
      first_k_dense_replace: 1,
      head_dim: 128,
      hidden_act: "silu",
      hidden_size: 4096,
      intermediate_size: 10_944,
      max_window_layers: 62,
      moe_intermediate_size: 1408,
      n_routed_experts: 128,
      n_shared_experts: 2,
      num_attention_heads: 32,
      num_experts_per_tok: 6,
      num_hidden_layers: 62,
      num_key_value_heads: 32,
      rms_norm_eps: 1e-5,
      rope_theta: 10_000_000,
      sliding_window: null,
      tie_word_embeddings: false,
      vocab_size: 152_064,
    },
    // Less one balancing bias per expert and sparse layer, which is told apart.
    142_774_381_696 - 61 * 128,
  ],
  [
    "ai21labs/Jamba-v0.1",
    {
      model_type: "jamba",
      architectures: ["JambaForCausalLM"],
      attn_layer_offset: 4,
      attn_layer_period: 8,
      expert_layer_offset: 1,
      expert_layer_period: 2,
      hidden_act: "silu",
      hidden_size: 4096,
      intermediate_size: 14_336,
      mamba_conv_bias: true,
      mamba_d_conv: 4,
      mamba_d_state: 16,
      mamba_dt_rank: 256,
      mamba_expand: 2,
      mamba_proj_bias: false,
      num_attention_heads: 32,
      num_experts: 16,
      num_experts_per_tok: 2,
      num_hidden_layers: 32,
      num_key_value_heads: 8,
      rms_norm_eps: 1e-6,
      sliding_window: null,
      tie_word_embeddings: false,
      vocab_size: 65_536,
    },
    51_570_323_328,
  ],
  [
    "NX-AI/xLSTM-7b",
    {
      model_type: "xlstm",
      architectures: ["xLSTMForCausalLM"],
      embedding_dim: 4096,
      ffn_proj_factor: 2.667,
      ffn_round_up_to_multiple_of: 64,
      gate_soft_cap: 15,
      head_dim: 512,
      mlstm_round_up_to_multiple_of: 64,
      num_blocks: 32,
      num_heads: 8,
      output_logit_soft_cap: 30,
      qk_dim_factor: 0.5,
      tie_word_embeddings: false,
      use_bias: false,
      v_dim_factor: 1,
      vocab_size: 50_304,
      weight_mode: "single",
    },
    6_865_424_896,
  ],
  ["google/diffusiongemma-26B-A4B-it", diffusionGemma(), 25_823_778_864],
  [
    "MiniMaxAI/MiniMax-Text-01",
    { ...readConfigFile("configs", "MiniMaxAI__MiniMax-M1-80k.json"), model_type: "minimax_text_01" },
    456_089_655_296,
  ],
  ["google/embeddinggemma-300m", { ...embeddingGemma, architectures: ["Gemma3TextModel"] }, 302_863_104],
];

describe("published decoders have the parameters of their tensors", () => {
  test.each(checkpoints)("%s", (_, config, parameters) => {
    expect(countParameters(buildGraph(readConfig(config, "a.json", "a"))).total).toBe(parameters);
  });
});

describe("nothing of them is left unread", () => {
  test.each(checkpoints)("%s", (_, config) => {
    const unread = readConfig(config, "a.json", "a").notes.filter((note) => note.startsWith("keys that nothing"));
    expect(unread).toEqual([]);
  });
});

test("EmbeddingGemma looks both ways: no cache, windows with the query in their middle", () => {
  const model = readConfig(embeddingGemma, "a.json", "a");
  const [stack] = model.stacks;
  expect(stack?.kind).toBe("encoder");
  const mixers = (stack?.layers ?? []).flatMap((layer) => layer.mixers);
  expect(mixers.every((mixer) => mixer.kind === "attention" && !mixer.causal)).toBe(true);
  const [first] = mixers;
  // A window of 257 reaches 256 positions to either side.
  expect(first?.kind === "attention" ? first.span : null).toEqual({ kind: "window", size: 257 });
});

test("the encoder of T5Gemma 2 has Gemma 3's layers and one more embedding", () => {
  const { use_bidirectional_attention: _both, model_type: _type, ...text } = embeddingGemma;
  const config = { ...text, model_type: "t5gemma2_text", architectures: ["T5Gemma2TextEncoder"] };
  const model = readConfig(config, "a.json", "a");
  expect(countParameters(buildGraph(model)).total).toBe(302_863_104 + 768);
  expect(model.stacks.map((stack) => stack.kind)).toEqual(["encoder"]);
});

test("DiffusionGemma without a number of experts is refused by that key", () => {
  const config = { model_type: "diffusion_gemma_text", hidden_size: 64, intermediate_size: 128 };
  expect(() => readConfig(config, "a.json", "a")).toThrow(/num_experts is missing/);
});

test("a looped model has its weights once, and the FLOPs and the cache of every round", () => {
  const config = checkpoints.find(([name]) => name === "ByteDance/Ouro-1.4B")?.[1] ?? {};
  const of = (rounds: number) => buildGraph(readConfig({ ...config, total_ut_steps: rounds }, "a.json", "a"));
  expect(countParameters(of(4)).total).toBe(countParameters(of(1)).total);
  const layers = (rounds: number): number =>
    totalCost(priceGraph(of(rounds)).filter(({ block }) => block.name === "layer")).matmulFlops.at({ n: 512 });
  expect(layers(4)).toBe(4 * layers(1));
  expect(cacheBytes(of(4)).at({ n: 512 })).toBe(4 * cacheBytes(of(1)).at({ n: 512 }));
});

test("a decoder whose file says that it is not causal is an encoder", () => {
  const qwen = readConfigFile("configs", "Qwen__Qwen2-7B.json");
  const model = readConfig({ ...qwen, architectures: ["Qwen2Model"], is_causal: false }, "a.json", "a");
  expect(model.stacks.map((stack) => stack.kind)).toEqual(["encoder"]);
  expect(cacheBytes(buildGraph(model)).at({ n: 512 })).toBe(0);
  const mixers = model.stacks.flatMap(({ layers }) => layers.flatMap((layer) => layer.mixers));
  expect(mixers.every((mixer) => mixer.kind === "attention" && !mixer.causal)).toBe(true);
});
