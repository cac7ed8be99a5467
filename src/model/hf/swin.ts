import type { Biases, ExtraProduct, ExtraWeight, Layer, Norm, Stack } from "../types.js";
import { layerCount, listOf, real, size } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readDtypes, shareEqual } from "./decoder.js";
import { ignoreBackbone } from "./image.js";
import { flagOr, layerNorm, listLayers, softmax } from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

/** Encoders of images in stages: each has half the side and twice the width of the one before. */

interface SwinKin {
  readonly bias: (all: boolean) => Biases;
  readonly placement: Layer["normPlacement"];
  /** How scores by place come about in a layer of so many heads with windows of so many tokens a side. */
  readonly places: (heads: number, window: number, reach: number) => NonNullable<Layer["extras"]>;
  /** Width of the norm of merged tokens, in widths of the stage: before the projection, or behind it. */
  readonly mergedNorm: 4 | 2;
  readonly finalNorm: boolean;
}

const swin: SwinKin = {
  bias: (all) => ({ query: all, key: all, value: all, output: true }),
  placement: "pre",
  places: (heads, window) => ({ weights: [{ name: "relative_positions", shape: [(2 * window - 1) ** 2, heads] }] }),
  mergedNorm: 4,
  finalNorm: true,
};

/** Width of the network that scores places in Swin 2. */
const placesWidth = 512;

/** models/swinv2 (arXiv:2111.09883): cosines times a learned scale, places scored by a network, norms after branches. */
const swin2: SwinKin = {
  bias: (all) => ({ query: all, key: false, value: all, output: true }),
  placement: "post-branch",
  places: (heads, _, reach) => {
    const rows = (2 * reach - 1) ** 2;
    const once = { rows, perSequence: true } as const;
    const products: ExtraProduct[] = [
      { name: "places_in", ...once, inner: 2, columns: placesWidth },
      { name: "places_out", ...once, inner: placesWidth, columns: heads },
    ];
    const weights: ExtraWeight[] = [
      { name: "places", shape: [placesWidth, 3] },
      { name: "places_head", shape: [heads, placesWidth] },
      { name: "score_scale", shape: [heads] },
    ];
    return { products, weights };
  },
  mergedNorm: 2,
  finalNorm: true,
};

/** One number, or height and width. */
function sides(config: ConfigReader, key: string): readonly [number, number] {
  if (!Array.isArray(config.raw(key))) {
    const side = config.size(key);
    return [side, side];
  }
  const [height, width, ...more] = config.read(key, listOf(size));
  if (height === undefined || width === undefined || more.length > 0) {
    throw config.bad(key, config.raw(key), "expected a number, or height and width");
  }
  return [height, width];
}

/**
 * models/swin (arXiv:2103.14030): tokens attend within windows of one image part, which every second layer shifts; where
 * an image is no multiple of them the windows are padded.
 */
function readSwinLike(config: ConfigReader, kin: SwinKin): ReaderResult {
  const first = config.size("embed_dim");
  const depths = config.read("depths", listOf(layerCount));
  const heads = config.read("num_heads", listOf(size));
  if (heads.length !== depths.length) {
    throw config.bad("num_heads", heads.length, `expected as many as depths (${depths.length})`);
  }
  const window = config.size("window_size");
  const patch = config.size("patch_size");
  const channels = config.size("num_channels");
  const image = sides(config, "image_size");
  const grid = image.map((side) => Math.floor(side / patch));
  const patches = grid.reduce((product, side) => product * side, 1);
  const ratio = config.derived("mlp_ratio", real, "class default of swin", () => 4);
  const bias = kin.bias(flagOr(config, "qkv_bias", true));
  const norm: Norm = layerNorm(config);
  ignoreBackbone(config);
  config.ignore("encoder_stride", "num_layers", "hidden_size", "patch_norm", "path_norm", "hidden_act", "ape");
  config.ignore("pretrained_window_sizes");
  if (config.flag("use_absolute_embeddings")) {
    throw config.bad("use_absolute_embeddings", true, "only false is understood: places are relative");
  }
  const stages = depths.map((count, index): Stack => {
    const hidden = first * 2 ** index;
    const at = grid.map((side) => side / 2 ** index);
    const reach = Math.min(window, ...at.map(Math.floor));
    const stageHeads = heads[index] ?? 1;
    if (hidden % stageHeads !== 0) throw config.bad("num_heads", stageHeads, `expected a divisor of ${hidden}`);
    const attention = softmax({ heads: stageHeads, kvHeads: stageHeads, headDim: hidden / stageHeads }, null, {
      causal: false,
      bias,
      span: { kind: "chunk", size: reach * reach },
      referenceBlocks: { block: reach * reach, keys: reach * reach },
    });
    const layer: Layer = {
      mixers: [attention],
      ffns: [{ kind: "dense", width: Math.floor(hidden * ratio), gated: false, activation: "gelu", bias: true }],
      norm,
      normPlacement: kin.placement,
      extras: kin.places(stageHeads, window, reach),
    };
    const last = index === depths.length - 1;
    const cut = {
      name: "patches",
      inWidth: channels,
      outWidth: hidden,
      kernel: patch * patch,
      bias: true,
      positions: patches,
    };
    return {
      name: `stage${index}`,
      kind: "encoder",
      hiddenSize: hidden,
      length: { kind: "constant", tokens: at.reduce((product, side) => product * Math.ceil(side), 1) },
      layers: shareEqual(listLayers(count, () => layer)),
      finalNorm: last && kin.finalNorm ? norm : null,
      extras: {
        // Four neighbours become one token of twice the width: a quarter of the tokens pass.
        convolutions: index === 0 ? [cut] : [],
        products: last ? [] : [{ name: "merged", rows: 1, inner: hidden, columns: 2 * hidden }],
        weights: [
          ...(index === 0 ? [{ name: "patch_norm", shape: [2, hidden] }] : []),
          ...(last
            ? []
            : [
                { name: "merge", shape: [2 * hidden, 4 * hidden] },
                { name: "merge_norm", shape: [2, kin.mergedNorm * hidden] },
              ]),
        ],
      },
    };
  });
  const width = first * 2 ** (depths.length - 1);
  return {
    hiddenSize: width,
    vocabularySize: 0,
    contextLength: patches,
    embedding: { rows: 0, width, scale: null },
    head: { kind: "none", tied: true, bias: false, softcap: null },
    stacks: stages,
    dtypes: readDtypes(config),
  };
}

export const swinReaders: Readonly<Record<string, Reader>> = {
  swin: (config) => readSwinLike(config, swin),
  swinv2: (config) => readSwinLike(config, swin2),
  // models/donut (arXiv:2111.15664): without the norm at the end.
  "donut-swin": (config) => readSwinLike(config, { ...swin, finalNorm: false }),
};
