import type { ExtraLinear, ExtraWeight, Stack } from "../types.js";
import { flag, oneOf, real, size } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { allBias, noBias } from "./parts.js";
import { type VisionReader, layerNormed, linear, norm2, patchArea, rmsNormed, tower, weight } from "./vision-tower.js";

/** Towers of wrappers that put a known vision or sound encoder before a known language model. */

interface Sizes {
  readonly hidden: number;
  readonly count: number;
  readonly heads: number;
  readonly width: number;
}

interface Beside {
  readonly linears: readonly ExtraLinear[];
  readonly weights?: readonly ExtraWeight[];
}

function sizesOf(config: ConfigReader, from: string, defaults: Sizes): Sizes {
  return {
    hidden: config.derived("hidden_size", size, from, () => defaults.hidden),
    count: config.derived("num_hidden_layers", size, from, () => defaults.count),
    heads: config.derived("num_attention_heads", size, from, () => defaults.heads),
    width: config.derived("intermediate_size", size, from, () => defaults.width),
  };
}

function patchesOf(config: ConfigReader, image: number, patch: number): number {
  const of = (key: string, value: number): number => config.derived(key, size, "class default", () => value);
  return Math.floor(of("image_size", image) / of("patch_size", patch)) ** 2;
}

const large = { hidden: 1024, count: 24, heads: 16, width: 4096, image: 336, patch: 14 };

/** CLIP's vision model: a class token, norms around (models/clip). */
function clip(config: ConfigReader, { linears, weights = [] }: Beside, defaults = large): Stack {
  const sizes = sizesOf(config, "class default of the vision tower", defaults);
  const { hidden } = sizes;
  const patch = config.derived("patch_size", size, "class default of the vision tower", () => defaults.patch);
  return tower({
    ...sizes,
    finalNorm: layerNormed,
    linears,
    weights: [
      weight("class_token", hidden),
      weight("patches", hidden, config.derived("num_channels", size, "class default", () => 3) * patch ** 2),
      weight("positions", patchesOf(config, defaults.image, defaults.patch) + 1, hidden),
      norm2("pre_norm", hidden),
      ...weights,
    ],
  });
}

/** The two towers of CLIP end in one space. */
const both: VisionReader = (config, _textHidden, whole) => {
  const defaults = { hidden: 768, count: 12, heads: 12, width: 3072, image: 224, patch: 32 };
  const hidden = config.derived("hidden_size", size, "class default", () => defaults.hidden);
  const out = whole.derived("projection_dim", size, "class default", () => 512);
  return clip(config, { linears: [linear("project", hidden, out, false)] }, defaults);
};

const so400m: Sizes = { hidden: 1152, count: 27, heads: 16, width: 4304 };

