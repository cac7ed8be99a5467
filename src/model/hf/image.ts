import type { Biases, ExtraWeight } from "../types.js";
import { className } from "./architecture.js";
import { real } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { allBias, flagOr } from "./parts.js";
import type { Reader } from "./reader.js";
import { readVitLike } from "./vit.js";

/** Encoders of images: their length is that of one image. */

/** models/deit: ViT with a token for what a teacher says. */
const readDeit: Reader = (config) => {
  const hidden = config.size("hidden_size");
  return readVitLike(config, {
    classTokens: 2,
    pooler: className(config) === "DeiTModel",
    weights: maskToken(config, hidden),
  });
};

/** Classes that rebuild masked patches have a token for them. */
function maskToken(config: ConfigReader, hidden: number): ExtraWeight[] {
  return className(config)?.includes("MaskedImage") === true ? [{ name: "mask_token", shape: [hidden] }] : [];
}

/** models/beit, models/data2vec_vision: keys without biases, scaled branches, places as scores by relative position. */
const readBeit: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  const side = Math.floor(config.size("image_size") / config.size("patch_size"));
  const places = (2 * side - 1) ** 2 + 3;
  const relative = { name: "relative_positions", shape: [places, heads] };
  const scaled = (config.optional("layer_scale_init_value", real) ?? 0) > 0;
  const own = config.flag("use_relative_position_bias");
  const sharedPlaces = config.flag("use_shared_relative_position_bias");
  config.ignore("vocab_size", "drop_path_rate", "pool_scales", "use_auxiliary_head", "auxiliary_loss_weight");
  config.ignore("auxiliary_channels", "auxiliary_num_convs", "auxiliary_concat_input", "semantic_loss_ignore_index");
  config.ignore("out_indices", "out_features", "stage_names", "add_fpn", "reshape_hidden_states", "use_mean_pooling");
  return readVitLike(config, {
    pooler: false,
    unplaced: !config.flag("use_absolute_position_embeddings"),
    bias: { ...allBias, key: false },
    // BEiT has a norm at the end or in front of its pooler; the other class only where nothing is pooled.
    finalNorm: config.family === "beit" || !flagOr(config, "use_mean_pooling", true),
    weights: [
      ...(config.flag("use_mask_token") ? [{ name: "mask_token", shape: [hidden] }] : []),
      ...(sharedPlaces ? [relative] : []),
    ],
    layerWeights: [...(scaled ? [{ name: "branch_scales", shape: [2, hidden] }] : []), ...(own ? [relative] : [])],
  });
};

/** models/dinov2, models/dinov2_with_registers: scaled branches, a token for masked patches, registers. */
const readDinoV2: Reader = (config) => {
  const hidden = config.size("hidden_size");
  ignoreBackbone(config);
  config.ignore("layerscale_value");
  const ratio = config.size("mlp_ratio");
  const gated = config.flag("use_swiglu_ffn");
  // Two thirds of the width, up to a multiple of 8, where it is gated (models/dinov2: Dinov2SwiGLUFFN).
  const width = gated ? Math.floor((Math.floor((hidden * ratio * 2) / 3) + 7) / 8) * 8 : hidden * ratio;
  const mask = config.family !== "dinov2" || flagOr(config, "use_mask_token", true);
  return readVitLike(config, {
    pooler: false,
    width,
    registers: config.family === "dinov2" ? 0 : config.sizeOrZero("num_register_tokens"),
    ffn: gated ? { gated: true, activation: "silu" } : {},
    weights: mask ? [{ name: "mask_token", shape: [hidden] }] : [],
    layerWeights: [{ name: "layer_scales", shape: [2, hidden] }],
  });
};

/** models/dinov3_vit: rotary places, registers, biases one by one. */
const readDinoV3: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const bias: Biases = {
    query: flagOr(config, "query_bias", true),
    key: flagOr(config, "key_bias", false),
    value: flagOr(config, "value_bias", true),
    output: flagOr(config, "proj_bias", true),
  };
  ignoreBackbone(config);
  config.ignore("layerscale_value", "pos_embed_shift", "pos_embed_jitter", "pos_embed_rescale");
  const gated = config.flag("use_gated_mlp");
  return readVitLike(config, {
    pooler: false,
    unplaced: true,
    registers: config.sizeOrZero("num_register_tokens"),
    bias,
    ffn: { bias: flagOr(config, "mlp_bias", true), gated, ...(gated ? { activation: "silu" } : {}) },
    weights: [{ name: "mask_token", shape: [hidden] }],
    layerWeights: [{ name: "layer_scales", shape: [2, hidden] }],
  });
};

export function ignoreBackbone(config: ConfigReader): void {
  config.ignore("drop_path_rate", "apply_layernorm", "reshape_hidden_states");
  config.ignore("stage_names", "out_features", "out_indices");
}

/** models/vit_msn, models/ijepa: ViT without a pooler; I-JEPA has no class token either. */
const readMsn: Reader = (config) => readVitLike(config, { pooler: false });
const readIJepa: Reader = (config) => {
  config.ignore("pooler_output_size", "pooler_act");
  return readVitLike(config, { pooler: false, classTokens: 0 });
};

/** models/audio_spectrogram_transformer (arXiv:2104.01778): DeiT on overlapping patches of a spectrogram. */
const readSpectrogram: Reader = (config) => {
  const patch = config.size("patch_size");
  const steps = (bins: number, stride: number): number => Math.floor((bins - patch) / stride) + 1;
  const across = steps(config.size("num_mel_bins"), config.size("frequency_stride"));
  const along = steps(config.size("max_length"), config.size("time_stride"));
  if (across < 1 || along < 1)
    throw config.bad("patch_size", patch, "expected at most the spectrogram's height and length");
  return readVitLike(config, { pooler: false, classTokens: 2, overlapping: across * along });
};

export const imageReaders: Readonly<Record<string, Reader>> = {
  deit: readDeit,
  vit_msn: readMsn,
  ijepa: readIJepa,
  "audio-spectrogram-transformer": readSpectrogram,
  beit: readBeit,
  "data2vec-vision": readBeit,
  dinov2: readDinoV2,
  dinov2_with_registers: readDinoV2,
  dinov3_vit: readDinoV3,
};
