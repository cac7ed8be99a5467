import type { ExtraWeight } from "../types.js";
import { flag, integer, listOf, oneOf, size, sizeOrZero } from "./checks.js";
import { shareEqual } from "./decoder.js";
import { biasOf, noBias } from "./parts.js";
import type { ConfigReader } from "./config-reader.js";
import { linear, norm2, weight } from "./beside.js";
import {
  type TowerSizes,
  type VisionReader,
  gatedMerger,
  layerNormed,
  patchArea,
  patchesOf,
  rmsNormed,
  tower,
  towerSizes,
} from "./vision-tower.js";

/** Qwen2-VL: layer norms, a plain network, a merger of four patches. */
const qwen2: VisionReader = (config, textHidden) => {
  const hidden = config.derived("embed_dim", size, "class default of qwen2_vl", () => 1280);
  const merged = hidden * config.derived("spatial_merge_size", size, "class default", () => 2) ** 2;
  const out = config.derived("hidden_size", size, "hidden_size of the text", () => textHidden);
  config.ignore("spatial_patch_size");
  return tower({
    hidden,
    count: config.derived("depth", size, "class default of qwen2_vl", () => 32),
    heads: config.derived("num_heads", size, "class default of qwen2_vl", () => 16),
    width: hidden * config.derived("mlp_ratio", size, "class default of qwen2_vl", () => 4),
    linears: [linear("merge_in", merged, merged), linear("merge_out", merged, out)],
    weights: [weight("patches", hidden, patchArea(config, true)), norm2("merge_norm", hidden)],
  });
};

/** Qwen2.5-VL: RMS norms, gated network, windows in most layers. */
const qwen25: VisionReader = (config, textHidden) => {
  const hidden = config.derived("hidden_size", size, "class default of qwen2_5_vl", () => 1280);
  const merged = hidden * config.derived("spatial_merge_size", size, "class default", () => 2) ** 2;
  const out = config.derived("out_hidden_size", size, "hidden_size of the text", () => textHidden);
  config.ignore("window_size", "fullatt_block_indexes", "spatial_patch_size", "tokens_per_second", "hidden_act");
  return tower({
    hidden,
    count: config.derived("depth", size, "class default of qwen2_5_vl", () => 32),
    heads: config.derived("num_heads", size, "class default of qwen2_5_vl", () => 16),
    width: config.derived("intermediate_size", size, "class default of qwen2_5_vl", () => 3420),
    norm: rmsNormed,
    ffn: { gated: true, activation: "silu" },
    linears: [linear("merge_in", merged, merged), linear("merge_out", merged, out)],
    weights: [weight("patches", hidden, patchArea(config, true)), weight("merge_norm", hidden)],
  });
};

/** Qwen3-VL and Qwen3.5: learned positions, and a merger for each deepstack layer. */
const qwen3: VisionReader = (config, textHidden) => {
  const hidden = config.derived("hidden_size", size, "class default of qwen3_vl", () => 1152);
  const merged = hidden * config.derived("spatial_merge_size", size, "class default", () => 2) ** 2;
  const deep = config.optional("deepstack_visual_indexes", listOf(integer)) ?? [];
  const out = config.derived("out_hidden_size", size, "hidden_size of the text", () => textHidden);
  config.ignore("hidden_act");
  return tower({
    hidden,
    count: config.derived("depth", size, "class default of qwen3_vl", () => 27),
    heads: config.derived("num_heads", size, "class default of qwen3_vl", () => 16),
    width: config.derived("intermediate_size", size, "class default of qwen3_vl", () => 4304),
    linears: [
      linear("merge_in", merged, merged),
      linear("merge_out", merged, out),
      ...deep.flatMap((layer) => [linear(`deep${layer}_in`, merged, merged), linear(`deep${layer}_out`, merged, out)]),
    ],
    weights: [
      weight("patches", hidden, patchArea(config, true)),
      weight("patch_bias", hidden),
      weight(
        "positions",
        config.derived("num_position_embeddings", size, "class default", () => 2304),
        hidden,
      ),
      norm2("merge_norm", hidden),
      ...deep.map((layer) => norm2(`deep${layer}_norm`, merged)),
    ],
  });
};

/** Keys that CLIP's and SigLIP's configs share. */
function clipSizes(config: ConfigReader, defaults: TowerSizes): TowerSizes {
  config.ignore("projection_dim", "vocab_size", "hidden_act", "layer_norm_eps", "vision_use_head", "num_channels");
  return towerSizes(config, "class default of the vision tower", defaults);
}

