import type { Biases, DenseFfn, ExtraConvolution, ExtraWeight } from "../types.js";
import { layerCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readDtypes, shareEqual } from "./decoder.js";
import { allBias, dense, flagOr, layerNorm, listLayers, softmax } from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

/** models/vit and its kin: a tower that stands alone; its length is that of one image. */
export function readVitLike(
  config: ConfigReader,
  more: {
    readonly pooler?: boolean;
    readonly width?: number;
    readonly weights?: readonly ExtraWeight[];
    readonly layerWeights?: readonly ExtraWeight[];
    /** Tokens beside the patches, without places of their own in the table: registers. */
    readonly registers?: number;
    readonly classTokens?: number;
    /** Places come from elsewhere: rotation, or scores by relative position. */
    readonly unplaced?: boolean;
    readonly bias?: Biases;
    readonly patchBias?: boolean;
    /** A learned token asks all others at the end. */
    readonly probe?: boolean;
    readonly ffn?: Partial<DenseFfn>;
    readonly finalNorm?: boolean;
    /** Patches that overlap, of one channel: so many, in place of an image cut side by side. */
    readonly overlapping?: number;
  } = {},
): ReaderResult {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  const norm = layerNorm(config);
  const patch = config.size("patch_size");
  const count = more.overlapping ?? Math.floor(config.size("image_size") / patch) ** 2;
  const channels = more.overlapping === undefined ? config.size("num_channels") : 1;
  const classTokens = more.classTokens ?? 1;
  const placed = count + classTokens;
  const tokens = placed + (more.registers ?? 0);
  const weights: ExtraWeight[] = [
    ...(more.unplaced === true ? [] : [{ name: "positions", shape: [placed, hidden] }]),
    ...(classTokens > 0 ? [{ name: "class_token", shape: [classTokens, hidden] }] : []),
    ...((more.registers ?? 0) > 0 ? [{ name: "registers", shape: [more.registers ?? 0, hidden] }] : []),
  ];
  const patches: ExtraConvolution = {
    name: more.overlapping === undefined ? "patches" : "overlapping_patches",
    inWidth: channels,
    outWidth: hidden,
    kernel: patch * patch,
    bias: more.patchBias ?? true,
    positions: count,
  };
  const width = more.width ?? config.size("intermediate_size");
  const attention = softmax({ heads, kvHeads: heads, headDim: hidden / heads }, null, {
    causal: false,
    bias: more.bias ?? qkvBias(config),
  });
  const ffn: DenseFfn = { ...dense(config, { width, gated: false, bias: true }), ...more.ffn };
  config.ignore("encoder_stride", "projection_dim", "pooler_output_size", "pooler_act", "vision_use_head");
  return {
    hiddenSize: hidden,
    vocabularySize: 0,
    contextLength: tokens,
    embedding: { rows: 0, width: hidden, scale: null },
    head:
      more.probe === true
        ? { kind: "none", tied: true, bias: false, softcap: null, probe: { heads, width, activation: ffn.activation } }
        : (more.pooler ?? true)
          ? { kind: "pooler", tied: false, bias: true, softcap: null, rows: hidden }
          : { kind: "none", tied: true, bias: false, softcap: null },
    stacks: [
      {
        kind: "encoder",
        length: { kind: "constant", tokens },
        layers: shareEqual(
          listLayers(config.read("num_hidden_layers", layerCount), () => ({
            mixers: [attention],
            ffns: [ffn],
            norm,
            normPlacement: "pre",
            ...(more.layerWeights === undefined ? {} : { extras: { weights: more.layerWeights } }),
          })),
        ),
        finalNorm: more.finalNorm === false ? null : norm,
        extras: { convolutions: [patches], weights: [...weights, ...(more.weights ?? [])] },
      },
    ],
    dtypes: readDtypes(config),
  };
}

function qkvBias(config: ConfigReader): Biases {
  return { ...allBias, ...(flagOr(config, "qkv_bias", true) ? {} : { query: false, key: false, value: false }) };
}

/** models/clip's half for pictures: patches without a bias, a norm in front. */
const readClipVision: Reader = (config) =>
  readVitLike(config, {
    pooler: false,
    bias: allBias,
    patchBias: false,
    weights: [{ name: "pre_norm", shape: [2, config.size("hidden_size")] }],
  });

/** models/siglip's half for pictures: no class token; a learned query gathers the patches where the file says so. */
const readSiglipVision: Reader = (config) =>
  readVitLike(config, {
    pooler: false,
    bias: allBias,
    classTokens: 0,
    probe: flagOr(config, "vision_use_head", true),
  });

export const vitReaders: Readonly<Record<string, Reader>> = {
  vit: (config) => readVitLike(config),
  clip_vision_model: readClipVision,
  siglip_vision_model: readSiglipVision,
};
