import type { ExtraLinear, Stack } from "../types.js";
import { flag, layerCount, real, size } from "./checks.js";
import { linear, norm2, weight } from "./beside.js";
import type { ConfigReader } from "./config-reader.js";
import { classDefaults } from "./defaults/all.js";
import { imageCodes } from "./image-codes.js";
import { biasOf } from "./parts.js";
import {
  type TowerBeside,
  type VisionReader,
  layerNormed,
  ofClass,
  patchArea,
  patchesOf,
  sizesOf,
  tower,
} from "./vision-tower.js";

/** SigLIP's vision model, and what wrappers made of it. */

/** What wrappers of SigLIP take where a file has no vision_config: its shape-optimised model. */
const so400m = {
  hidden_size: 1152,
  num_hidden_layers: 27,
  num_attention_heads: 16,
  intermediate_size: 4304,
  image_size: 224,
  patch_size: 14,
} as const;

/** Class defaults of idefics3_vision and smolvlm_vision. */
const idefics3Vision = {
  hidden_size: 1152,
  num_hidden_layers: 12,
  num_attention_heads: 16,
  intermediate_size: 3072,
  image_size: 224,
  patch_size: 32,
} as const;

/** No class token; its pooling head is there unless `vision_use_head` is false (models/siglip). */
export function siglip(
  config: ConfigReader,
  { pooled, linears, weights = [] }: TowerBeside & { readonly pooled: boolean },
): Stack {
  const sizes = sizesOf(config);
  const { hidden, width } = sizes;
  const head = pooled && config.derived("vision_use_head", flag, "class default", () => true);
  return tower({
    ...sizes,
    finalNorm: layerNormed,
    linears,
    weights: [
      weight("patches", hidden, patchArea(config, false)),
      weight("patch_bias", hidden),
      weight("positions", patchesOf(config, 224), hidden),
      ...(head
        ? [
            weight("probe", hidden),
            weight("probe_attention", 4 * hidden + 4, hidden),
            norm2("probe_norm", hidden),
            weight("probe_ffn", 2 * width * hidden + width + hidden),
          ]
        : []),
      ...weights,
    ],
  });
}

const siglipClass = (config: ConfigReader): ConfigReader =>
  config.defaulting(classDefaults["siglip_vision_model"] ?? {});

const paligemma: VisionReader = (given, textHidden, whole) => {
  const config = ofClass(given, whole, "siglip_vision_model", so400m);
  config.ignore("vision_use_head");
  return siglip(config, { pooled: false, linears: [linear("project", config.size("hidden_size"), textHidden)] });
};

/** SigLIP's own model of two towers: the pooling head is its end (models/siglip). */
const alone: VisionReader = (config) => siglip(siglipClass(config), { pooled: true, linears: [] });

/** Keys of siglip2_vision_model in SigLIP's words: its patches come cut, in any number up to that of the table's places. */
function cutPatches(config: ConfigReader): ConfigReader {
  const patches = config.derived("num_patches", size, "class default of siglip2_vision_model", () => 256);
  const side = Math.round(Math.sqrt(patches));
  if (side * side !== patches) throw config.bad("num_patches", patches, "expected a square");
  const patch = config.derived("patch_size", size, "class default of siglip2_vision_model", () => 16);
  return siglipClass(config.with({ image_size: side * patch, patch_size: patch }));
}

/** models/siglip2: the same over such patches. */
const second: VisionReader = (config) => siglip(cutPatches(config), { pooled: true, linears: [] });

/** LFM2-VL: SigLIP 2, four patches joined, a network of two layers (models/lfm2_vl). */
const lfm2: VisionReader = (given, textHidden, whole) => {
  const config = cutPatches(given);
  const joined = config.size("hidden_size") * whole.derived("downsample_factor", size, "class default", () => 2) ** 2;
  const inner = whole.derived("projector_hidden_size", size, "class default", () => 2560);
  const bias = whole.derived("projector_bias", flag, "class default", () => true);
  const normed = whole.derived("projector_use_layernorm", flag, "class default", () => true);
  return siglip(config, {
    pooled: true,
    linears: [linear("project_in", joined, inner, bias), linear("project_out", inner, textHidden, bias)],
    weights: normed ? [norm2("project_norm", joined)] : [],
  });
};

/** Command A Vision: as Aya Vision, without the norm (models/cohere2_vision). */
const cohere2: VisionReader = (given, textHidden, whole) => {
  const config = ofClass(given, whole, "siglip_vision_model", {
    ...so400m,
    intermediate_size: 3072,
    image_size: 512,
    num_attention_heads: 12,
    patch_size: 16,
  });
  const joined = config.size("hidden_size") * whole.derived("downsample_factor", size, "class default", () => 2) ** 2;
  const inner = whole.derived("alignment_intermediate_size", size, "class default", () => 36_864);
  return siglip(config, {
    pooled: true,
    linears: [linear("project_in", joined, inner), linear("project_out", inner / 2, textHidden)],
  });
};

/** Gemma 3 and T5Gemma 2: SigLIP with its head unless the file says otherwise, patches pooled, one projection. */
const gemma: VisionReader = (given, textHidden) => {
  const config = siglipClass(given);
  const hidden = config.size("hidden_size");
  return siglip(config, {
    pooled: true,
    linears: [linear("project", hidden, textHidden, false)],
    weights: [weight("project_norm", hidden)],
  });
};

/** Idefics3 and SmolVLM: patches next to each other are joined, then one projection (models/idefics3). */
const idefics3: VisionReader = (given, textHidden, whole) => {
  const config = given.defaulting(idefics3Vision);
  const joined = config.size("hidden_size") * whole.derived("scale_factor", size, "class default", () => 2) ** 2;
  return siglip(config, { pooled: false, linears: [linear("project", joined, textHidden, false)] });
};

