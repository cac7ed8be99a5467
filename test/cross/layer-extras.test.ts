import { describe, expect, test } from "vitest";
import { readConfigFile } from "../reference/data.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import type { ModelDescription } from "../../src/model/types.js";
import { scaled } from "../../src/variants/scale.js";
import { smallModel } from "./shapes.js";
import { expectPiecesAgree, longest, opened } from "./execute.js";

/** A family's own config with small sizes, as its reader describes it. */
function tiny(name: string, keys: object): ModelDescription {
  return readConfig({ ...readConfigFile("class-defaults", `${name}.json`), vocab_size: 50, ...keys }, name, name);
}

const sizes = {
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  intermediate_size: 48,
};
const gemma4 = {
  ...sizes,
  num_hidden_layers: 4,
  global_head_dim: 16,
  sliding_window: 5,
  layer_types: ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
  vocab_size_per_layer_input: 50,
  hidden_size_per_layer_input: 12,
  per_layer_config: null,
};

const zamba2 = {
  hidden_size: 32,
  num_hidden_layers: 6,
  layers_block_type: ["mamba", "hybrid", "mamba", "hybrid", "hybrid", "mamba"],
  num_attention_heads: 4,
  num_key_value_heads: 4,
  attention_hidden_size: 64,
  attention_head_dim: 16,
  intermediate_size: 40,
  num_mem_blocks: 2,
  adapter_rank: 3,
  n_mamba_heads: 8,
  mamba_headdim: 8,
  mamba_ngroups: 2,
  mamba_d_state: 6,
  use_mem_rope: true,
};

/** Blocks of two layers that later ones look back at, the last of them of one layer. */
function lookingBack(): ModelDescription {
  const model = smallModel(
    { name: "depth", hidden: 32, heads: 4, kvHeads: 2, headDim: 8, ffn: 48, layers: 5, vocabulary: 50 },
    { secondLayer: { span: { kind: "window", size: 4 } } },
  );
  return { ...model, stacks: model.stacks.map((stack) => ({ ...stack, depthBlock: 2 })) };
}

const decoders: readonly ModelDescription[] = [
  tiny("gemma4_text", { ...gemma4, num_kv_shared_layers: 2, use_double_wide_mlp: true, final_logit_softcapping: 30 }),
  tiny("gemma4_text", {
    ...gemma4,
    hidden_size_per_layer_input: 0,
    enable_moe_block: true,
    attention_k_eq_v: true,
    num_global_key_value_heads: 1,
    num_experts: 6,
    top_k_experts: 2,
    moe_intermediate_size: 20,
  }),
  tiny("gemma3n_text", {
    ...sizes,
    num_hidden_layers: 5,
    sliding_window: 5,
    layer_types: ["sliding_attention", "full_attention", "sliding_attention", "sliding_attention", "full_attention"],
    intermediate_size: [48, 40, 48, 48, 48],
    activation_sparsity_pattern: [0.7, 0.5, 0, 0, 0],
    vocab_size_per_layer_input: 50,
    hidden_size_per_layer_input: 12,
    num_kv_shared_layers: 2,
    laurel_rank: 5,
    altup_num_inputs: 3,
  }),
  tiny("deepseek_v4", {
    hidden_size: 32,
    num_hidden_layers: 4,
    num_attention_heads: 4,
    head_dim: 8,
    q_lora_rank: 10,
    o_groups: 2,
    o_lora_rank: 6,
    index_n_heads: 3,
    index_head_dim: 6,
    index_topk: 2,
    qk_rope_head_dim: 4,
    sliding_window: 4,
    n_routed_experts: 6,
    num_local_experts: 6,
    num_experts_per_tok: 2,
    moe_intermediate_size: 12,
    intermediate_size: 12,
    layer_types: [
      "sliding_attention",
      "compressed_sparse_attention",
      "heavily_compressed_attention",
      "compressed_sparse_attention",
    ],
    compress_rates: { compressed_sparse_attention: 2, heavily_compressed_attention: 5 },
  }),
  tiny("rwkv", { hidden_size: 24, attention_hidden_size: 24, intermediate_size: 40, num_hidden_layers: 2 }),
  tiny("apertus", sizes),
  tiny("olmo", { ...sizes, head_dim: undefined }),
  tiny("nanochat", { ...sizes, head_dim: undefined }),
  tiny("falcon_h1", {
    ...sizes,
    mamba_d_ssm: 24,
    mamba_n_heads: 6,
    mamba_d_head: 4,
    mamba_n_groups: 2,
    mamba_d_state: 8,
  }),
  tiny("longcat_flash", {
    hidden_size: 32,
    num_layers: 1,
    num_hidden_layers: 1,
    num_attention_heads: 4,
    ffn_hidden_size: 40,
    q_lora_rank: 10,
    kv_lora_rank: 12,
    qk_nope_head_dim: 8,
    qk_rope_head_dim: 8,
    head_dim: 8,
    v_head_dim: 6,
    moe_topk: 3,
    n_routed_experts: 6,
    zero_expert_num: 4,
    expert_ffn_hidden_size: 12,
  }),
  tiny("zamba", {
    ...sizes,
    num_hidden_layers: 5,
    layers_block_type: ["linear_attention", "hybrid", "linear_attention", "hybrid", "hybrid"],
    num_key_value_heads: 4,
    attention_hidden_size: 64,
    attention_head_dim: 16,
    mamba_dt_rank: 5,
    mamba_d_state: 6,
  }),
  lookingBack(),
  tiny("zamba2", zamba2),
  tiny("zamba2", { ...zamba2, use_shared_attention_adapter: true, use_mem_rope: false }),
  tiny("ernie4_5_moe", { ...sizes, moe_num_experts: 6, moe_k: 2, moe_intermediate_size: 20, num_hidden_layers: 3 }),
];