/** Gemma 4: norms around each branch, two tables of positions, gated networks. */
const gemma4: VisionReader = (config, textHidden) => {
  const sizes = clipSizes(config, { hidden: 768, count: 16, heads: 12, width: 3072 });
  const { hidden } = sizes;
  config.ignoreRest();
  const patch = config.derived("patch_size", size, "class default", () => 16);
  const positions = config.derived("position_embedding_size", size, "class default", () => 10_240);
  return tower({
    ...sizes,
    norm: rmsNormed,
    attention: { bias: noBias, queryKeyNorm: "per-head" },
    ffn: { gated: true, bias: false },
    layer: { normPlacement: "sandwich" },
    linears: [linear("project", hidden, textHidden, false)],
    weights: [weight("patches", hidden, 3 * patch * patch), weight("positions", 2, positions, hidden)],
  });
};

/** Llama 4: class token, learned positions, pixel shuffle and an adapter. */
const llama4: VisionReader = (config, textHidden) => {
  const sizes = clipSizes(config, { hidden: 768, count: 34, heads: 16, width: 5632 });
  const { hidden, width } = sizes;
  config.ignoreRest();
  const projected = config.derived("projector_output_dim", size, "class default of llama4", () => 4096);
  const inner = config.derived("projector_input_dim", size, "class default of llama4", () => 4096);
  const out = config.derived("vision_output_dim", size, "class default of llama4", () => 7680);
  return tower({
    ...sizes,
    finalNorm: layerNormed,
    linears: [
      linear("adapter_in", width, inner, false),
      linear("adapter_out", inner, projected, false),
      linear("project", out, textHidden, false),
    ],
    weights: [
      weight("class_token", hidden),
      weight("patches", hidden, patchArea(config, false)),
      weight("positions", patchesOf(config, 448) + 1, hidden),
      norm2("pre_norm", hidden),
    ],
  });
};

/** Kimi K2.5 and K3: MoonViT and a patch merger, in K3 with RMS norms, heads wider than their share, no biases. */
const moonVit: VisionReader = (config, textHidden) => {
  const from = "class default of kimi_k25";
  const hidden = config.derived(["vt_hidden_size", "hidden_size"], size, from, () => 1152);
  const heads = config.derived(["vt_num_attention_heads", "num_attention_heads"], size, from, () => 16);
  const biased = (key: string): boolean => config.peek(key, flag) ?? true;
  const inner = config.peek("qkv_hidden_size", size) ?? hidden;
  if (inner % heads !== 0) throw config.bad("qkv_hidden_size", inner, `expected a multiple of the heads (${heads})`);
  const headDim = inner / heads;
  const normed = config.peek("norm_type", oneOf(["layernorm", "rmsnorm"])) === "rmsnorm" ? rmsNormed : layerNormed;
  const merger = config.peek("mm_projector_type", oneOf(["patchmerger", "patchmergerv2"])) ?? "patchmerger";
  const first = merger === "patchmerger";
  const positions = (side: string): number => config.derived(`init_pos_emb_${side}`, size, from, () => 64);
  const merged = 4 * hidden;
  const result = tower({
    hidden,
    count: config.derived(["vt_num_hidden_layers", "num_hidden_layers"], size, from, () => 27),
    heads,
    width: config.derived(["vt_intermediate_size", "intermediate_size"], size, from, () => 4304),
    norm: normed,
    attention: { keyDim: headDim, valueDim: headDim, bias: biasOf(biased("attn_bias")) },
    ffn: { bias: biased("linear_bias") },
    finalNorm: normed,
    linears: [linear("merge_in", merged, merged, first), linear("merge_out", merged, textHidden, first)],
    weights: [
      weight("patches", hidden, patchArea(config, false)),
      ...(biased("patch_embed_proj_bias") ? [weight("patch_bias", hidden)] : []),
      weight("positions", positions("height"), positions("width"), hidden),
      first ? norm2("merge_norm", hidden) : weight("merge_norm", textHidden),
    ],
  });
  config.ignoreRest();
  return result;
};

/** MiniMax M3: CLIP without positions, two projectors. */
const minimax: VisionReader = (config, textHidden, whole) => {
  const sizes = clipSizes(config, { hidden: 1280, count: 32, heads: 16, width: 5120 });
  const { hidden } = sizes;
  const inner = whole.derived("projector_hidden_size", size, "hidden_size of the text", () => textHidden);
  config.ignoreRest();
  return tower({
    ...sizes,
    linears: [
      linear("project_in", hidden, inner),
      linear("project_out", inner, textHidden),
      linear("merge_in", 4 * textHidden, inner),
      linear("merge_out", inner, textHidden),
    ],
    weights: [weight("patches", hidden, 2 * patchArea(config, false)), norm2("pre_norm", hidden)],
  });
};

