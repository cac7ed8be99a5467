import type { Biases, ExtraWeight, Layer, Norm, Stack } from "../types.js";
import { className } from "./architecture.js";
import { layerCount, listOf, real, size } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readDtypes, shareEqual } from "./decoder.js";
import { allBias, flagOr, layerNorm, listLayers, softmax } from "./parts.js";
import type { Reader } from "./reader.js";
import { cutting, readVitLike } from "./vit.js";

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

function ignoreBackbone(config: ConfigReader): void {
  config.ignore("drop_path_rate", "apply_layernorm", "reshape_hidden_states");
  config.ignore("stage_names", "out_features", "out_indices");
}

/**
 * models/swin (arXiv:2103.14030): stages of half the side and twice the width; tokens attend within windows of one image
 * part, which every second layer shifts.
 */
const readSwin: Reader = (config) => {
  const first = config.size("embed_dim");
  const depths = config.read("depths", listOf(layerCount));
  const heads = config.read("num_heads", listOf(size));
  if (heads.length !== depths.length) {
    throw config.bad("num_heads", heads.length, `expected as many as depths (${depths.length})`);
  }
  const window = config.size("window_size");
  const patch = config.size("patch_size");
  const channels = config.size("num_channels");
  const side = Math.floor(config.size("image_size") / patch);
  const ratio = config.derived("mlp_ratio", real, "class default of swin", () => 4);
  const bias = flagOr(config, "qkv_bias", true);
  const norm: Norm = layerNorm(config);
  ignoreBackbone(config);
  config.ignore("encoder_stride", "num_layers", "hidden_size", "patch_norm", "path_norm", "hidden_act", "ape");
  if (config.flag("use_absolute_embeddings")) {
    throw config.bad("use_absolute_embeddings", true, "only false is understood: places are relative");
  }
  const stages = depths.map((count, index): Stack => {
    const hidden = first * 2 ** index;
    const at = side / 2 ** index;
    const reach = Math.min(window, Math.floor(at));
    const stageHeads = heads[index] ?? 1;
    if (hidden % stageHeads !== 0) throw config.bad("num_heads", stageHeads, `expected a divisor of ${hidden}`);
    const attention = softmax({ heads: stageHeads, kvHeads: stageHeads, headDim: hidden / stageHeads }, null, {
      causal: false,
      bias: { query: bias, key: bias, value: bias, output: true },
      span: { kind: "chunk", size: reach * reach },
      referenceBlocks: { block: reach * reach, keys: reach * reach },
    });
    const layer: Layer = {
      mixers: [attention],
      ffns: [{ kind: "dense", width: Math.floor(hidden * ratio), gated: false, activation: "gelu", bias: true }],
      norm,
      normPlacement: "pre",
      extras: { weights: [{ name: "relative_positions", shape: [(2 * window - 1) ** 2, stageHeads] }] },
    };
    const last = index === depths.length - 1;
    return {
      name: `stage${index}`,
      kind: "encoder",
      hiddenSize: hidden,
      length: { kind: "constant", tokens: Math.ceil(at) ** 2 },
      layers: shareEqual(listLayers(count, () => layer)),
      finalNorm: last ? norm : null,
      extras: {
        // Four neighbours become one token of twice the width: a quarter of the tokens pass.
        convolutions: index === 0 ? [cutting({ hidden, channels, patch, side, bias: true })] : [],
        products: last ? [] : [{ name: "merged", rows: 1, inner: hidden, columns: 2 * hidden }],
        weights: [
          ...(index === 0 ? [{ name: "patch_norm", shape: [2, hidden] }] : []),
          ...(last
            ? []
            : [
                { name: "merge", shape: [2 * hidden, 4 * hidden] },
                { name: "merge_norm", shape: [2, 4 * hidden] },
              ]),
        ],
      },
    };
  });
  const width = first * 2 ** (depths.length - 1);
  return {
    hiddenSize: width,
    vocabularySize: 0,
    contextLength: side * side,
    embedding: { rows: 0, width, scale: null },
    head: { kind: "none", tied: true, bias: false, softcap: null },
    stacks: stages,
    dtypes: readDtypes(config),
  };
};

export const imageReaders: Readonly<Record<string, Reader>> = {
  deit: readDeit,
  beit: readBeit,
  "data2vec-vision": readBeit,
  dinov2: readDinoV2,
  dinov2_with_registers: readDinoV2,
  dinov3_vit: readDinoV3,
  swin: readSwin,
};
