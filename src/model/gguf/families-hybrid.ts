import type { GgufMetadata } from "./metadata.js";
import { type Family, type Translation, deepseekExperts, experts, latent, numbers, tensorFact } from "./translate.js";

/** State-space decoders, and those that mix recurrences with attention. */

const keysPerLayer = ["attention.head_count_kv", "attention.head_count", "feed_forward_length"] as const;

/** Layers of a model that does without attention in some: those whose number of key-value heads is 0. */
function attends(metadata: GgufMetadata): boolean[] {
  return metadata.list("attention.head_count_kv").map((heads) => heads > 0);
}

/** The number that layers share which have one at all; other layers say 0. */
function shared(metadata: GgufMetadata, name: string, key: string): Translation {
  const numbersOfLayers = new Set(metadata.list(key).filter((value) => value > 0));
  const [value] = numbersOfLayers;
  if (numbersOfLayers.size > 1) throw unlike(metadata, key);
  return value === undefined ? {} : { [name]: { value, key: metadata.fullKey(key) } };
}

function unlike(metadata: GgufMetadata, key: string): Error {
  const found = metadata.list(key).slice(0, 20).join(", ");
  return metadata.bad(
    metadata.fullKey(key),
    found,
    `layers that differ here are not understood for ${metadata.architecture}`,
  );
}

const attentionOf = (metadata: GgufMetadata): Translation => ({
  ...shared(metadata, "num_key_value_heads", "attention.head_count_kv"),
  ...shared(metadata, "num_attention_heads", "attention.head_count"),
  ...shared(metadata, "intermediate_size", "feed_forward_length"),
});

/** `layer_types`, or what a family calls it, from a rule per layer. */
function kinds(
  metadata: GgufMetadata,
  name: string,
  kindOf: (layer: number, attention: boolean) => string,
): Translation {
  const key = "attention.head_count_kv";
  const value = attends(metadata).map((attention, layer) => kindOf(layer, attention));
  return { [name]: { value, key: metadata.fullKey(key) } };
}

/** Mamba 2 under the names of a family: heads, their width, groups, state, convolution. */
function mamba2(
  metadata: GgufMetadata,
  names: readonly [heads: string, headDim: string, groups: string, state: string, convolution: string],
): Translation {
  const [heads, headDim, groups, state, convolution] = names;
  return {
    ...numbers(metadata, {
      [heads]: "ssm.time_step_rank",
      [groups]: "ssm.group_count",
      [state]: "ssm.state_size",
      [convolution]: "ssm.conv_kernel",
    }),
    [headDim]: {
      value: metadata.required("ssm.inner_size") / metadata.required("ssm.time_step_rank"),
      key: metadata.fullKey("ssm.inner_size"),
    },
  };
}

const bambaNames = ["mamba_n_heads", "mamba_d_head", "mamba_n_groups", "mamba_d_state", "mamba_d_conv"] as const;
const plainNames = ["num_heads", "head_dim", "n_groups", "state_size", "conv_kernel"] as const;
const nemotronNames = ["mamba_num_heads", "mamba_head_dim", "n_groups", "ssm_state_size", "conv_kernel"] as const;

/** Gated DeltaNet: groups are key heads, the time step's rank is the number of value heads. */
function delta(metadata: GgufMetadata): Translation {
  const valueHeads = metadata.required("ssm.time_step_rank");
  return {
    ...numbers(metadata, {
      linear_num_key_heads: "ssm.group_count",
      linear_num_value_heads: "ssm.time_step_rank",
      linear_key_head_dim: "ssm.state_size",
      linear_conv_kernel_dim: "ssm.conv_kernel",
      full_attention_interval: "full_attention_interval",
      shared_expert_intermediate_size: "expert_shared_feed_forward_length",
      ...experts,
    }),
    linear_value_head_dim: {
      value: metadata.required("ssm.inner_size") / valueHeads,
      key: metadata.fullKey("ssm.inner_size"),
    },
  };
}

