import type { Layer, Stack } from "../types.js";
import { linear, weight } from "./beside.js";
import { layerCount, listOf, size, sizeOrZero } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { shareEqual } from "./decoder.js";
import { allBias, noBias, softmax } from "./parts.js";
import { type TowerBeside, layerNormed, rmsNormed, tower } from "./vision-tower.js";

/** Towers for sound beside a language model: counted as parameters, not run for text. */

/** Reads `audio_config` of one family. */
export type AudioReader = (config: ConfigReader, textHidden: number) => Stack;

/** Whisper's encoder, of no bias in keys; what joins it to the language model (models/whisper, qwen2_audio, voxtral). */
function whisper(config: ConfigReader, positions: boolean, beside: (hidden: number) => TowerBeside): Stack {
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

interface Conformer {
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly kernel: number;
  /** Channels of the two convolutions that halve time and bands, and the bands that come in. */
  readonly channels: readonly [number, number];
  readonly bands: number;
  readonly beside: TowerBeside;
}

/** Conformer layers behind two convolutions (Universal Speech Model, arXiv:2303.01037; models/gemma3n, gemma4). */
function conformer({ hidden, layers, heads, kernel, channels, bands, beside }: Conformer): Stack {
  const [first, second] = channels;
  const ffn = { kind: "dense", width: 4 * hidden, gated: false, activation: "silu", bias: false } as const;
  const layer: Layer = {
    mixers: [softmax({ heads, kvHeads: heads, headDim: hidden / heads }, null, { causal: false, bias: noBias })],
    ffns: [ffn, ffn],
    norm: rmsNormed,
    normPlacement: "sandwich",
    extras: {
      linears: [
        linear("relative_key", hidden, hidden, false),
        linear("convolution_in", hidden, 2 * hidden, false),
        linear("convolution_out", hidden, hidden, false),
      ],
      weights: [weight("convolution", hidden, 1, kernel), weight("norms", 3, hidden), weight("scale", hidden / heads)],
    },
  };
  return {
    kind: "audio",
    hiddenSize: hidden,
    length: { kind: "absent" },
    layers: shareEqual(Array.from({ length: layers }, () => layer)),
    finalNorm: null,
    extras: {
      linears: [linear("subsample", second * Math.ceil(bands / 4), hidden, false), ...beside.linears],
      weights: [
        weight("convolution0", first, 1, 3, 3),
        weight("convolution1", second, first, 3, 3),
        weight("convolution_norms", first + second),
        ...(beside.weights ?? []),
      ],
    },
  };
}

const gemma4: AudioReader = (config, textHidden) => {
  const from = "class default of gemma4_audio";
  const hidden = config.derived("hidden_size", size, from, () => 1024);
  const layers = config.derived("num_hidden_layers", sizeOrZero, from, () => 12);
  const heads = config.derived("num_attention_heads", size, from, () => 8);
  const kernel = config.derived("conv_kernel_size", size, from, () => 5);
  const out = config.derived("output_proj_dims", size, from, () => textHidden);
  config.ignoreRest();
  const linears = [linear("output", hidden, out), linear("project", out, textHidden, false)];
  return conformer({ hidden, layers, heads, kernel, channels: [128, 32], bands: 128, beside: { linears } });
};

/** Gemma 3n: what the tower hears, and tokens of its own, pass norms and one projection. */
const gemma3n: AudioReader = (given, textHidden) => {
  const config = given.defaulting({
    hidden_size: 1536,
    conf_num_hidden_layers: 12,
    conf_num_attention_heads: 8,
    conf_conv_kernel_size: 5,
    sscp_conv_channel_size: [128, 32],
    input_feat_size: 128,
    vocab_size: 128,
  });
  const [first, second, ...more] = config.read("sscp_conv_channel_size", listOf(size));
  const kernels = config.raw("sscp_conv_kernel_size");
  if (first === undefined || second === undefined || more.length > 0) {
    throw config.bad("sscp_conv_channel_size", config.raw("sscp_conv_channel_size"), "expected two numbers");
  }
  if (kernels !== undefined && JSON.stringify(kernels) !== "[[3,3],[3,3]]") {
    throw config.bad("sscp_conv_kernel_size", kernels, "only [[3, 3], [3, 3]] is understood");
  }
  const hidden = config.size("hidden_size");
  const heads = config.size("conf_num_attention_heads");
  if (hidden % heads !== 0) throw config.bad("conf_num_attention_heads", heads, `expected a divisor of ${hidden}`);
  config.ignoreRest();
  return conformer({
    hidden,
    heads,
    layers: config.read("conf_num_hidden_layers", layerCount),
    kernel: config.size("conf_conv_kernel_size"),
    channels: [first, second],
    bands: config.size("input_feat_size"),
    beside: tokensBeside(config, hidden, textHidden),
  });
};

/** Gemma 3n: a table of tokens of a tower's own, norms of these and of what it sees or hears, one projection. */
export function tokensBeside(config: ConfigReader, hidden: number, textHidden: number): TowerBeside {
  return {
    linears: [linear("project", hidden, textHidden, false)],
    weights: [weight("tokens", config.size("vocab_size"), hidden), weight("project_norms", 2, hidden)],
  };
}

export const wrappedAudio = { qwen2Audio, qwen25Omni, voxtral, gemma3n, gemma4 } as const;
