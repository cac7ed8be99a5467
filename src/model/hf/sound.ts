import type { ExtraLinear, ExtraWeight, Norm } from "../types.js";
import { purposeOf } from "./architecture.js";
import { flag, layerCount, listOf, oneOf, real, size, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readDtypes } from "./decoder.js";
import { plainLayers } from "./parts.js";
import type { Reader } from "./reader.js";

const from = "class default of wav2vec2";

/**
 * models/wav2vec2 and hubert (arXiv:2006.11477): n is the frames that the convolutions leave of the sound, 50 a second of
 * 16 kHz. A convolution that makes several positions of a frame is a linear map that each frame passes as often; the
 * positional convolution over neighbours is one of its groups' width.
 */
const readWav2Vec2: Reader = (config) => {
  const hidden = config.derived("hidden_size", size, from, () => 768);
  const heads = config.derived("num_attention_heads", size, from, () => 12);
  if (hidden % heads !== 0) throw config.bad("num_attention_heads", heads, `expected a divisor of ${hidden}`);
  const epsilon = config.derived("layer_norm_eps", real, from, () => 1e-5);
  const norm: Norm = { kind: "layer", bias: true, epsilon, offset: false };
  const stem = convolutions(config);
  const first = config.derived("do_stable_layer_norm", flag, from, () => false);
  const reach = config.derived("num_conv_pos_embeddings", size, from, () => 128);
  const groups = config.derived("num_conv_pos_embedding_groups", size, from, () => 16);
  if (hidden % groups !== 0)
    throw config.bad("num_conv_pos_embedding_groups", groups, `expected a divisor of ${hidden}`);
  const masked = (key: string, value: number): boolean => config.derived(key, real, from, () => value) > 0;
  const mask = masked("mask_time_prob", 0.05) || masked("mask_feature_prob", 0);
  const vocabulary = config.derived("vocab_size", tokenCount, from, () => 32);
  const width = config.derived("intermediate_size", size, from, () => 3072);
  config.ignore("apply_spec_augment", "proj_codevector_dim", "codevector_dim", "hidden_act");
  const linears: ExtraLinear[] = [
    ...stem.linears,
    { name: "project", inWidth: stem.width, outWidth: hidden, bias: true },
    { name: "positions", inWidth: (hidden / groups) * reach, outWidth: hidden, bias: true },
  ];
  const weights: ExtraWeight[] = [
    ...stem.weights,
    { name: "project_norm", shape: [2, stem.width] },
    { name: "position_lengths", shape: [reach] },
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
        layers: plainLayers(
          config.derived("num_hidden_layers", layerCount, from, () => 12),
          { hidden, heads, width, norm, causal: false, placement: first ? "pre" : "post-residual" },
        ),
        finalNorm: null,
        extras: { linears, weights },
      },
    ],
    dtypes: readDtypes(config),
  };
};

/** Convolutions over the sound: positions of each that one frame takes are the product of the later strides. */
function convolutions(config: ConfigReader): {
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
  const every = config.derived("feat_extract_norm", oneOf(["group", "layer"]), from, () => "group") === "layer";
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

export const soundReaders: Readonly<Record<string, Reader>> = { wav2vec2: readWav2Vec2, hubert: readWav2Vec2 };