describe.each(decoders.map((model, index) => [`${model.name}, case ${index}`, model] as const))("%s", (_, model) => {
  const engine = opened(model, "fused");

  test.each([
    [1, 1],
    [1, 6],
    [2, longest],
  ])("a prefill of batch %i and length %i equals the float64 reference", async (batch, n) => {
    await expectPiecesAgree(engine(), model, batch, [n]);
  });

  test("prefills and single tokens after what is remembered equal the whole at once", async () => {
    await expectPiecesAgree(engine(), model, 1, [5, 1, 1, 7, 1, 1, 3]);
  });
});

test("several streams, and groups of heads, are scaled with the hidden size", () => {
  const whole = readConfig(readConfigFile("class-defaults", "deepseek_v4.json"), "deepseek_v4", "deepseek_v4");
  const small = scaled(whole, { layers: 1, hidden: 512 });
  const [layer] = small.stacks.at(-1)?.layers ?? [];
  expect(layer?.extras?.linears?.map(({ inWidth, outWidth }) => [inWidth, outWidth])).toEqual([
    [2048, 24],
    [2048, 24],
  ]);
  expect(layer?.mixers).toMatchObject([{ heads: 8, dim: 512, queryRank: 128, outputGroups: 8, outputRank: 128 }]);
});

test("inputs of each layer's own are scaled with the layers and the vocabulary", () => {
  const whole = readConfig(readConfigFile("class-defaults", "gemma4_text.json"), "gemma4", "gemma4");
  const small = scaled(whole, { layers: 6, hidden: 512, vocabulary: 1000 });
  expect(small.embedding.tables).toEqual([{ name: "per_layer", rows: 1000, width: 6 * 256 }]);
  expect(small.extras?.linears).toEqual([
    { name: "per_layer_projection", inWidth: 512, outWidth: 6 * 256, bias: false },
  ]);
  expect(small.stacks.at(-1)?.layers[0]?.extras?.linears?.map(({ inWidth, outWidth }) => [inWidth, outWidth])).toEqual([
    [512, 256],
    [256, 512],
  ]);
});