/** Step 3.7: layer scales, two downsampling convolutions, one projection. */
const step: VisionReader = (config, textHidden, whole) => {
  const sizes = clipSizes(config, { hidden: 1536, count: 47, heads: 16, width: 8960 });
  const { hidden } = sizes;
  config.ignoreRest();
  const down = (name: string, inWidth: number): ExtraWeight[] => [
    weight(name, 2 * inWidth, inWidth, 3, 3),
    weight(`${name}_bias`, 2 * inWidth),
  ];
  const bias = whole.optional("projector_bias", flag) ?? false;
  return tower({
    ...sizes,
    layer: { extras: { weights: [weight("layer_scales", 2, hidden)] } },
    linears: [linear("project", 4 * hidden, textHidden, bias)],
    weights: [
      weight("patches", hidden, patchArea(config, false)),
      weight("positions", patchesOf(config, 728), hidden),
      norm2("pre_norm", hidden),
      ...down("downsample1", hidden),
      ...down("downsample2", 2 * hidden),
    ],
  });
};

/** Muse Glimmer: norms around, windows in most layers, a two-layer adapter. */
const muse: VisionReader = (config, textHidden, whole) => {
  const sizes = clipSizes(config, { hidden: 1536, count: 50, heads: 16, width: 8960 });
  const { hidden } = sizes;
  const rows = config.derived("max_position_embeddings", size, "class default of muse_glimmer", () => 1024);
  const inner = whole.derived("projector_hidden_size", size, "class default of muse_glimmer", () => 4096);
  const merged = whole.derived("out_hidden_size", size, "class default of muse_glimmer", () => 6144);
  config.ignoreRest();
  return tower({
    ...sizes,
    finalNorm: layerNormed,
    linears: [
      linear("adapter_in", merged, inner, false),
      linear("adapter_out", inner, inner, false),
      linear("project", inner, textHidden, false),
    ],
    weights: [
      weight("patches", hidden, 2 * patchArea(config, false)),
      weight("positions", rows, hidden),
      norm2("pre_norm", hidden),
    ],
  });
};

/** GLM-5-Next: gated networks, norms of queries and keys, a downsampling convolution and a gated merger. */
const glm5: VisionReader = (config) => {
  const from = "class default of glm5_next";
  const hidden = config.derived("hidden_size", size, from, () => 1024);
  const heads = config.derived("num_heads", size, from, () => 16);
  const out = config.derived("out_hidden_size", size, from, () => 1536);
  const inner = config.derived("projection_intermediate_size", size, from, () => 10_240);
  const merge = config.derived("spatial_merge_size", size, from, () => 2);
  const result = tower({
    hidden,
    heads,
    count: config.derived("depth", size, from, () => 24),
    width: config.derived("intermediate_size", size, from, () => 4096),
    norm: rmsNormed,
    attention: { queryKeyNorm: "per-head" },
    ffn: { gated: true, activation: "silu" },
    finalNorm: rmsNormed,
    linears: gatedMerger(out, inner),
    weights: [
      weight("patches", hidden, patchArea(config, true)),
      weight("patch_bias", hidden),
      weight("downsample", out, hidden, merge, merge),
      weight("downsample_bias", out),
      norm2("merge_norm", out),
    ],
  });
  config.ignoreRest();
  return result;
};

/** Llama 3.2 Vision: a local and a global transformer, embeddings for tiles and aspect ratios. */
const mllama: VisionReader = (config, textHidden) => {
  const from = "class default of mllama";
  const hidden = config.derived("hidden_size", size, from, () => 1280);
  const heads = config.derived(["attention_heads", "num_attention_heads"], size, from, () => 16);
  const width = config.derived("intermediate_size", size, from, () => 5120);
  const local = config.derived("num_hidden_layers", size, from, () => 32);
  const global = config.derived("num_global_layers", sizeOrZero, from, () => 8);
  const tiles = config.derived("max_num_tiles", size, from, () => 4);
  const ratios = config.raw("supported_aspect_ratios");
  const shapes = (Array.isArray(ratios) ? ratios.length : 8) + 1;
  const places = patchesOf(config, 560) + 1;
  const out = config.derived("vision_output_dim", size, from, () => 7680);
  const result = tower({
    hidden,
    heads,
    width,
    count: local,
    attention: { bias: noBias },
    linears: [linear("project", out, textHidden)],
    weights: [
      weight("class_token", hidden),
      weight("patches", hidden, patchArea(config, false)),
      weight("positions", places, hidden),
      weight("tile_positions", shapes, tiles * places * hidden),
      weight("tiles_before", shapes, tiles * hidden),
      weight("tiles_after", shapes, tiles * hidden),
      weight("gates", 3),
      norm2("pre_norm", hidden),
      norm2("post_norm", hidden),
    ],
  });
  config.ignoreRest();
  const [first] = result.layers;
  const gated =
    first === undefined
      ? []
      : Array.from({ length: global }, () => ({ ...first, extras: { weights: [weight("gates", 2)] } }));
  return { ...result, layers: shareEqual([...result.layers, ...gated]) };
};

export const visionReaders = {
  qwen2,
  qwen25,
  qwen3,
  gemma4,
  llama4,
  moonVit,
  minimax,
  step,
  muse,
  mllama,
  glm5,
} as const;
