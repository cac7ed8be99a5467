import type { ExtraLinear, ExtraWeight, Stack } from "../types.js";
import { tokensBeside } from "./audio-tower.js";
import { linear, norm2, weight } from "./beside.js";
import { flag, layerCount, listOf, oneOf, real, size } from "./checks.js";
import type { TowerBeside, VisionReader } from "./vision-tower.js";

/** Towers of convolutions: parameters only, as all towers in text. */

function convolved(hidden: number, { linears, weights = [] }: TowerBeside): Stack {
  return {
    kind: "vision",
    hiddenSize: hidden,
    length: { kind: "absent" },
    layers: [],
    finalNorm: null,
    extras: { linears, weights },
  };
}

interface Inverted {
  readonly from: number;
  readonly to: number;
  /** Sides of the depthwise convolutions before and after the channels widen; 0 where there is none. */
  readonly first: number;
  readonly middle: number;
  readonly expansion: number;
}

/** A universal inverted bottleneck (MobileNetV4, arXiv:2404.10518), each convolution with a norm. */
function inverted(name: string, { from, to, first, middle, expansion }: Inverted): ExtraWeight[] {
  const wide = from * expansion;
  const normed = (part: string, out: number, ...rest: number[]): ExtraWeight[] => [
    weight(`${name}_${part}`, out, ...rest),
    weight(`${name}_${part}_norm`, out),
  ];
  return [
    ...(first === 0 ? [] : normed("first", from, 1, first, first)),
    ...normed("widen", wide, from),
    ...(middle === 0 ? [] : normed("middle", wide, 1, middle, middle)),
    ...normed("narrow", to, wide),
  ];
}

/** The same with one convolution in place of two. */
function fused(name: string, from: number, to: number): ExtraWeight[] {
  const wide = 4 * from;
  return [
    weight(`${name}_widen`, wide, from, 3, 3),
    weight(`${name}_widen_norm`, wide),
    weight(`${name}_narrow`, to, wide),
    weight(`${name}_narrow_norm`, to),
  ];
}

/** Attention with one head of keys and values, of a quarter of the places where `halved`. */
function multiQuery(name: string, width: number, heads: number, dim: number, halved: boolean): ExtraWeight[] {
  const halving = (part: string): ExtraWeight[] =>
    halved ? [weight(`${name}_${part}_halve`, width, 1, 3, 3), weight(`${name}_${part}_norm`, width)] : [];
  return [
    weight(`${name}_norm`, width),
    weight(`${name}_query`, heads * dim, width),
    ...halving("key"),
    weight(`${name}_key`, dim, width),
    ...halving("value"),
    weight(`${name}_value`, dim, width),
    weight(`${name}_output`, width, heads * dim),
    weight(`${name}_scale`, width),
  ];
}

/** Gemma 3n's MobileNetV5 (timm, mobilenetv5_300m_enc): four stages, the last two joined at one resolution. */
const mobileNet: VisionReader = (given, textHidden) => {
  const config = given.defaulting({ architecture: "mobilenetv5_300m_enc", hidden_size: 2048, vocab_size: 128 });
  config.read("architecture", oneOf(["mobilenetv5_300m_enc"]));
  const hidden = config.size("hidden_size");
  config.ignore("do_pooling", "label_names", "model_args", "num_classes", "vocab_offset");
  let at = 0;
  const block = (part: Inverted): ExtraWeight[] => {
    const name = `block${at++}`;
    return [...inverted(name, part), weight(`${name}_scale`, part.to)];
  };
  const attending = (width: number, heads: number, dim: number, halved: boolean): ExtraWeight[] => [
    ...multiQuery(`block${at++}`, width, heads, dim, halved),
    ...block({ from: width, to: width, first: 0, middle: 0, expansion: 2 }),
  ];
  const repeated = (times: number, make: () => ExtraWeight[]): ExtraWeight[] =>
    Array.from({ length: times }, make).flat();
  const beside = tokensBeside(config, hidden, textHidden);
  return convolved(hidden, {
    linears: beside.linears,
    weights: [
      weight("stem", 64, 3, 3, 3),
      weight("stem_bias", 64),
      weight("stem_norm", 64),
      ...fused(`block${at++}`, 64, 128),
      ...repeated(2, () => fused(`block${at++}`, 128, 128)),
      ...block({ from: 128, to: 256, first: 3, middle: 5, expansion: 6 }),
      ...[5, 3, 5, 3].flatMap((first) => block({ from: 256, to: 256, first, middle: 0, expansion: 4 })),
      ...block({ from: 256, to: 640, first: 5, middle: 5, expansion: 6 }),
      ...repeated(7, () => block({ from: 640, to: 640, first: 5, middle: 0, expansion: 4 })),
      ...block({ from: 640, to: 640, first: 0, middle: 0, expansion: 1 }),
      ...repeated(14, () => attending(640, 12, 64, true)),
      ...block({ from: 640, to: 1280, first: 5, middle: 5, expansion: 6 }),
      ...repeated(19, () => attending(1280, 16, 96, false)),
      ...inverted("join", { from: 640 + 1280, to: hidden, first: 0, middle: 0, expansion: 2 }),
      weight("join_norm", hidden),
      ...(beside.weights ?? []),
    ],
  });
};

