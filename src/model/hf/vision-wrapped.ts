import type { Stack } from "../types.js";
import { flag, oneOf, real, size } from "./checks.js";
import { linear, norm2, weight } from "./beside.js";
import type { ConfigReader } from "./config-reader.js";
import { classDefaults } from "./defaults/all.js";
import { allBias, biasOf, noBias } from "./parts.js";
import { siglip } from "./vision-siglip.js";
import {
  type TowerBeside,
  type VisionReader,
  gatedMerger,
  layerNormed,
  ofClass,
  patchArea,
  patchesOf,
  rmsNormed,
  sizesOf,
  tower,
  towerSizes,
} from "./vision-tower.js";

/** Towers of wrappers that put a known vision encoder before a known language model. */

/** What LLaVA's class takes where a file has no vision_config: CLIP's large tower. */
const large = {
  hidden_size: 1024,
  num_hidden_layers: 24,
  num_attention_heads: 16,
  intermediate_size: 4096,
  image_size: 336,
  patch_size: 14,
} as const;

/** CLIP's vision model: a class token, norms around (models/clip). */
function clip(config: ConfigReader, { linears, weights = [] }: TowerBeside): Stack {
  const sizes = sizesOf(config);
  const { hidden } = sizes;
  return tower({
    ...sizes,
    finalNorm: layerNormed,
    linears,
    weights: [
      weight("class_token", hidden),
      weight("patches", hidden, patchArea(config, false)),
      weight("positions", patchesOf(config, large.image_size) + 1, hidden),
      norm2("pre_norm", hidden),
      ...weights,
    ],
  });
}

/** The two towers of CLIP end in one space. */
const both: VisionReader = (given, _textHidden, whole) => {
  const config = given.defaulting(classDefaults["clip_vision_model"] ?? {});
  const out = whole.derived("projection_dim", size, "class default", () => 512);
  return clip(config, { linears: [linear("project", config.size("hidden_size"), out, false)] });
};

/** Class defaults of pixtral. */
const pixtralVision = {
  hidden_size: 1024,
  num_hidden_layers: 24,
  num_attention_heads: 16,
  intermediate_size: 4096,
  patch_size: 16,
} as const;

/** Pixtral's vision model: rotary positions, RMS norms, gated networks, no biases (models/pixtral). */
function pixtral(config: ConfigReader, { linears, weights = [] }: TowerBeside): Stack {
  const sizes = sizesOf(config);
  return tower({
    ...sizes,
    norm: rmsNormed,
    attention: { bias: noBias },
    ffn: { gated: true, activation: "silu", bias: false },
    linears,
    weights: [weight("patches", sizes.hidden, patchArea(config, false)), weight("pre_norm", sizes.hidden), ...weights],
  });
}

/** LLaVA and its kin: any of three towers and a network of two layers; later ones learn where rows of patches end. */
const llavaOf =
  (newline: boolean): VisionReader =>
  (config, textHidden, whole) => {
    const kinds = ["clip_vision_model", "siglip_vision_model", "pixtral"] as const;
    const kind = config.optional("model_type", oneOf(kinds)) ?? "clip_vision_model";
    const classed = kind === "pixtral" ? config.defaulting(pixtralVision) : ofClass(config, whole, kind, large);
    const hidden = classed.size("hidden_size");
    const bias = whole.derived("multimodal_projector_bias", flag, "class default", () => true);
    const beside = {
      linears: [linear("project_in", hidden, textHidden, bias), linear("project_out", textHidden, textHidden, bias)],
      weights: newline ? [weight("newline", textHidden)] : [],
    };
    if (kind === "pixtral") return pixtral(classed, beside);
    return kind === "clip_vision_model" ? clip(classed, beside) : siglip(classed, { pooled: true, ...beside });
  };

/** Mistral 3: Pixtral, four patches joined, a network of two layers (models/mistral3). */
const mistral3: VisionReader = (given, textHidden, whole) => {
  // Without a vision_config the wrapper's class takes patches of 14.
  const own = whole.has("vision_config") ? pixtralVision : { ...pixtralVision, patch_size: 14 };
  const config = given.defaulting(own);
  const hidden = config.size("hidden_size");
  const joined = hidden * whole.derived("spatial_merge_size", size, "class default", () => 2) ** 2;
  const bias = whole.derived("multimodal_projector_bias", flag, "class default", () => false);
  return pixtral(config, {
    linears: [
      linear("merge", joined, hidden, false),
      linear("project_in", hidden, textHidden, bias),
      linear("project_out", textHidden, textHidden, bias),
    ],
    weights: [weight("project_norm", hidden)],
  });
};

