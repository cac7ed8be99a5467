import type { ExtraLinear, ExtraWeight, Layer, Norm } from "../types.js";
import { purposeOf } from "./architecture.js";
import { flag, layerCount, listOf, oneOf, real, size, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readDtypes } from "./decoder.js";
import { plainLayers } from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

const from = "class default of wav2vec2";

/** What the kin of wav2vec2 have in place of its positions, its norms and its layers. */
interface Kin {
  readonly positions: (config: ConfigReader, hidden: number) => Positions;
  /** Every convolution over the sound has a norm, whatever feat_extract_norm says. */
  readonly everyNorm?: true;
  readonly layers: (config: ConfigReader, plain: readonly Layer[]) => readonly Layer[];
}

interface Positions {
  readonly linears: readonly ExtraLinear[];
  readonly weights: readonly ExtraWeight[];
}

const wav2Vec2: Kin = { positions: neighbours, layers: (_, plain) => plain };

/** One convolution over neighbours, kept as direction and length. */
function neighbours(config: ConfigReader, hidden: number): Positions {
  const reach = config.derived("num_conv_pos_embeddings", size, from, () => 128);
  const groups = groupsOf(config, hidden);
  return {
    linears: [{ name: "positions", inWidth: (hidden / groups) * reach, outWidth: hidden, bias: true }],
    weights: [{ name: "position_lengths", shape: [reach] }],
  };
}

function groupsOf(config: ConfigReader, hidden: number): number {
  const groups = config.derived("num_conv_pos_embedding_groups", size, from, () => 16);
  if (hidden % groups !== 0)
    throw config.bad("num_conv_pos_embedding_groups", groups, `expected a divisor of ${hidden}`);
  return groups;
}

/** models/data2vec_audio (arXiv:2202.03555): several convolutions over neighbours, norms without weights between. */
const data2Vec: Kin = {
  ...wav2Vec2,
  everyNorm: true,
  positions: (config, hidden) => {
    const count = config.derived("num_conv_pos_embeddings", layerCount, "class default of data2vec-audio", () => 5);
    const reach = config.derived("conv_pos_kernel_size", size, "class default of data2vec-audio", () => 19);
    const inWidth = (hidden / groupsOf(config, hidden)) * reach;
    const linears = Array.from({ length: count }, (_, index) => ({
      name: `positions${index}`,
      inWidth,
      outWidth: hidden,
      bias: true,
    }));
    return { linears, weights: [] };
  },
};

/**
 * models/wavlm (arXiv:2110.13900): scores by relative position from the first layer's table, gated in each layer by what
 * eight numbers per head say.
 */
const wavLm: Kin = {
  ...wav2Vec2,
  layers: (config, plain) => {
    const buckets = config.derived("num_buckets", size, "class default of wavlm", () => 320);
    const reach = config.derived("max_bucket_distance", size, "class default of wavlm", () => 800);
    const layerOf = (layer: Layer, own: boolean): Layer => {
      const [mixer] = layer.mixers;
      if (mixer?.kind !== "attention") return layer;
      const { heads, keyDim } = mixer;
      return {
        ...layer,
        mixers: [{ ...mixer, relativePositions: { buckets, reach, own } }],
        extras: {
          linears: [{ name: "distance_gate", inWidth: keyDim, outWidth: 8, bias: true, times: heads }],
          weights: [{ name: "distance_constant", shape: [heads] }],
        },
      };
    };
    const others = plain[1] === undefined ? null : layerOf(plain[1], false);
    return plain.map((layer, index) => (index === 0 || others === null ? layerOf(layer, true) : others));
  },
};

/**
 * models/wav2vec2 and its kin (arXiv:2006.11477): n is the frames that the convolutions leave of the sound, 50 a second of
 * 16 kHz. A convolution that makes several positions of a frame is a linear map that each frame passes as often; the
 * positional convolution over neighbours is one of its groups' width.
 */
