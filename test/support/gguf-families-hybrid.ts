import {
  type Case,
  alternating,
  delta,
  deltaKeys,
  expertCounts,
  experts,
  ffn,
  gated,
  headNorms,
  hidden,
  latentKeys,
  llama,
  mamba1,
  mamba2,
  plain,
  preNorms,
  projections,
  qwenAttention,
  qwenNorms,
  routed,
  shared,
  shortConv,
  ssm,
  ssm2,
  width,
} from "./gguf-shapes.js";

/** Small headers by architecture: models with state-space, linear or convolving layers. */
export const hybridFamilies: Readonly<Record<string, Case>> = {
  mamba: {
    layer: { "attn_norm.weight": [hidden], ...mamba1 },
    keys: { ...ssm, "ssm.time_step_rank": 4, feed_forward_length: 0, "attention.head_count": 0 },
  },
  mamba2: {
    layer: { "attn_norm.weight": [hidden], ...mamba2 },
    keys: { ...ssm2, feed_forward_length: 0, "attention.head_count": 0 },
    untied: true,
  },
  qwen3next: {
    layer: (index) => ({
      ...qwenNorms,
      ...routed,
      ...shared(40),
      "ffn_gate_inp_shexp.weight": [hidden],
      ...(index % 2 === 1 ? qwenAttention : { ...delta, "ssm_ba.weight": [hidden, 16] }),
    }),
    keys: { ...deltaKeys, ...expertCounts, expert_shared_feed_forward_length: 40 },
    untied: true,
  },
  qwen35: {
    layer: (index) => ({
      ...qwenNorms,
      ...gated,
      ...(index % 2 === 1
        ? qwenAttention
        : { ...delta, "ssm_alpha.weight": [hidden, 8], "ssm_beta.weight": [hidden, 8] }),
    }),
    keys: deltaKeys,
    untied: true,
  },
  qwen35moe: {
    layer: (index) => ({
      ...qwenNorms,
      ...routed,
      ...shared(40),
      "ffn_gate_inp_shexp.weight": [hidden],
      ...(index % 2 === 1
        ? qwenAttention
        : { ...delta, "ssm_alpha.weight": [hidden, 8], "ssm_beta.weight": [hidden, 8] }),
    }),
    keys: { ...deltaKeys, ...expertCounts, expert_shared_feed_forward_length: 40 },
    untied: true,
  },
  lfm2: {
    layer: (index) => ({ ...preNorms, ...gated, ...(index % 2 === 0 ? shortConv : { ...projections, ...headNorms }) }),
    keys: { "attention.head_count_kv": alternating, "shortconv.l_cache": 3 },
  },
  lfm2moe: {
    layer: (index) => ({
      ...preNorms,
      ...(index === 0 ? gated : { ...routed, "exp_probs_b.bias": [experts] }),
      ...(index % 2 === 0 ? shortConv : { ...projections, ...headNorms }),
    }),
    keys: {
      ...expertCounts,
      "attention.head_count_kv": alternating,
      "shortconv.l_cache": 3,
      leading_dense_block_count: 1,
    },
  },
  "falcon-h1": { layer: { ...llama, ...mamba2 }, keys: ssm2, untied: true },
  jamba: {
    layer: (index) => ({
      ...preNorms,
      ...(index % 2 === 1
        ? {
            ...routed,
            "ffn_gate_exps.weight": [hidden, ffn, experts],
            "ffn_up_exps.weight": [hidden, ffn, experts],
            "ffn_down_exps.weight": [ffn, hidden, experts],
          }
        : gated),
      ...(index === 2
        ? projections
        : { ...mamba1, "ssm_dt_norm.weight": [4], "ssm_b_norm.weight": [16], "ssm_c_norm.weight": [16] }),
    }),
    keys: {
      ...ssm,
      ...expertCounts,
      expert_feed_forward_length: ffn,
      "ssm.time_step_rank": 4,
      "attention.head_count_kv": [0, 0, 2, 0],
    },
  },
  granitehybrid: {
    layer: (index) => ({ ...preNorms, ...routed, ...shared(40), ...(index % 2 === 0 ? mamba2 : projections) }),
    keys: {
      ...ssm2,
      ...expertCounts,
      feed_forward_length: width,
      expert_shared_feed_forward_length: 40,
      "attention.head_count_kv": alternating,
    },
  },
  nemotron_h: {
    layer: (index) => ({
      "attn_norm.weight": [hidden],
      ...(index === 0 ? mamba2 : index === 1 ? projections : plain),
    }),
    keys: { ...ssm2, "attention.head_count_kv": [0, 2, 0, 0], feed_forward_length: [0, 0, ffn, ffn] },
    untied: true,
  },
  nemotron_h_moe: {
    layer: (index) => ({
      "attn_norm.weight": [hidden],
      ...(index === 0
        ? mamba2
        : index === 1
          ? projections
          : {
              "ffn_gate_inp.weight": [hidden, experts],
              "ffn_up_exps.weight": [hidden, width, experts],
              "ffn_down_exps.weight": [width, hidden, experts],
              "ffn_up_shexp.weight": [hidden, 40],
              "ffn_down_shexp.weight": [40, hidden],
              "exp_probs_b.bias": [experts],
            }),
    }),
    keys: {
      ...ssm2,
      ...expertCounts,
      expert_shared_count: 1,
      expert_shared_feed_forward_length: 40,
      "attention.head_count_kv": [0, 2, 0, 0],
      feed_forward_length: [0, 0, width, width],
    },
    untied: true,
  },
  "kimi-linear": {
    layer: (index) => ({
      ...preNorms,
      ...(index === 0 ? gated : { ...routed, ...shared(width), "exp_probs_b.bias": [experts] }),
      ...(index === 3
        ? {
            "attn_q.weight": [hidden, 4 * 20],
            "attn_kv_a_mqa.weight": [hidden, 16 + 8],
            "attn_kv_a_norm.weight": [16],
            "attn_k_b.weight": [12, 16, 4],
            "attn_v_b.weight": [16, 10, 4],
            "attn_output.weight": [40, hidden],
          }
        : {
            "attn_q.weight": [hidden, 64],
            "attn_k.weight": [hidden, 64],
            "attn_v.weight": [hidden, 64],
            "ssm_conv1d_q.weight": [4, 64],
            "ssm_conv1d_k.weight": [4, 64],
            "ssm_conv1d_v.weight": [4, 64],
            "ssm_f_a.weight": [hidden, 16],
            "ssm_f_b.weight": [16, 64],
            "ssm_beta.weight": [hidden, 4],
            ssm_a: [1, 4],
            "ssm_dt.bias": [64],
            "ssm_g_a.weight": [hidden, 16],
            "ssm_g_b.weight": [16, 64],
            "ssm_norm.weight": [16],
            "attn_output.weight": [64, hidden],
          }),
    }),
    keys: {
      ...expertCounts,
      ...latentKeys,
      "attention.q_lora_rank": [],
      "attention.head_count_kv": [0, 0, 0, 1],
      "kda.head_dim": 16,
      "ssm.conv_kernel": 4,
      expert_shared_count: 1,
      leading_dense_block_count: 1,
    },
    untied: true,
    meanBits: true,
  },
};