/** InternVL: InternViT with layer scales, a quarter of the patches, a network of two layers (OpenGVLab's modelling files). */
const intern: VisionReader = (config, textHidden, whole) => {
  const sizes = towerSizes(config, "class default of intern_vit", { hidden: 1024, count: 24, heads: 16, width: 4096 });
  const { hidden } = sizes;
  const plain = config.derived("norm_type", oneOf(["rms_norm", "layer_norm"]), "class default", () => "layer_norm");
  const biased = config.derived(["qkv_bias", "attention_bias"], flag, "class default", () => true);
  const normed = config.derived(["qk_normalization", "use_qk_norm"], flag, "class default", () => false);
  const share = whole.optional("downsample_ratio", real) ?? 0.5;
  const joined = share >= 1 ? hidden : 4 * hidden;
  const image = config.raw("image_size");
  const patch = config.raw("patch_size");
  const side = (found: unknown, value: number): number =>
    Array.isArray(found) && typeof found[0] === "number" ? found[0] : typeof found === "number" ? found : value;
  const [pixels, cut] = [side(image, 448), side(patch, 14)];
  return tower({
    ...sizes,
    norm: plain === "rms_norm" ? rmsNormed : layerNormed,
    attention: {
      bias: { ...allBias, ...(biased ? {} : { query: false, key: false, value: false }) },
      queryKeyNorm: normed ? "per-layer" : "none",
    },
    layer: { extras: { weights: [weight("layer_scales", 2, hidden)] } },
    linears: [linear("project_in", joined, textHidden), linear("project_out", textHidden, textHidden)],
    weights: [
      weight("class_token", hidden),
      weight("patches", hidden, 3 * cut * cut),
      weight("patch_bias", hidden),
      weight("positions", Math.floor(pixels / cut) ** 2 + 1, hidden),
      norm2("project_norm", joined),
    ],
  });
};

/** GLM-4.1V and 4.5V: gated networks as wide as the output, a downsampling convolution, a gated merger (models/glm4v). */
const glm4v: VisionReader = (config) => {
  const from = "class default of glm4v";
  const hidden = config.derived("hidden_size", size, from, () => 1536);
  const out = config.derived("out_hidden_size", size, from, () => 4096);
  const inner = config.derived("intermediate_size", size, from, () => 13_696);
  const merge = config.derived("spatial_merge_size", size, from, () => 2);
  return tower({
    hidden,
    heads: config.derived("num_heads", size, from, () => 12),
    count: config.derived("depth", size, from, () => 24),
    width: out,
    norm: rmsNormed,
    attention: { bias: noBias },
    ffn: { gated: true, activation: "silu", bias: false },
    finalNorm: rmsNormed,
    linears: gatedMerger(out, inner),
    weights: [
      weight("patches", hidden, patchArea(config, true)),
      weight("patch_bias", hidden),
      weight("positions", patchesOf(config, 336, 14), hidden),
      weight("patch_norm", hidden),
      weight("downsample", out, hidden, merge, merge),
      weight("downsample_bias", out),
      norm2("merge_norm", out),
    ],
  });
};

/** Phi-3 Vision: CLIP beside the language model's keys, four patches joined, separators (its modelling file). */
const phi3: VisionReader = (config, textHidden, whole) =>
  clip(ofClass(config, whole, "clip_vision_model", large), {
    linears: [linear("project_in", 4096, textHidden), linear("project_out", textHidden, textHidden)],
    weights: [weight("separators", 2, 4096)],
  });

/**
 * Ovis 2: AIMv2 with RMS norms and gated networks, whose end chooses among words of a visual vocabulary, and that
 * vocabulary's table (models/ovis2).
 */
const ovis2: VisionReader = (given, textHidden) => {
  const config = given.defaulting({
    hidden_size: 1024,
    intermediate_size: 2816,
    num_hidden_layers: 24,
    num_attention_heads: 8,
    image_size: 224,
    patch_size: 14,
    vocab_size: 16_384,
    hidden_stride: 1,
    num_visual_indicator_tokens: 5,
    qkv_bias: false,
    mlp_bias: false,
  });
  const sizes = sizesOf(config);
  const { hidden } = sizes;
  const words = config.size("vocab_size");
  const shown = words - config.sizeOrZero("num_visual_indicator_tokens");
  if (shown < 1) throw config.bad("vocab_size", words, "expected more words than num_visual_indicator_tokens");
  return tower({
    ...sizes,
    norm: rmsNormed,
    attention: { bias: biasOf(config.flag("qkv_bias")) },
    ffn: { gated: true, activation: "silu", bias: config.flag("mlp_bias") },
    finalNorm: rmsNormed,
    linears: [
      linear("words", hidden * config.size("hidden_stride") ** 2, shown, false),
      linear("project", words, textHidden, false),
    ],
    weights: [
      weight("patches", hidden, patchArea(config, false)),
      weight("patch_bias", hidden),
      weight("positions", patchesOf(config, 224), hidden),
      weight("patch_norm", hidden),
      norm2("words_norm", shown),
    ],
  });
};

export const wrappedVision = {
  both,
  llava: llavaOf(false),
  llavaNext: llavaOf(true),
  mistral3,
  intern,
  glm4v,
  phi3,
  ovis2,
} as const;
