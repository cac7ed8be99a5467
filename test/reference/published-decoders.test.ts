import { expect, test } from "vitest";
import { cacheBytes } from "../../src/cost/cache.js";
import { countParameters } from "../../src/cost/parameters.js";
import { priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import { type Checkpoint, testCheckpoints } from "./checkpoints.js";
import { readConfigFile } from "./data.js";

/**
 * Sizes of published checkpoints of decoder families without reference counts, and the total over their tensors as the
 * hub states it (safetensors; listed in TransformerLens' model_registry/data/architecture_gaps.json of 2026-06-25), or
 * the sum over the tensors that the published class allocates, written out.
 */
const checkpoints: readonly Checkpoint[] = [
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
];

testCheckpoints(checkpoints);

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