/** Aya Vision: SigLIP, four patches joined, a gated network (models/aya_vision). */
const aya: VisionReader = (given, textHidden, whole) => {
  const config = ofClass(given, whole, "siglip_vision_model", { ...so400m, image_size: 384 });
  config.ignore("vision_use_head");
  const joined = config.size("hidden_size") * whole.derived("downsample_factor", size, "class default", () => 2) ** 2;
  const inner = whole.derived("alignment_intermediate_size", size, "hidden_size of the text", () => textHidden);
  return siglip(config, {
    pooled: false,
    linears: [linear("project_in", joined, inner), linear("project_out", inner / 2, textHidden)],
    weights: [norm2("project_norm", joined)],
  });
};

/**
 * Idefics2: a gated network as wide as the text's, then a perceiver whose latents read the image and themselves
 * (models/idefics2).
 */
const idefics2: VisionReader = (given, textHidden, whole) => {
  const config = given.defaulting({
    hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    intermediate_size: 3072,
    image_size: 224,
    patch_size: 32,
  });
  const hidden = config.size("hidden_size");
  const inner = whole.child("text_config", classDefaults["mistral"] ?? {}).size("intermediate_size");
  const perceiver = whole.child("perceiver_config", {
    resampler_n_latents: 64,
    resampler_depth: 3,
    resampler_n_heads: 16,
    resampler_head_dim: 96,
    num_key_value_heads: 4,
  });
  const dim = perceiver.size("resampler_head_dim");
  const queries = perceiver.size("resampler_n_heads") * dim;
  const keys = perceiver.size("num_key_value_heads") * dim;
  const depth = perceiver.read("resampler_depth", layerCount);
  return siglip(config, {
    pooled: false,
    linears: [
      ...gatedNetwork("project", hidden, inner, textHidden),
      ...Array.from({ length: depth }, (_, layer) => [
        linear(`resample${layer}_query`, textHidden, queries, false),
        linear(`resample${layer}_key`, textHidden, keys, false),
        linear(`resample${layer}_value`, textHidden, keys, false),
        linear(`resample${layer}_output`, queries, textHidden, false),
        ...gatedNetwork(`resample${layer}`, textHidden, 4 * textHidden, textHidden),
      ]).flat(),
    ],
    weights: [
      weight("latents", perceiver.size("resampler_n_latents"), textHidden),
      weight("resample_norms", 3 * depth + 1, textHidden),
    ],
  });
};

function gatedNetwork(name: string, inWidth: number, width: number, outWidth: number): ExtraLinear[] {
  return [
    linear(`${name}_gate`, inWidth, width, false),
    linear(`${name}_up`, inWidth, width, false),
    linear(`${name}_down`, width, outWidth, false),
  ];
}

/** Aria: learned queries, as many as the largest image takes, read the patches twice projected (models/aria). */
const aria: VisionReader = (given, textHidden, whole) => {
  const config = given.defaulting(idefics3Vision);
  const hidden = config.size("hidden_size");
  const counts = whole.raw("projector_patch_to_query_dict") ?? { 1225: 128, 4900: 256 };
  const queries = Object.values(counts).reduce<number>((most, count) => Math.max(most, Number(count)), 0);
  if (!Number.isSafeInteger(queries) || queries < 1) {
    throw whole.bad("projector_patch_to_query_dict", counts, "expected numbers of queries by numbers of patches");
  }
  return siglip(config, {
    pooled: false,
    linears: [
      ...["query", "key", "value"].flatMap((name) => [
        linear(`project_${name}`, hidden, hidden, false),
        linear(`project_inner_${name}`, hidden, hidden),
      ]),
      linear("project_inner_output", hidden, hidden),
      linear("project_output", hidden, hidden),
      linear("project_in", hidden, textHidden, false),
      linear("project_out", textHidden, textHidden, false),
    ],
    weights: [weight("queries", queries, hidden), weight("project_norms", 3, 2, hidden)],
  });
};

/** Janus: SigLIP with networks of a given ratio, an aligner, and all that makes images of chosen codes (models/janus). */
const janus: VisionReader = (given, _textHidden, whole) => {
  const config = given.defaulting({
    hidden_size: 1024,
    num_hidden_layers: 24,
    num_attention_heads: 16,
    image_size: 384,
    patch_size: 16,
    mlp_ratio: 4,
    attention_bias: true,
    use_qk_norm: false,
    projection_dim: 2048,
    depth: 2,
  });
  const hidden = config.size("hidden_size");
  const out = config.size("projection_dim");
  const bias = config.flag("attention_bias");
  if (config.flag("use_qk_norm")) throw config.bad("use_qk_norm", true, "only false is understood");
  const width = Math.floor(hidden * config.read("mlp_ratio", real));
  const codes = imageCodes(whole.child("vq_config"));
  const result = siglip(config.with({ intermediate_size: width }), {
    pooled: false,
    linears: [
      linear("align0", hidden, out),
      ...Array.from({ length: config.read("depth", layerCount) - 1 }, (_, layer) =>
        linear(`align${layer + 1}`, out, out),
      ),
      ...codes.linears,
    ],
    weights: codes.weights,
  });
  if (bias) return result;
  const layers = result.layers.map((layer) => ({
    ...layer,
    mixers: layer.mixers.map((mixer) =>
      mixer.kind === "attention" ? { ...mixer, bias: { ...biasOf(false), output: true } } : mixer,
    ),
  }));
  return { ...result, layers };
};

export const siglipVision = {
  paligemma,
  alone,
  second,
  gemma,
  idefics2,
  idefics3,
  aya,
  cohere2,
  lfm2,
  aria,
  janus,
} as const;
