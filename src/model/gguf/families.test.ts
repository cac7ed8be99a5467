import { describe, expect, test } from "vitest";
import {
  type GgufTensorContent,
  type GgufValue,
  decoderMetadata,
  ggufHeader,
  sparseSource,
} from "../../../test/support/gguf.js";
import { describeModel } from "../../study/describe.js";
import { weightBytes } from "../../cost/parameters.js";
import { buildGraph } from "../../graph/build.js";
import { knownArchitectures } from "./families.js";
import { readGguf } from "./read-gguf.js";

const sizes = { layers: 4, hidden: 64, heads: 4, kvHeads: 2, headDim: 16, ffn: 96, vocabulary: 320 };
const { layers, hidden, ffn, vocabulary } = sizes;
const [queries, keys, experts, width] = [64, 32, 8, 48];

type Shapes = Readonly<Record<string, readonly number[]>>;

const projections: Shapes = {
  "attn_q.weight": [hidden, queries],
  "attn_k.weight": [hidden, keys],
  "attn_v.weight": [hidden, keys],
  "attn_output.weight": [queries, hidden],
};
const preNorms: Shapes = { "attn_norm.weight": [hidden], "ffn_norm.weight": [hidden] };
const postNorms: Shapes = { "post_attention_norm.weight": [hidden], "post_ffw_norm.weight": [hidden] };
const headNorms: Shapes = { "attn_q_norm.weight": [16], "attn_k_norm.weight": [16] };
const inputBiases: Shapes = { "attn_q.bias": [queries], "attn_k.bias": [keys], "attn_v.bias": [keys] };
const plain: Shapes = { "ffn_up.weight": [hidden, ffn], "ffn_down.weight": [ffn, hidden] };
const gated: Shapes = { ...plain, "ffn_gate.weight": [hidden, ffn] };
const routed: Shapes = {
  "ffn_gate_inp.weight": [hidden, experts],
  "ffn_gate_exps.weight": [hidden, width, experts],
  "ffn_up_exps.weight": [hidden, width, experts],
  "ffn_down_exps.weight": [width, hidden, experts],
};
const shared = (wide: number): Shapes => ({
  "ffn_gate_shexp.weight": [hidden, wide],
  "ffn_up_shexp.weight": [hidden, wide],
  "ffn_down_shexp.weight": [wide, hidden],
});
const expertCounts = { expert_count: experts, expert_used_count: 2, expert_feed_forward_length: width };
const llama: Shapes = { ...preNorms, ...projections, ...gated };

interface Case {
  /** Tensors of one layer under llama.cpp's names. */
  readonly layer: Shapes | ((index: number) => Shapes);
  readonly keys?: Readonly<Record<string, GgufValue>>;
  readonly untied?: true;
  /** Tensors outside of the layers, instead of the token table and the last norm, or beside them. */
  readonly outside?: Shapes;
  readonly beside?: Shapes;
  /** Bits of some tensors are only known as a mean, since the description has them in another cut. */
  readonly meanBits?: true;
  /** Parameters of the file that the class has as buffers or not at all. */
  readonly beyond?: number;
}

