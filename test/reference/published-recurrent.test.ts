import { describe, expect, test } from "vitest";
import { countParameters } from "../../src/cost/parameters.js";
import { buildGraph } from "../../src/graph/build.js";
import { readConfig } from "../../src/model/hf/read-config.js";

const fla = {
  fuse_cross_entropy: true,
  fuse_norm: true,
  hidden_act: "swish",
  hidden_ratio: 4,
  hidden_size: 2048,
  intermediate_size: null,
  norm_eps: 1e-6,
  num_hidden_layers: 24,
  tie_word_embeddings: false,
  vocab_size: 32_000,
};
const [hidden, width, vocabulary] = [2048, 5632, 32_000];
const around = (mixer: number, layers = 24, ffn = width): number =>
  2 * vocabulary * hidden + layers * (mixer + 3 * hidden * ffn + 2 * hidden) + hidden;

/**
 * Linear attention and recurrences: totals over the tensors as the hub states them (safetensors, listed in
 * TransformerLens' model_registry/data/architecture_gaps.json of 2026-06-25; RWKV 7: BlinkDL's RWKV-LM,
 * RWKV-v7/rwkv_v7_demo), or the sum over what flash-linear-attention's layers allocate, written out.
 */
const checkpoints: readonly (readonly [string, Record<string, unknown>, number])[] = [
  [
    "fla-hub/transformer-1.3B-100B",
    { ...fla, model_type: "transformer", architectures: ["TransformerForCausalLM"], num_heads: 32, window_size: null },
    1_364_297_728,
  ],
  [
    "fla-hub/delta_net-1.3B-8K-100B",
    {
      ...fla,
      model_type: "delta_net",
      architectures: ["DeltaNetForCausalLM"],
      conv_size: 4,
      expand_k: 1,
      expand_v: 1,
      num_heads: 16,
      qk_activation: "silu",
      qk_norm: "l2",
      use_beta: true,
      use_gate: false,
      use_output_norm: true,
      use_short_conv: true,
    },
    1_365_677_056,
  ],
  [
    "fla-hub/retnet-1.3B-100B",
    {
      ...fla,
      model_type: "retnet",
      architectures: ["RetNetForCausalLM"],
      expand_k: 1,
      expand_v: 2,
      feature_map: null,
      hidden_ratio: 2,
      num_heads: 8,
      num_kv_heads: null,
      use_output_gate: true,
      use_short_conv: false,
    },
    around(2 * hidden ** 2 + 3 * hidden * 4096 + 512, 24, 2816),
  ],
  [
    "Gated DeltaNet with attention in three layers",
    {
      ...fla,
      model_type: "gated_deltanet",
      architectures: ["GatedDeltaNetForCausalLM"],
      attn: { layers: [5, 11, 17], num_heads: 16, num_kv_heads: 8, window_size: 2048 },
      conv_size: 4,
      expand_v: 2,
      head_dim: 256,
      num_heads: 6,
      num_hidden_layers: 21,
      use_gate: true,
      use_short_conv: true,
    },
    around(0, 21) +
      18 * (2 * hidden * 1536 + 3 * hidden * 3072 + 2 * hidden * 6 + 2 * 6 + 4 * (2 * 1536 + 3072) + 512) +
      3 * (2 * hidden ** 2 + 2 * hidden * 1024),
  ],
  [
    "Kimi Delta Attention alone",
    {
      ...fla,
      model_type: "kda",
      architectures: ["KDAForCausalLM"],
      conv_size: 4,
      expand_v: 1,
      head_dim: 128,
      num_heads: 16,
      use_short_conv: true,
    },
    around(4 * hidden ** 2 + 4 * hidden * 128 + hidden * 16 + 16 + 2 * hidden + 3 * 4 * hidden + 128),
  ],
  [
    "RWKV/v6-Finch-7B-HF",
    {
      model_type: "rwkv6",
      architectures: ["Rwkv6ForCausalLM"],
      attention_hidden_size: 4096,
      head_size: 64,
      head_size_divisor: 8,
      hidden_size: 4096,
      intermediate_size: null,
      layer_norm_epsilon: 1e-5,
      num_hidden_layers: 32,
      tie_word_embeddings: false,
      vocab_size: 65_536,
    },
    7_635_746_816,
  ],
  ...(
    [
      [768, 12, 64, 32, 128, 191_034_624],
      [1024, 24, 64, 32, 128, 450_767_872],
      [2048, 24, 96, 64, 256, 1_527_404_544],
      [2560, 32, 96, 64, 320, 2_947_735_040],
    ] as const
  ).map(([size, layers, decay, value, gate, parameters]): (typeof checkpoints)[number] => [
    `RWKV 7, ${layers} layers of ${size}`,
    {
      model_type: "rwkv7",
      architectures: ["RWKV7ForCausalLM"],
      a_low_rank_dim: decay,
      decay_low_rank_dim: decay,
      gate_low_rank_dim: gate,
      head_dim: 64,
      hidden_act: "sqrelu",
      hidden_ratio: 4,
      hidden_size: size,
      norm_bias: true,
      norm_eps: 1e-5,
      norm_first: true,
      num_hidden_layers: layers,
      tie_word_embeddings: false,
      v_low_rank_dim: value,
      value_dim: Array.from({ length: layers }, () => size),
      vocab_size: 65_536,
    },
    parameters,
  ]),
];

describe("recurrent and linear models have the parameters of their tensors, and no key is left unread", () => {
  test.each(checkpoints)("%s", (_, config, parameters) => {
    const model = readConfig(config, "a.json", "a");
    expect(countParameters(buildGraph(model)).total).toBe(parameters);
    expect(model.notes.filter((note) => note.startsWith("keys that nothing"))).toEqual([]);
  });
});

test("heads that are not square, gates left out and residuals by attention are refused by name", () => {
  const rwkv = { model_type: "rwkv6", hidden_size: 512, num_heads: 4, num_hidden_layers: 2, norm_eps: 1e-5 };
  expect(() => readConfig(rwkv, "a.json", "a")).toThrow(/expand_k is "?0.5"?; expected 1/);
  const retnet = { ...fla, model_type: "retnet", num_heads: 8, use_output_gate: false };
  expect(() => readConfig(retnet, "a.json", "a")).toThrow(/use_output_gate/);
  const mixed = { ...fla, model_type: "transformer", num_heads: 32, attnres_block_size: 4 };
  expect(() => readConfig(mixed, "a.json", "a")).toThrow(/attnres_block_size/);
});
