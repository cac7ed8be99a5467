import type { GgufValue } from "./gguf.js";

/** Headers of all GGUF architectures in small: names and shapes of tensors as llama.cpp writes them. */

export const sizes = { layers: 4, hidden: 64, heads: 4, kvHeads: 2, headDim: 16, ffn: 96, vocabulary: 320 };
export const { layers, hidden, ffn, vocabulary } = sizes;
export const [queries, keys, experts, width] = [64, 32, 8, 48];

export type Shapes = Readonly<Record<string, readonly number[]>>;

export const projections: Shapes = {
  "attn_q.weight": [hidden, queries],
  "attn_k.weight": [hidden, keys],
  "attn_v.weight": [hidden, keys],
  "attn_output.weight": [queries, hidden],
};
export const preNorms: Shapes = { "attn_norm.weight": [hidden], "ffn_norm.weight": [hidden] };
export const postNorms: Shapes = { "post_attention_norm.weight": [hidden], "post_ffw_norm.weight": [hidden] };
export const headNorms: Shapes = { "attn_q_norm.weight": [16], "attn_k_norm.weight": [16] };
export const inputBiases: Shapes = { "attn_q.bias": [queries], "attn_k.bias": [keys], "attn_v.bias": [keys] };
export const plain: Shapes = { "ffn_up.weight": [hidden, ffn], "ffn_down.weight": [ffn, hidden] };
export const gated: Shapes = { ...plain, "ffn_gate.weight": [hidden, ffn] };
export const routed: Shapes = {
  "ffn_gate_inp.weight": [hidden, experts],
  "ffn_gate_exps.weight": [hidden, width, experts],
  "ffn_up_exps.weight": [hidden, width, experts],
  "ffn_down_exps.weight": [width, hidden, experts],
};
export const shared = (wide: number): Shapes => ({
  "ffn_gate_shexp.weight": [hidden, wide],
  "ffn_up_shexp.weight": [hidden, wide],
  "ffn_down_shexp.weight": [wide, hidden],
});
export const expertCounts = { expert_count: experts, expert_used_count: 2, expert_feed_forward_length: width };
export const llama: Shapes = { ...preNorms, ...projections, ...gated };

export interface Case {
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

export const withBias = (shapes: Shapes): Shapes => ({
  ...shapes,
  ...Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name.replace(/weight$/, "bias"), shape.slice(-1)]),
  ),
});
export const fused: Shapes = {
  "attn_qkv.weight": [hidden, queries + 2 * keys],
  "attn_output.weight": [queries, hidden],
};
export const fusedWide: Shapes = { "attn_qkv.weight": [hidden, 3 * queries], "attn_output.weight": [queries, hidden] };
const wideProjections: Shapes = {
  "attn_q.weight": [hidden, queries],
  "attn_k.weight": [hidden, queries],
  "attn_v.weight": [hidden, queries],
  "attn_output.weight": [queries, hidden],
};
export const ssm = { "ssm.conv_kernel": 4, "ssm.inner_size": 128, "ssm.state_size": 16 };
/** Mamba 2 with 8 heads of 16 and 2 groups. */
export const ssm2 = { ...ssm, "ssm.time_step_rank": 8, "ssm.group_count": 2 };
export const mamba1: Shapes = {
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
export const mamba2: Shapes = {
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
export const delta: Shapes = {
  "attn_qkv.weight": [hidden, 2 * 64 + 128],
  "attn_gate.weight": [hidden, 128],
  "ssm_conv1d.weight": [4, 2 * 64 + 128],
  "ssm_dt.bias": [8],
  ssm_a: [8],
  "ssm_norm.weight": [16],
  "ssm_out.weight": [128, hidden],
};
export const deltaKeys = { ...ssm, "ssm.time_step_rank": 8, "ssm.group_count": 4, full_attention_interval: 2 };
export const qwenAttention: Shapes = { ...projections, ...headNorms, "attn_q.weight": [hidden, 2 * queries] };
export const qwenNorms: Shapes = { "attn_norm.weight": [hidden], "post_attention_norm.weight": [hidden] };
export const shortConv: Shapes = {
  "shortconv.conv.weight": [3, hidden],
  "shortconv.in_proj.weight": [hidden, 3 * hidden],
  "shortconv.out_proj.weight": [hidden, hidden],
};
export const latentTensors: Shapes = {
  "attn_q_a.weight": [hidden, 24],
  "attn_q_a_norm.weight": [24],
  "attn_q_b.weight": [24, 4 * 20],
  "attn_kv_a_mqa.weight": [hidden, 16 + 8],
  "attn_kv_a_norm.weight": [16],
  "attn_k_b.weight": [12, 16, 4],
  "attn_v_b.weight": [16, 10, 4],
  "attn_output.weight": [40, hidden],
};
export const latentKeys = {
  "attention.head_count_kv": 1,
  "attention.q_lora_rank": 24,
  "attention.kv_lora_rank": 16,
  "attention.key_length": 24,
  "attention.value_length": 16,
  "attention.key_length_mla": 20,
  "attention.value_length_mla": 10,
  "rope.dimension_count": 8,
};
export const indexerTensors: Shapes = {
  "indexer.k_norm.weight": [6],
  "indexer.k_norm.bias": [6],
  "indexer.proj.weight": [hidden, 3],
  "indexer.attn_k.weight": [hidden, 6],
  "indexer.attn_q_b.weight": [24, 18],
};
export const indexerKeys = {
  "attention.indexer.head_count": 3,
  "attention.indexer.key_length": 6,
  "attention.indexer.top_k": 5,
};
export const alternating = [0, 2, 0, 2];
export const perLayerTensors: Shapes = {
  "inp_gate.weight": [hidden, 8],
  "proj.weight": [8, hidden],
  "post_norm.weight": [hidden],
};
export const perLayerOutside: Shapes = {
  "per_layer_token_embd.weight": [8 * layers, 300],
  "per_layer_model_proj.weight": [hidden, 8 * layers],
  "per_layer_proj_norm.weight": [8],
};
export const bertLayer: Shapes = withBias({
  ...wideProjections,
  ...plain,
  "attn_output_norm.weight": [hidden],
  "layer_output_norm.weight": [hidden],
});
export const t5Attention = (prefix: string): Shapes => ({
  [`${prefix}_norm.weight`]: [hidden],
  [`${prefix}_q.weight`]: [hidden, queries],
  [`${prefix}_k.weight`]: [hidden, queries],
  [`${prefix}_v.weight`]: [hidden, queries],
  [`${prefix}_o.weight`]: [queries, hidden],
});
export const t5Network: Shapes = { "ffn_norm.weight": [hidden], ...gated };
export const firstOnly = (index: number, shapes: Shapes): Shapes => (index === 0 ? shapes : {});
