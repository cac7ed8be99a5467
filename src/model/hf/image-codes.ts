import type { ExtraLinear, ExtraWeight } from "../types.js";
import { linear, weight } from "./beside.js";
import { flag, layerCount, listOf, size } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";

/** More than any real file has: five levels of two blocks. */
const mostLevels = 16;
const mostBlocks = 64;

/**
 * What Janus makes images with: an encoder and a decoder of convolutions around a table of codes, a table, an aligner
 * and a head for the codes that the language model chooses (models/janus, models/chameleon). Text runs none of it.
 */
export function imageCodes(given: ConfigReader): {
  readonly linears: readonly ExtraLinear[];
  readonly weights: readonly ExtraWeight[];
} {
  const config = given.defaulting({
    embed_dim: 8,
    num_embeddings: 16_384,
    double_latent: false,
    latent_channels: 256,
    in_channels: 3,
    out_channels: 3,
    base_channels: 128,
    channel_multiplier: [1, 1, 2, 2, 4],
    num_res_blocks: 2,
    projection_dim: 2048,
    num_hidden_layers: 2,
    image_token_embed_dim: 2048,
  });
  const [code, codes, out] = [config.size("embed_dim"), config.size("num_embeddings"), config.size("projection_dim")];
  const latent = config.size("latent_channels");
  const base = config.size("base_channels");
  const channels = config.read("channel_multiplier", listOf(size)).map((multiplier) => multiplier * base);
  const blocks = config.size("num_res_blocks");
  if (channels.length === 0 || channels.length > mostLevels) {
    throw config.bad("channel_multiplier", `a list of ${channels.length}`, `expected 1 to ${mostLevels} levels`);
  }
  if (blocks > mostBlocks) throw config.bad("num_res_blocks", blocks, `expected at most ${mostBlocks}`);
  const encoded = config.optional("double_latent", flag) === true ? 2 * latent : latent;
  const [pixels, made] = [config.size("in_channels"), config.size("out_channels")];
  return {
    linears: [
      linear("codes_align0", code, out),
      ...Array.from({ length: config.read("num_hidden_layers", layerCount) - 1 }, (_, layer) =>
        linear(`codes_align${layer + 1}`, out, out),
      ),
      linear("codes_head_in", config.size("image_token_embed_dim"), out),
      linear("codes_head_out", out, codes),
    ],
    weights: [
      weight("codes_chosen", codes, code),
      weight("codes_table", codes, code),
      ...convolution("codes_in", encoded, code, 1),
      ...convolution("codes_out", code, latent, 1),
      ...imageEncoder(channels, blocks, pixels, encoded),
      ...imageDecoder(channels, blocks, made, latent),
    ],
  };
}

/** From pixels down: at each level some residual blocks and a convolution that halves the sides; attention at the last. */
function imageEncoder(channels: readonly number[], blocks: number, pixels: number, latent: number): ExtraWeight[] {
  const last = channels.length - 1;
  const widest = channels[last] ?? 0;
  const levels = channels.flatMap((width, level) => {
    const name = `image_down${level}`;
    const before = channels[level - 1] ?? channels[0] ?? width;
    return [
      ...residuals(name, level === 0 ? width : before, width, blocks, level === last),
      ...(level === last ? [] : convolution(`${name}_halve`, width, width, 3)),
    ];
  });
  return [
    ...convolution("image_down_in", pixels, channels[0] ?? 0, 3),
    ...levels,
    ...middle("image_down", widest),
    weight("image_down_norm", 2, widest),
    ...convolution("image_down_out", widest, latent, 3),
  ];
}

/** And back up, with one block more at each level. */
function imageDecoder(channels: readonly number[], blocks: number, made: number, latent: number): ExtraWeight[] {
  const last = channels.length - 1;
  const widest = channels[last] ?? 0;
  const levels = channels.toReversed().flatMap((width, from) => {
    const level = last - from;
    const name = `image_up${level}`;
    return [
      ...residuals(name, channels[level + 1] ?? widest, width, blocks + 1, level === last),
      ...(level === 0 ? [] : convolution(`${name}_double`, width, width, 3)),
    ];
  });
  return [
    ...convolution("image_up_in", latent, widest, 3),
    ...middle("image_up", widest),
    ...levels,
    weight("image_up_norm", 2, channels[0] ?? 0),
    ...convolution("image_up_out", channels[0] ?? 0, made, 3),
  ];
}

function middle(name: string, width: number): ExtraWeight[] {
  return [
    ...residual(`${name}_first`, width, width),
    ...attention(`${name}_attention`, width),
    ...residual(`${name}_second`, width, width),
  ];
}

function residuals(name: string, from: number, to: number, count: number, attends: boolean): ExtraWeight[] {
  return Array.from({ length: count }, (_, block) => [
    ...residual(`${name}_${block}`, block === 0 ? from : to, to),
    ...(attends ? attention(`${name}_${block}_attention`, to) : []),
  ]).flat();
}

function residual(name: string, from: number, to: number): ExtraWeight[] {
  return [
    weight(`${name}_norm1`, 2, from),
    ...convolution(`${name}_convolution1`, from, to, 3),
    weight(`${name}_norm2`, 2, to),
    ...convolution(`${name}_convolution2`, to, to, 3),
    ...(from === to ? [] : convolution(`${name}_past`, from, to, 1)),
  ];
}

function attention(name: string, width: number): ExtraWeight[] {
  return [
    weight(`${name}_norm`, 2, width),
    ...["query", "key", "value", "output"].flatMap((part) => convolution(`${name}_${part}`, width, width, 1)),
  ];
}

function convolution(name: string, from: number, to: number, side: number): ExtraWeight[] {
  return [weight(name, to, from, side, side), weight(`${name}_bias`, to)];
}