/** Florence-2's DaViT: stages of attention in windows and of attention between channels (models/florence2). */
const daVit: VisionReader = (given, _textHidden) => {
  const config = given.defaulting({
    in_channels: 3,
    depths: [1, 1, 9, 1],
    patch_size: [7, 3, 3, 3],
    patch_prenorm: [false, true, true, true],
    embed_dim: [128, 256, 512, 1024],
    mlp_ratio: 4,
    qkv_bias: true,
    projection_dim: 1024,
    max_position_embeddings: 50,
  });
  const widths = config.read(["embed_dim", "dim_embed"], listOf(size));
  const perStage = <T>(key: string, list: readonly T[]): readonly T[] => {
    if (list.length === widths.length) return list;
    throw config.bad(key, `a list of ${list.length}`, `expected ${widths.length} items, one per stage`);
  };
  const depths = perStage("depths", config.read("depths", listOf(layerCount)));
  const sides = perStage("patch_size", config.read("patch_size", listOf(size)));
  const normedBefore = perStage("patch_prenorm", config.read("patch_prenorm", listOf(flag)));
  const ratio = config.read("mlp_ratio", real);
  const bias = config.flag("qkv_bias");
  const out = config.size("projection_dim");
  const last = widths.at(-1);
  if (last === undefined || depths.reduce((sum, depth) => sum + depth, 0) > mostBlocks) {
    throw config.bad("depths", depths.join(", "), `expected up to ${mostBlocks} blocks in at least one stage`);
  }
  config.ignoreRest();
  const stages = widths.map((width, stage) => {
    const from = stage === 0 ? config.size("in_channels") : (widths[stage - 1] ?? 0);
    const side = sides[stage] ?? 0;
    const names = Array.from({ length: depths[stage] ?? 0 }, (_, block) =>
      ["window", "channel"].map((kind) => `stage${stage}_${kind}${block}`),
    ).flat();
    const inner = Math.floor(width * ratio);
    if (inner < 1) throw config.bad("mlp_ratio", ratio, "expected a number that leaves networks some width");
    return {
      linears: names.flatMap((name): ExtraLinear[] => [
        linear(`${name}_qkv`, width, 3 * width, bias),
        linear(`${name}_output`, width, width),
        linear(`${name}_up`, width, inner),
        linear(`${name}_down`, inner, width),
      ]),
      weights: [
        weight(`stage${stage}_patches`, width, from, side, side),
        weight(`stage${stage}_patch_bias`, width),
        norm2(`stage${stage}_patch_norm`, normedBefore[stage] === true ? from : width),
        ...names.flatMap((name) => [
          weight(`${name}_convolutions`, 2, width, 3, 3),
          weight(`${name}_convolution_biases`, 2, width),
          weight(`${name}_norms`, 2, 2, width),
        ]),
      ],
    };
  });
  return convolved(last, {
    linears: [...stages.flatMap(({ linears }) => linears), linear("project", last, out, false)],
    weights: [
      ...stages.flatMap(({ weights }) => weights),
      norm2("project_norm", out),
      // Rows have half of the channels, columns the rest.
      weight("positions", config.size("max_position_embeddings"), last),
    ],
  });
};

/** More than any real file has: 12 in four stages. */
const mostBlocks = 1000;

export const convolvedVision = { mobileNet, daVit } as const;