/** Jamba's config knows periods, not lists: the layers must lie evenly. */
function period(
  metadata: GgufMetadata,
  layers: readonly number[],
  names: readonly [period: string, offset: string],
  key: string,
): Translation {
  const [first = 0, second] = layers;
  const every = second === undefined ? metadata.required("block_count") : second - first;
  if (layers.some((layer, index) => layer !== first + index * every))
    throw metadata.bad(key, layers.join(", "), "layers at unequal distances are not understood");
  return { [names[0]]: { value: every, key }, [names[1]]: { value: first, key } };
}

function jamba(metadata: GgufMetadata): Translation {
  const at = (is: (layer: number) => boolean): number[] =>
    attends(metadata).flatMap((_, layer) => (is(layer) ? [layer] : []));
  const attention = attends(metadata);
  const router = "ffn_gate_inp.weight";
  const sparse = at((layer) => metadata.has(`blk.${layer}.${router}`));
  return {
    ...attentionOf(metadata),
    ...period(
      metadata,
      at((layer) => attention[layer] === true),
      ["attn_layer_period", "attn_layer_offset"],
      metadata.fullKey("attention.head_count_kv"),
    ),
    ...(sparse.length === 0 ? {} : period(metadata, sparse, ["expert_layer_period", "expert_layer_offset"], router)),
    ...numbers(metadata, {
      num_experts_per_tok: "expert_used_count",
      mamba_d_state: "ssm.state_size",
      mamba_d_conv: "ssm.conv_kernel",
      mamba_dt_rank: "ssm.time_step_rank",
    }),
    num_experts: {
      value: sparse.length === 0 ? 1 : metadata.required("expert_count"),
      key: metadata.fullKey("expert_count"),
    },
    mamba_expand: {
      value: metadata.required("ssm.inner_size") / metadata.required("embedding_length"),
      key: metadata.fullKey("ssm.inner_size"),
    },
    mamba_proj_bias: tensorFact(false, "blk.0.ssm_in.bias"),
    mamba_conv_bias: tensorFact(true, "blk.0.ssm_conv1d.bias"),
  };
}

/** Nemotron-H: a layer is attention, a network, experts, or Mamba 2 where it has neither heads nor a network. */
function nemotron(metadata: GgufMetadata): Translation {
  const widths = metadata.list("feed_forward_length");
  return {
    ...attentionOf(metadata),
    ...mamba2(metadata, nemotronNames),
    ...numbers(metadata, {
      ...deepseekExperts,
      moe_latent_size: "moe_latent_size",
      moe_shared_expert_intermediate_size: "expert_shared_feed_forward_length",
      layer_norm_epsilon: "attention.layer_norm_rms_epsilon",
    }),
    ...kinds(metadata, "layers_block_type", (layer, attention) => {
      if (attention) return "attention";
      if (metadata.has(`blk.${layer}.ffn_gate_inp.weight`)) return "moe";
      return (widths[layer] ?? 0) > 0 ? "mlp" : "mamba";
    }),
  };
}

function shortConvolution(metadata: GgufMetadata): Translation {
  return {
    ...attentionOf(metadata),
    ...kinds(metadata, "layer_types", (_, attention) => (attention ? "full_attention" : "conv")),
    ...numbers(metadata, { conv_L_cache: "shortconv.l_cache", norm_eps: "attention.layer_norm_rms_epsilon" }),
    conv_bias: tensorFact(metadata.has("blk.0.shortconv.conv.bias"), "blk.0.shortconv.conv.bias"),
  };
}

function kimi(metadata: GgufMetadata): Translation {
  const dim = metadata.required("kda.head_dim");
  return {
    ...latent(metadata),
    ...shared(metadata, "linear_num_heads", "attention.head_count"),
    linear_head_dim: { value: dim, key: metadata.fullKey("kda.head_dim") },
    ...numbers(metadata, {
      linear_conv_kernel_dim: "ssm.conv_kernel",
      first_k_dense_replace: "leading_dense_block_count",
    }),
    ...kinds(metadata, "layer_types", (_, attention) => (attention ? "full_attention" : "linear_attention")),
  };
}