const withBias = (shapes: Shapes): Shapes => ({
  ...shapes,
  ...Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name.replace(/weight$/, "bias"), shape.slice(-1)]),
  ),
});
const fused: Shapes = { "attn_qkv.weight": [hidden, queries + 2 * keys], "attn_output.weight": [queries, hidden] };
const fusedWide: Shapes = { "attn_qkv.weight": [hidden, 3 * queries], "attn_output.weight": [queries, hidden] };
const wideProjections: Shapes = {
  "attn_q.weight": [hidden, queries],
  "attn_k.weight": [hidden, queries],
  "attn_v.weight": [hidden, queries],
  "attn_output.weight": [queries, hidden],
};
const ssm = { "ssm.conv_kernel": 4, "ssm.inner_size": 128, "ssm.state_size": 16 };
/** Mamba 2 with 8 heads of 16 and 2 groups. */
const ssm2 = { ...ssm, "ssm.time_step_rank": 8, "ssm.group_count": 2 };
const mamba1: Shapes = {
  "ssm_in.weight": [hidden, 256],
  "ssm_conv1d.weight": [4, 128],
  "ssm_conv1d.bias": [128],
  "ssm_x.weight": [128, 4 + 32],
  "ssm_dt.weight": [4, 128],
  "ssm_dt.bias": [128],
  ssm_a: [16, 128],
  ssm_d: [128],
  "ssm_out.weight": [128, hidden],
};
const mamba2: Shapes = {
  "ssm_in.weight": [hidden, 2 * 128 + 2 * 2 * 16 + 8],
  "ssm_conv1d.weight": [4, 128 + 2 * 2 * 16],
  "ssm_conv1d.bias": [128 + 2 * 2 * 16],
  "ssm_dt.bias": [8],
  ssm_a: [1, 8],
  ssm_d: [1, 8],
  "ssm_norm.weight": [64, 2],
  "ssm_out.weight": [128, hidden],
};
/** Gated DeltaNet with 4 key heads of 16 and 8 value heads of 16. */
const delta: Shapes = {
  "attn_qkv.weight": [hidden, 2 * 64 + 128],
  "attn_gate.weight": [hidden, 128],
  "ssm_conv1d.weight": [4, 2 * 64 + 128],
  "ssm_dt.bias": [8],
  ssm_a: [8],
  "ssm_norm.weight": [16],
  "ssm_out.weight": [128, hidden],
};
const deltaKeys = { ...ssm, "ssm.time_step_rank": 8, "ssm.group_count": 4, full_attention_interval: 2 };
const qwenAttention: Shapes = { ...projections, ...headNorms, "attn_q.weight": [hidden, 2 * queries] };
const qwenNorms: Shapes = { "attn_norm.weight": [hidden], "post_attention_norm.weight": [hidden] };
const shortConv: Shapes = {
  "shortconv.conv.weight": [3, hidden],
  "shortconv.in_proj.weight": [hidden, 3 * hidden],
  "shortconv.out_proj.weight": [hidden, hidden],
};
const latentTensors: Shapes = {
  "attn_q_a.weight": [hidden, 24],
  "attn_q_a_norm.weight": [24],
  "attn_q_b.weight": [24, 4 * 20],
  "attn_kv_a_mqa.weight": [hidden, 16 + 8],
  "attn_kv_a_norm.weight": [16],
  "attn_k_b.weight": [12, 16, 4],
  "attn_v_b.weight": [16, 10, 4],
  "attn_output.weight": [40, hidden],
};
const latentKeys = {
  "attention.head_count_kv": 1,
  "attention.q_lora_rank": 24,
  "attention.kv_lora_rank": 16,
  "attention.key_length": 24,
  "attention.value_length": 16,
  "attention.key_length_mla": 20,
  "attention.value_length_mla": 10,
  "rope.dimension_count": 8,
};
const indexerTensors: Shapes = {
  "indexer.k_norm.weight": [6],
  "indexer.k_norm.bias": [6],
  "indexer.proj.weight": [hidden, 3],
  "indexer.attn_k.weight": [hidden, 6],
  "indexer.attn_q_b.weight": [24, 18],
};
const indexerKeys = {
  "attention.indexer.head_count": 3,
  "attention.indexer.key_length": 6,
  "attention.indexer.top_k": 5,
};
const alternating = [0, 2, 0, 2];
const perLayerTensors: Shapes = {
  "inp_gate.weight": [hidden, 8],
  "proj.weight": [8, hidden],
  "post_norm.weight": [hidden],
};
const perLayerOutside: Shapes = {
  "per_layer_token_embd.weight": [8 * layers, 300],
  "per_layer_model_proj.weight": [hidden, 8 * layers],
  "per_layer_proj_norm.weight": [8],
};
const bertLayer: Shapes = withBias({
  ...wideProjections,
  ...plain,
  "attn_output_norm.weight": [hidden],
  "layer_output_norm.weight": [hidden],
});
const t5Attention = (prefix: string): Shapes => ({
  [`${prefix}_norm.weight`]: [hidden],
  [`${prefix}_q.weight`]: [hidden, queries],
  [`${prefix}_k.weight`]: [hidden, queries],
  [`${prefix}_v.weight`]: [hidden, queries],
  [`${prefix}_o.weight`]: [queries, hidden],
});
const t5Network: Shapes = { "ffn_norm.weight": [hidden], ...gated };
const firstOnly = (index: number, shapes: Shapes): Shapes => (index === 0 ? shapes : {});