function readSpeech(config: ConfigReader, kin: Kin): ReaderResult {
  const hidden = config.derived("hidden_size", size, from, () => 768);
  const heads = config.derived("num_attention_heads", size, from, () => 12);
  if (hidden % heads !== 0) throw config.bad("num_attention_heads", heads, `expected a divisor of ${hidden}`);
  const epsilon = config.derived("layer_norm_eps", real, from, () => 1e-5);
  const norm: Norm = { kind: "layer", bias: true, epsilon, offset: false };
  const stem = convolutions(config, kin.everyNorm === true);
  const first = config.derived("do_stable_layer_norm", flag, from, () => false);
  const positions = kin.positions(config, hidden);
  const masked = (key: string, value: number): boolean => config.derived(key, real, from, () => value) > 0;
  const mask = masked("mask_time_prob", 0.05) || masked("mask_feature_prob", 0);
  const vocabulary = config.derived("vocab_size", tokenCount, from, () => 32);
  const width = config.derived("intermediate_size", size, from, () => 3072);
  config.ignore("apply_spec_augment", "proj_codevector_dim", "codevector_dim", "hidden_act");
  const linears: ExtraLinear[] = [
    ...stem.linears,
    { name: "project", inWidth: stem.width, outWidth: hidden, bias: true },
    ...positions.linears,
  ];
  const weights: ExtraWeight[] = [
    ...stem.weights,
    { name: "project_norm", shape: [2, stem.width] },
    ...positions.weights,
    { name: "encoder_norm", shape: [2, hidden] },
    ...(mask ? [{ name: "mask", shape: [hidden] }] : []),
  ];
  const transcribes = purposeOf(config) === "language-model";
  return {
    hiddenSize: hidden,
    vocabularySize: 0,
    contextLength: null,
    embedding: { rows: 0, width: hidden, scale: null },
    head: { kind: "none", tied: true, bias: false, softcap: null },
    ...(transcribes
      ? { extras: { linears: [{ name: "letters", inWidth: hidden, outWidth: vocabulary, bias: true }] } }
      : {}),
    stacks: [
      {
        kind: "encoder",
        length: { kind: "new" },
        layers: kin.layers(
          config,
          plainLayers(
            config.derived("num_hidden_layers", layerCount, from, () => 12),
            { hidden, heads, width, norm, causal: false, placement: first ? "pre" : "post-residual" },
          ),
        ),
        finalNorm: null,
        extras: { linears, weights },
      },
    ],
    dtypes: readDtypes(config),
  };
}

/** Convolutions over the sound: positions of each that one frame takes are the product of the later strides. */
function convolutions(
  config: ConfigReader,
  everyNorm: boolean,
): {
  readonly linears: readonly ExtraLinear[];
  readonly weights: readonly ExtraWeight[];
  readonly width: number;
} {
  const list = (key: string, value: number[]): number[] => config.derived(key, listOf(size), from, () => value);
  const widths = list("conv_dim", [512, 512, 512, 512, 512, 512, 512]);
  const kernels = list("conv_kernel", [10, 3, 3, 3, 3, 2, 2]);
  const strides = list("conv_stride", [5, 2, 2, 2, 2, 2, 2]);
  if (
    widths.length === 0 ||
    kernels.length !== widths.length ||
    strides.length !== widths.length ||
    widths.length > 32
  ) {
    throw config.bad("conv_dim", widths.length, "expected as many entries as conv_kernel and conv_stride, 1 to 32");
  }
  const bias = config.derived("conv_bias", flag, from, () => false);
  const every =
    everyNorm || config.derived("feat_extract_norm", oneOf(["group", "layer"]), from, () => "group") === "layer";
  const linears = widths.map((outWidth, index): ExtraLinear => {
    const times = strides.slice(index + 1).reduce((product, stride) => product * stride, 1);
    if (times > 4096) throw config.bad("conv_stride", strides, "expected strides whose product is at most 4096");
    const inWidth = (widths[index - 1] ?? 1) * (kernels[index] ?? 1);
    return { name: `convolution${index}`, inWidth, outWidth, bias, times };
  });
  const weights = widths
    .slice(0, every ? undefined : 1)
    .map((outWidth, index): ExtraWeight => ({ name: `convolution${index}_norm`, shape: [2, outWidth] }));
  return { linears, weights, width: widths.at(-1) ?? 1 };
}

const readWav2Vec2: Reader = (config) => readSpeech(config, wav2Vec2);

export const soundReaders: Readonly<Record<string, Reader>> = {
  wav2vec2: readWav2Vec2,
  hubert: readWav2Vec2,
  unispeech: readWav2Vec2,
  "unispeech-sat": readWav2Vec2,
  wavlm: (config) => readSpeech(config, wavLm),
  "data2vec-audio": (config) => readSpeech(config, data2Vec),
};