const mambaNames = {
  intermediate_size: "ssm.inner_size",
  state_size: "ssm.state_size",
  conv_kernel: "ssm.conv_kernel",
  time_step_rank: "ssm.time_step_rank",
  layer_norm_epsilon: "attention.layer_norm_rms_epsilon",
};

const mambaBiases: Translation = {
  use_bias: tensorFact(false, "blk.0.ssm_in.bias"),
  use_conv_bias: tensorFact(true, "blk.0.ssm_conv1d.bias"),
};

export const hybridFamilies: Readonly<Record<string, Family>> = {
  mamba: {
    modelType: (metadata) => (metadata.flag("ssm.dt_b_c_rms") ? "falcon_mamba" : "mamba"),
    more: (metadata) => ({ ...numbers(metadata, mambaNames), ...mambaBiases }),
    perLayer: keysPerLayer,
  },
  mamba2: {
    modelType: "mamba2",
    more: (metadata) => ({
      ...mamba2(metadata, plainNames),
      ...numbers(metadata, { layer_norm_epsilon: "attention.layer_norm_rms_epsilon" }),
      ...mambaBiases,
    }),
    perLayer: keysPerLayer,
  },
  qwen3next: { modelType: "qwen3_next", more: delta },
  qwen35: { modelType: "qwen3_5_text", more: delta },
  qwen35moe: { modelType: "qwen3_5_moe_text", more: delta },
  lfm2: {
    modelType: "lfm2",
    more: (metadata) => ({
      ...shortConvolution(metadata),
      block_auto_adjust_ff_dim: { value: false, key: metadata.fullKey("feed_forward_length") },
    }),
    perLayer: keysPerLayer,
  },
  lfm2moe: {
    modelType: "lfm2_moe",
    more: (metadata) => ({
      ...shortConvolution(metadata),
      ...numbers(metadata, { ...experts, num_dense_layers: "leading_dense_block_count" }),
      use_expert_bias: tensorFact(
        metadata.header.tensors.some(({ name }) => name.endsWith("exp_probs_b.bias")),
        "exp_probs_b.bias",
      ),
    }),
    perLayer: keysPerLayer,
  },
  "falcon-h1": {
    modelType: "falcon_h1",
    more: (metadata) => ({
      ...mamba2(metadata, bambaNames),
      ...numbers(metadata, { mamba_d_ssm: "ssm.inner_size" }),
      mamba_rms_norm: tensorFact(metadata.has("blk.0.ssm_norm.weight"), "blk.0.ssm_norm.weight"),
      mamba_conv_bias: tensorFact(metadata.has("blk.0.ssm_conv1d.bias"), "blk.0.ssm_conv1d.bias"),
    }),
  },
  jamba: { modelType: "jamba", more: jamba, perLayer: keysPerLayer },
  granitehybrid: {
    modelType: "granitemoehybrid",
    more: (metadata) => {
      const wide = metadata.number("expert_shared_feed_forward_length");
      const key = wide === null ? "feed_forward_length" : "expert_shared_feed_forward_length";
      return {
        ...attentionOf(metadata),
        ...mamba2(metadata, bambaNames),
        ...kinds(metadata, "layer_types", (_, attention) => (attention ? "attention" : "mamba")),
        ...numbers(metadata, { num_experts_per_tok: "expert_used_count" }),
        num_local_experts: { value: metadata.number("expert_count") ?? 0, key: metadata.fullKey("expert_count") },
        shared_intermediate_size: {
          value: wide ?? Math.max(0, ...metadata.list("feed_forward_length")),
          key: metadata.fullKey(key),
        },
        mamba_proj_bias: tensorFact(false, "blk.0.ssm_in.bias"),
        mamba_conv_bias: tensorFact(true, "blk.0.ssm_conv1d.bias"),
      };
    },
    perLayer: keysPerLayer,
  },
  nemotron_h: { modelType: "nemotron_h", more: nemotron, perLayer: keysPerLayer },
  nemotron_h_moe: { modelType: "nemotron_h", more: nemotron, perLayer: keysPerLayer },
  "kimi-linear": { modelType: "kimi_linear", more: kimi, perLayer: keysPerLayer },
};