const cases: Readonly<Record<string, Case>> = {
  llama: { layer: llama },
  mistral3: { layer: llama, untied: true },
  smollm3: { layer: llama },
  gemma: { layer: llama },
  qwen2: { layer: { ...llama, ...inputBiases } },
  seed_oss: { layer: { ...llama, ...inputBiases }, untied: true },
  qwen3: { layer: { ...llama, ...headNorms } },
  gemma2: { layer: { ...llama, ...postNorms } },
  gemma3: { layer: { ...llama, ...postNorms, ...headNorms }, keys: { "attention.sliding_window": 16 } },
  arcee: { layer: { ...preNorms, ...projections, ...plain }, untied: true },
  phi3: {
    layer: {
      ...preNorms,
      "attn_qkv.weight": [hidden, queries + 2 * keys],
      "attn_output.weight": [queries, hidden],
      "ffn_up.weight": [hidden, 2 * ffn],
      "ffn_down.weight": [ffn, hidden],
    },
    untied: true,
  },
  olmo2: {
    layer: {
      ...projections,
      ...gated,
      ...postNorms,
      "attn_q_norm.weight": [queries],
      "attn_k_norm.weight": [keys],
    },
    untied: true,
  },
  "command-r": { layer: { "attn_norm.weight": [hidden], ...projections, ...gated } },
  cohere2: {
    layer: { "attn_norm.weight": [hidden], ...projections, ...gated },
    keys: { "attention.sliding_window": 16, "attention.layer_norm_epsilon": 0.5 },
  },
  olmoe: {
    layer: {
      ...preNorms,
      ...projections,
      ...routed,
      "attn_q_norm.weight": [queries],
      "attn_k_norm.weight": [keys],
    },
    keys: { ...expertCounts, feed_forward_length: width },
    untied: true,
  },
  qwen3moe: { layer: { ...preNorms, ...projections, ...headNorms, ...routed }, keys: expertCounts, untied: true },
  qwen2moe: {
    layer: {
      ...preNorms,
      ...projections,
      ...inputBiases,
      ...routed,
      ...shared(72),
      "ffn_gate_inp_shexp.weight": [hidden],
    },
    keys: { ...expertCounts, expert_shared_feed_forward_length: 72 },
    untied: true,
  },
  "gpt-oss": {
    layer: {
      ...preNorms,
      ...projections,
      ...inputBiases,
      ...routed,
      "attn_output.bias": [hidden],
      "attn_sinks.weight": [4],
      "ffn_gate_inp.bias": [experts],
      "ffn_gate_exps.bias": [width, experts],
      "ffn_up_exps.bias": [width, experts],
      "ffn_down_exps.bias": [hidden, experts],
    },
    keys: { ...expertCounts, "attention.sliding_window": 16 },
    untied: true,
  },
  glm4moe: {
    layer: (index) => ({
      "attn_norm.weight": [hidden],
      "post_attention_norm.weight": [hidden],
      ...projections,
      ...inputBiases,
      ...headNorms,
      ...(index === 0 ? gated : { ...routed, ...shared(width), "exp_probs_b.bias": [experts] }),
    }),
    keys: { ...expertCounts, expert_shared_count: 1, leading_dense_block_count: 1 },
    untied: true,
  },
  deepseek2: {
    layer: (index) => ({
      ...preNorms,
      "attn_q_a.weight": [hidden, 24],
      "attn_q_a_norm.weight": [24],
      "attn_q_b.weight": [24, 4 * 20],
      "attn_kv_a_mqa.weight": [hidden, 16 + 8],
      "attn_kv_a_norm.weight": [16],
      "attn_k_b.weight": [12, 16, 4],
      "attn_v_b.weight": [16, 10, 4],
      "attn_output.weight": [40, hidden],
      ...(index === 0 ? gated : { ...routed, ...shared(2 * width), "exp_probs_b.bias": [experts] }),
    }),
    keys: {
      ...expertCounts,
      expert_shared_count: 2,
      leading_dense_block_count: 1,
      "attention.head_count_kv": 1,
      "attention.q_lora_rank": 24,
      "attention.kv_lora_rank": 16,
      "attention.key_length": 24,
      "attention.value_length": 16,
      "attention.key_length_mla": 20,
      "attention.value_length_mla": 10,
      "rope.dimension_count": 8,
    },
    untied: true,
  },
  baichuan: { layer: llama, untied: true },
  internlm2: { layer: llama, untied: true },
  xverse: { layer: llama, untied: true },
  minicpm: { layer: llama },
  granite: { layer: llama },
  ernie4_5: { layer: llama },
  "hunyuan-dense": { layer: { ...llama, ...headNorms } },
  exaone4: { layer: { ...projections, ...gated, ...postNorms, ...headNorms } },
  granitemoe: {
    layer: { ...preNorms, ...projections, ...routed, ...shared(40) },
    keys: { ...expertCounts, feed_forward_length: width, expert_shared_feed_forward_length: 40 },
  },
  glm4: {
    layer: {
      ...preNorms,
      ...projections,
      ...inputBiases,
      ...postNorms,
      "ffn_up.weight": [hidden, 2 * ffn],
      "ffn_down.weight": [ffn, hidden],
    },
    untied: true,
  },
  "minimax-m2": {
    layer: {
      ...preNorms,
      ...projections,
      ...routed,
      "attn_q_norm.weight": [queries],
      "attn_k_norm.weight": [keys],
      "exp_probs_b.bias": [experts],
    },
    keys: expertCounts,
    untied: true,
  },
  dots1: {
    layer: (index) => ({
      ...preNorms,
      ...projections,
      ...headNorms,
      ...(index === 0 ? gated : { ...routed, ...shared(2 * width), "exp_probs_b.bias": [experts] }),
    }),
    keys: { ...expertCounts, expert_shared_count: 2, leading_dense_block_count: 1 },
    untied: true,
  },
  "hunyuan-moe": {
    layer: { ...preNorms, ...projections, ...headNorms, ...routed, ...shared(40) },
    keys: { ...expertCounts, expert_shared_feed_forward_length: 40 },
  },
  "ernie4_5-moe": {
    layer: (index) => ({
      ...preNorms,
      ...projections,
      ...(index === 0 ? gated : { ...routed, ...shared(2 * width), "exp_probs_b.bias": [experts] }),
    }),
    keys: {
      ...expertCounts,
      expert_shared_count: 2,
      leading_dense_block_count: 1,
      interleave_moe_layer_step: 1,
    },
  },
  minicpm3: { layer: { ...preNorms, ...latentTensors, ...gated }, keys: latentKeys },
  deepseek: {
    layer: (index) => ({
      ...preNorms,
      ...projections,
      ...(index === 0 ? gated : { ...routed, ...shared(2 * width) }),
    }),
    keys: { ...expertCounts, expert_shared_count: 2, leading_dense_block_count: 1 },
    untied: true,
  },
  gpt2: {
    layer: withBias({ ...preNorms, ...fusedWide, ...plain }),
    keys: { "attention.head_count_kv": 4, "attention.layer_norm_epsilon": 0.5 },
    beside: { "output_norm.bias": [hidden], "position_embd.weight": [hidden, 4096] },
  },
  starcoder: {
    layer: withBias({ ...preNorms, ...plain, ...fusedWide, "attn_qkv.weight": [hidden, queries + 32] }),
    keys: { "attention.head_count_kv": 1, "attention.layer_norm_epsilon": 0.5 },
    beside: { "output_norm.bias": [hidden], "position_embd.weight": [hidden, 4096] },
  },
  gptneox: {
    layer: withBias({ ...preNorms, ...fusedWide, ...plain }),
    keys: { "attention.head_count_kv": 4, "attention.layer_norm_epsilon": 0.5, use_parallel_residual: true },
    beside: { "output_norm.bias": [hidden] },
    untied: true,
  },
  bloom: {
    layer: withBias({ ...preNorms, ...fusedWide, "ffn_up.weight": [hidden, 256], "ffn_down.weight": [256, hidden] }),
    keys: { "attention.head_count_kv": 4, "attention.layer_norm_epsilon": 0.5, feed_forward_length: 256 },
    beside: { "output_norm.bias": [hidden], "token_embd_norm.weight": [hidden], "token_embd_norm.bias": [hidden] },
  },
  mpt: {
    layer: { ...preNorms, ...fusedWide, "ffn_up.weight": [hidden, 256], "ffn_down.weight": [256, hidden] },
    keys: { "attention.head_count_kv": 4, "attention.layer_norm_epsilon": 0.5, feed_forward_length: 256 },
  },
  falcon: {
    layer: {
      ...withBias({ "attn_norm.weight": [hidden], "attn_norm_2.weight": [hidden] }),
      ...fused,
      "ffn_up.weight": [hidden, 256],
      "ffn_down.weight": [256, hidden],
    },
    keys: { "attention.layer_norm_epsilon": 0.5, feed_forward_length: 256 },
    beside: { "output_norm.bias": [hidden] },
  },
  phi2: {
    layer: withBias({ "attn_norm.weight": [hidden], ...projections, ...plain }),
    keys: { "attention.layer_norm_epsilon": 0.5 },
    beside: { "output_norm.bias": [hidden], "output.bias": [vocabulary] },
    untied: true,
  },
  olmo: { layer: { ...projections, ...gated }, outside: { "token_embd.weight": [hidden, vocabulary] } },
  nemotron: {
    layer: { ...withBias(preNorms), ...projections, ...plain },
    keys: { "attention.layer_norm_epsilon": 0.5 },
    beside: { "output_norm.bias": [hidden] },
    untied: true,
  },
  stablelm: {
    layer: { ...withBias(preNorms), ...projections, ...gated },
    keys: { "attention.layer_norm_epsilon": 0.5 },
    beside: { "output_norm.bias": [hidden] },
    untied: true,
  },
  starcoder2: {
    layer: withBias({ ...preNorms, ...projections, ...plain }),
    keys: { "attention.layer_norm_epsilon": 0.5 },
    beside: { "output_norm.bias": [hidden] },
  },
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

/** Types whose blocks hold one element, so that any shape will do. */
const types = [0, 1, 30, 24];

function headerOf(arch: string, example: Case): Uint8Array {
  const { layer, keys: more = {}, untied, outside, beside = {} } = example;
  const entries = Object.entries(more).flatMap(([key, value]): [string, GgufValue][] =>
    Array.isArray(value) && value.length === 0 ? [] : [[`${arch}.${key}`, value]],
  );
  const shapes: [string, readonly number[]][] = Object.entries({
    ...(outside ?? { "token_embd.weight": [hidden, vocabulary], "output_norm.weight": [hidden] }),
    ...beside,
    ...(untied === true ? { "output.weight": [hidden, vocabulary] } : {}),
  });
  for (let index = 0; index < layers; index += 1) {
    for (const [name, shape] of Object.entries(typeof layer === "function" ? layer(index) : layer)) {
      const [, half = ""] = /^(enc|dec)\./.exec(name) ?? [];
      shapes.push([half === "" ? `blk.${index}.${name}` : name.replace(`${half}.`, `${half}.blk.${index}.`), shape]);
    }
  }
  const tensors = shapes.map(([name, shape], index): GgufTensorContent => {
    const matrix = shape.filter((size) => size > 1).length > 1 && name.endsWith("weight") && !name.includes("norm");
    return { name, shape, type: matrix ? (types[index % types.length] ?? 0) : 0 };
  });
  return ggufHeader({ metadata: { ...decoderMetadata(arch, sizes), ...Object.fromEntries(entries) }, tensors });
}

describe("the description has exactly the parameters of the tensors", () => {
  test("for every architecture that is known", () => {
    expect(Object.keys(cases).sort()).toEqual(knownArchitectures());
  });

  test.each(Object.entries(cases))("%s", async (arch, example) => {
    const model = await readGguf(sparseSource(headerOf(arch, example), 1e9), "m");
    const { parameters, notes, unrun } = describeModel(model);
    expect(model.modelType).toBe(arch);
    const { beyond = 0 } = example;
    expect(parameters.total + beyond).toBe(model.stored?.parameters);
    expect(notes.some((note) => note.includes("than the description"))).toBe(beyond > 0);
    if (beyond > 0) return;
    if (example.meanBits === true || unrun.prediction + unrun.buffers > 0) return;
    expect(weightBytes(buildGraph(model)) / (model.stored?.bytes ?? 0)).toBeCloseTo(1, 12);
  });

  test("llama with experts, which is Mixtral", async () => {
    const layer = { ...preNorms, ...projections, ...routed };
    const counts = { expert_count: experts, expert_used_count: 2, feed_forward_length: width };
    const model = await readGguf(sparseSource(headerOf("llama", { layer, keys: counts, untied: true }), 1e9), "m");
    expect(model.stacks[0]?.layers[0]?.ffns[0]).toMatchObject({ kind: "moe", experts: 8, chosen: 2, width: 48 });
    expect(describeModel(model).parameters.total).toBe(model.stored?.parameters);
  });
});
