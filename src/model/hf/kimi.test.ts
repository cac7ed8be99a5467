import { expect, test } from "vitest";
import { priceGraph, totalCost } from "../../cost/table.js";
import { buildGraph } from "../../graph/build.js";
import { readConfig } from "./read-config.js";

const hidden = 64;

/** Kimi K3 in small. */
const config = {
  model_type: "kimi_linear",
  first_k_dense_replace: 1,
  hidden_act: "situ",
  hidden_size: hidden,
  intermediate_size: 96,
  kv_lora_rank: 16,
  latent_moe_use_norm: true,
  linear_attn_config: { full_attn_layers: [4, 7], head_dim: 16, num_heads: 4, use_full_rank_gate: true },
  max_position_embeddings: 4096,
  moe_intermediate_size: 32,
  num_attention_heads: 4,
  num_experts: 8,
  num_experts_per_token: 2,
  num_hidden_layers: 7,
  num_shared_experts: 1,
  q_lora_rank: 24,
  qk_nope_head_dim: 16,
  qk_rope_head_dim: 8,
  rms_norm_eps: 1e-5,
  routed_expert_hidden_size: 32,
  v_head_dim: 16,
  vocab_size: 100,
};

const costOf = (more: object) =>
  totalCost(priceGraph(buildGraph(readConfig({ ...config, ...more }, "k", "k")), { causal: "full" }));

/** Streams that each branch of each layer mixes, stepped through as the published class does. */
function mixedStreams(perBlock: number): number[] {
  const mixed: number[] = [];
  let kept = 0;
  for (let layer = 0; layer < config.num_hidden_layers; layer += 1) {
    if (kept > 0) mixed.push(kept + 1);
    if (layer % perBlock === 0) kept += 1;
    mixed.push(kept + 1);
  }
  return [...mixed, kept + 1];
}

test.each([1, 3, 4, 12])(
  "attention residuals over blocks of %i layers mix as many streams as the class",
  (perBlock) => {
    const plain = costOf({});
    const mixing = costOf({ attn_res_block_size: perBlock });
    const at = { n: 5, c: 0, b: 2 };
    const tokens = 10;
    const streams = mixedStreams(perBlock).reduce((sum, count) => sum + count, 0);
    // Each stream is multiplied by the query, and by its share: two products of `hidden` multiply-adds.
    expect(mixing.matmulFlops.at(at) - plain.matmulFlops.at(at)).toBe(2 * 2 * tokens * hidden * streams);
  },
);

test("each branch has a query over the streams and their norm, the output too", () => {
  const weights = (more: object): number => {
    const { instances } = buildGraph(readConfig({ ...config, ...more }, "k", "k"));
    return instances
      .flatMap(({ block }) => [...block.weights.values()])
      .reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  };
  expect(weights({ attn_res_block_size: 3 }) - weights({})).toBe((2 * 7 + 1) * 2 * hidden);
  // A norm of what the experts made, in all layers but the first.
  expect(weights({}) - weights({ latent_moe_use_norm: false })).toBe(6 * 32);
});