/** SigLIP's vision model: no class token; its pooling head is there unless `vision_use_head` is false (models/siglip). */
function siglip(config: ConfigReader, image: number, pooled: boolean, { linears, weights = [] }: Beside): Stack {
  const sizes = sizesOf(config, "class default of siglip_vision_model", so400m);
  const { hidden, width } = sizes;
  const head = config.derived("vision_use_head", flag, "class default", () => pooled);
  return tower({
    ...sizes,
    finalNorm: layerNormed,
    linears,
    weights: [
      weight("patches", hidden, patchArea(config, false)),
      weight("patch_bias", hidden),
      weight("positions", patchesOf(config, image, 14), hidden),
      ...(head && pooled
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

/** Pixtral's vision model: rotary positions, RMS norms, gated networks, no biases (models/pixtral). */
function pixtral(config: ConfigReader, { linears, weights = [] }: Beside): Stack {
  const from = "class default of pixtral";
  const sizes = sizesOf(config, from, { hidden: 1024, count: 24, heads: 16, width: 4096 });
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
    const kind = config.optional("model_type", oneOf(["clip_vision_model", "siglip_vision_model", "pixtral"]));
    const hidden = config.derived("hidden_size", size, "class default", () =>
      kind === "siglip_vision_model" ? 1152 : 1024,
    );
    const bias = whole.derived("multimodal_projector_bias", flag, "class default", () => true);
    const beside = {
      linears: [linear("project_in", hidden, textHidden, bias), linear("project_out", textHidden, textHidden, bias)],
      weights: newline ? [weight("newline", textHidden)] : [],
    };
    if (kind === "pixtral") return pixtral(config, beside);
    return kind === "siglip_vision_model" ? siglip(config, 384, true, beside) : clip(config, beside);
  };

const paligemma: VisionReader = (config, textHidden) => {
  const hidden = config.derived("hidden_size", size, "class default", () => so400m.hidden);
  return siglip(config, 224, false, { linears: [linear("project", hidden, textHidden)] });
};

/** Class defaults of siglip_vision_model. */
const siglipDefaults = {
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
  image_size: 224,
  patch_size: 16,
} as const;

/** SigLIP's own model of two towers: the pooling head is its end (models/siglip). */
const siglipAlone: VisionReader = (config) => siglip(config.defaulting(siglipDefaults), 224, true, { linears: [] });

/** models/siglip2: the same over patches that come cut, in any number up to that of the table's places. */
const siglip2Alone: VisionReader = (config) => {
  const patches = config.derived("num_patches", size, "class default of siglip2_vision_model", () => 256);
  const side = Math.round(Math.sqrt(patches));
  if (side * side !== patches) throw config.bad("num_patches", patches, "expected a square");
  const patch = config.derived("patch_size", size, "class default of siglip2_vision_model", () => 16);
  return siglipAlone(config.with({ image_size: side * patch, patch_size: patch }), 0, config);
};

/** Gemma 3 and T5Gemma 2: SigLIP with its head unless the file says otherwise, patches pooled, one projection. */
const gemma: VisionReader = (given, textHidden) => {
  const config = given.defaulting(siglipDefaults);
  const hidden = config.size("hidden_size");
  return siglip(config, 224, true, {
    linears: [linear("project", hidden, textHidden, false)],
    weights: [weight("project_norm", hidden)],
  });
};

/** Idefics3 and SmolVLM: patches next to each other are joined, then one projection (models/idefics3). */
const idefics3: VisionReader = (config, textHidden, whole) => {
  const hidden = config.derived("hidden_size", size, "class default", () => so400m.hidden);
  const joined = hidden * whole.derived("scale_factor", size, "class default", () => 2) ** 2;
  return siglip(config, 224, false, { linears: [linear("project", joined, textHidden, false)] });
};

/** Mistral 3: Pixtral, four patches joined, a network of two layers (models/mistral3). */
const mistral3: VisionReader = (config, textHidden, whole) => {
  const hidden = config.derived("hidden_size", size, "class default", () => 1024);
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

/** Aya Vision: SigLIP, four patches joined, a gated network (models/aya_vision). */
const aya: VisionReader = (config, textHidden, whole) => {
  const hidden = config.derived("hidden_size", size, "class default", () => so400m.hidden);
  const joined = hidden * whole.derived("downsample_factor", size, "class default", () => 2) ** 2;
  const inner = whole.derived("alignment_intermediate_size", size, "hidden_size of the text", () => textHidden);
  return siglip(config, 364, false, {
    linears: [linear("project_in", joined, inner), linear("project_out", inner / 2, textHidden)],
    weights: [norm2("project_norm", joined)],
  });
};

/** InternVL: InternViT with layer scales, a quarter of the patches, a network of two layers (OpenGVLab's modelling files). */
const intern: VisionReader = (config, textHidden, whole) => {
  const sizes = sizesOf(config, "class default of intern_vit", { hidden: 1024, count: 24, heads: 16, width: 4096 });
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
    linears: [
      linear("merge_project", out, out, false),
      linear("merge_gate", out, inner, false),
      linear("merge_up", out, inner, false),
      linear("merge_down", inner, out, false),
    ],
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
const phi3: VisionReader = (config, textHidden) =>
  clip(config, {
    linears: [linear("project_in", 4096, textHidden), linear("project_out", textHidden, textHidden)],
    weights: [weight("separators", 2, 4096)],
  });

type AudioReader = (config: ConfigReader, textHidden: number) => Stack;

/** Whisper's encoder, of no bias in keys; what joins it to the language model (models/whisper, qwen2_audio, voxtral). */
function whisper(config: ConfigReader, positions: boolean, beside: (hidden: number) => Beside): Stack {
  const from = "class default of the audio encoder";
  const hidden = config.derived(["d_model", "hidden_size"], size, from, () => 1280);
  const bands = config.derived("num_mel_bins", size, from, () => 128);
  const places = config.derived("max_source_positions", size, from, () => 1500);
  const { linears, weights = [] } = beside(hidden);
  const result = tower({
    hidden,
    count: config.derived(["encoder_layers", "num_hidden_layers"], size, from, () => 32),
    heads: config.derived(["encoder_attention_heads", "num_attention_heads"], size, from, () => 20),
    width: config.derived(["encoder_ffn_dim", "intermediate_size"], size, from, () => 5120),
    attention: { bias: { ...allBias, key: false } },
    finalNorm: layerNormed,
    linears,
    weights: [
      weight("convolution1", hidden, bands, 3),
      weight("convolution2", hidden, hidden, 3),
      weight("convolution_biases", 2, hidden),
      ...(positions ? [weight("positions", places, hidden)] : []),
      ...weights,
    ],
  });
  return { ...result, kind: "audio" };
}

const qwen2Audio: AudioReader = (config, textHidden) =>
  whisper(config, true, (hidden) => ({ linears: [linear("project", hidden, textHidden)] }));

const qwen25Omni: AudioReader = (config, textHidden) => {
  const out = config.derived("output_dim", size, "hidden_size of the text", () => textHidden);
  return whisper(config, false, (hidden) => ({
    linears: [linear("project", hidden, out)],
    weights: [weight("begin_end", 2, out)],
  }));
};

const voxtral: AudioReader = (config, textHidden) => {
  const joined = config.derived("intermediate_size", size, "class default of voxtral", () => 5120);
  return whisper(config, true, () => ({
    linears: [linear("project_in", joined, textHidden, false), linear("project_out", textHidden, textHidden, false)],
  }));
};

export const wrappedVision = {
  both,
  llava: llavaOf(false),
  llavaNext: llavaOf(true),
  paligemma,
  gemma,
  siglip: siglipAlone,
  siglip2: siglip2Alone,
  idefics3,
  mistral3,
  aya,
  intern,
  glm4v,
  phi3,
} as const;

export const wrappedAudio = { qwen2Audio, qwen25Omni, voxtral } as const;
