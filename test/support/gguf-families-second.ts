import {
  type Case,
  alternating,
  bertLayer,
  expertCounts,
  experts,
  ffn,
  firstOnly,
  fusedWide,
  gated,
  headNorms,
  hidden,
  indexerKeys,
  indexerTensors,
  latentKeys,
  latentTensors,
  llama,
  mamba1,
  mamba2,
  perLayerOutside,
  perLayerTensors,
  plain,
  postNorms,
  preNorms,
  projections,
  queries,
  routed,
  shared,
  ssm,
  ssm2,
  t5Attention,
  t5Network,
  vocabulary,
  width,
  withBias,
} from "./gguf-shapes.js";

/** Small headers by architecture. */
export const secondFamilies: Readonly<Record<string, Case>> = {
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
  gemma3n: {
    layer: {
      ...llama,
      ...postNorms,
      ...headNorms,
      ...perLayerTensors,
      "altup_correct_coef.weight": [3, 3],
      "altup_correct_scale.weight": [hidden],
      "altup_predict_coef.weight": [3, 9],
      "altup_router.weight": [hidden, 3],
      "altup_router_norm.weight": [hidden],
      "laurel_l.weight": [hidden, 5],
      "laurel_r.weight": [5, hidden],
      "laurel_post_norm.weight": [hidden],
    },
    keys: {
      "attention.sliding_window": 16,
      "attention.sliding_window_pattern": [true, true, false, true],
      "attention.shared_kv_layers": 1,
      "altup.num_inputs": 3,
      embedding_length_per_layer_input: 8,
      feed_forward_length: [ffn, ffn, ffn, ffn],
    },
    beside: {
      ...perLayerOutside,
      "altup_proj.weight": [hidden, hidden, 2],
      "altup_unembd_proj.weight": [hidden, hidden, 2],
    },
    meanBits: true,
  },
  gemma4: {
    layer: (index) => ({
      ...llama,
      ...postNorms,
      ...perLayerTensors,
      "layer_output_scale.weight": [1],
      ...(index === 2
        ? {
            "attn_q.weight": [hidden, 4 * 24],
            "attn_k.weight": [hidden, 2 * 24],
            "attn_v.weight": [hidden, 2 * 24],
            "attn_output.weight": [4 * 24, hidden],
            "attn_q_norm.weight": [24],
            "attn_k_norm.weight": [24],
          }
        : headNorms),
      ...(index < 3
        ? gated
        : {
            "ffn_gate.weight": [hidden, 2 * ffn],
            "ffn_up.weight": [hidden, 2 * ffn],
            "ffn_down.weight": [2 * ffn, hidden],
          }),
    }),
    keys: {
      "attention.sliding_window": 16,
      "attention.sliding_window_pattern": [true, true, false, true],
      "attention.shared_kv_layers": 1,
      "attention.key_length": 24,
      "attention.key_length_swa": 16,
      embedding_length_per_layer_input: 8,
      feed_forward_length: [ffn, ffn, ffn, 2 * ffn],
    },
    beside: perLayerOutside,
    beyond: 4,
  },
  llama4: {
    layer: (index) => ({ ...preNorms, ...projections, ...(index % 2 === 0 ? gated : { ...routed, ...shared(width) }) }),
    keys: { ...expertCounts, interleave_moe_layer_step: 2 },
    untied: true,
  },
  afmoe: {
    layer: (index) => ({
      ...preNorms,
      ...projections,
      ...postNorms,
      ...headNorms,
      "attn_gate.weight": [hidden, queries],
      ...(index === 0 ? gated : { ...routed, ...shared(width), "exp_probs_b.bias": [experts] }),
    }),
    keys: {
      ...expertCounts,
      expert_shared_count: 1,
      leading_dense_block_count: 1,
      "attention.sliding_window": 16,
    },
    untied: true,
  },
  deepseek32: {
    layer: (index) => ({
      ...preNorms,
      ...latentTensors,
      ...indexerTensors,
      ...(index === 0 ? gated : { ...routed, ...shared(2 * width), "exp_probs_b.bias": [experts] }),
    }),
    keys: {
      ...expertCounts,
      ...latentKeys,
      ...indexerKeys,
      expert_shared_count: 2,
      leading_dense_block_count: 1,
    },
    untied: true,
  },
  "glm-dsa": {
    layer: (index) => ({
      ...preNorms,
      ...latentTensors,
      ...indexerTensors,
      ...(index === 0 ? gated : { ...routed, ...shared(width), "exp_probs_b.bias": [experts] }),
    }),
    keys: {
      ...expertCounts,
      ...latentKeys,
      ...indexerKeys,
      expert_shared_count: 1,
      leading_dense_block_count: 1,
    },
    untied: true,
  },
  bert: {
    layer: bertLayer,
    keys: { "attention.head_count_kv": 4, "attention.layer_norm_epsilon": 0.5 },
    outside: {
      "token_embd.weight": [hidden, vocabulary],
      "position_embd.weight": [hidden, 4096],
      "token_types.weight": [hidden, 2],
      "token_embd_norm.weight": [hidden],
      "token_embd_norm.bias": [hidden],
    },
  },
  "nomic-bert": {
    layer: {
      ...fusedWide,
      ...gated,
      ...withBias({ "attn_output_norm.weight": [hidden], "layer_output_norm.weight": [hidden] }),
    },
    keys: { "attention.head_count_kv": 4, "attention.layer_norm_epsilon": 0.5 },
    outside: {
      "token_embd.weight": [hidden, vocabulary],
      "token_types.weight": [hidden, 2],
      "token_embd_norm.weight": [hidden],
      "token_embd_norm.bias": [hidden],
    },
  },
  "modern-bert": {
    layer: (index) => ({
      ...fusedWide,
      ...firstOnly(index === 0 ? 1 : 0, { "attn_norm.weight": [hidden] }),
      "ffn_norm.weight": [hidden],
      "ffn_up.weight": [hidden, 2 * ffn],
      "ffn_down.weight": [ffn, hidden],
    }),
    keys: { "attention.head_count_kv": 4, "attention.layer_norm_epsilon": 0.5, "attention.sliding_window": 16 },
    beside: { "token_embd_norm.weight": [hidden] },
  },
  t5: {
    layer: (index) => ({
      ...Object.fromEntries(
        Object.entries({ ...t5Attention("attn"), ...t5Network }).map(([name, shape]) => [`enc.${name}`, shape]),
      ),
      ...firstOnly(index, { "enc.attn_rel_b.weight": [4, 32], "dec.attn_rel_b.weight": [4, 32] }),
      ...Object.fromEntries(
        Object.entries({ ...t5Attention("attn"), ...t5Attention("cross_attn"), ...t5Network }).map(([name, shape]) => [
          `dec.${name}`,
          shape,
        ]),
      ),
    }),
    keys: { "attention.head_count_kv": 4, "attention.relative_buckets_count": 32 },
    outside: {
      "token_embd.weight": [hidden, vocabulary],
      "enc.output_norm.weight": [hidden],
      "dec.output_norm.weight": [hidden],
    },
  },
  t5encoder: {
    layer: (index) => ({
      ...Object.fromEntries(
        Object.entries({ ...t5Attention("attn"), ...t5Network }).map(([name, shape]) => [`enc.${name}`, shape]),
      ),
      ...firstOnly(index, { "enc.attn_rel_b.weight": [4, 32] }),
    }),
    keys: { "attention.head_count_kv": 4, "attention.relative_buckets_count": 32 },
    outside: { "token_embd.weight": [hidden, vocabulary], "enc.output_norm.weight": [hidden] },
  },
};
