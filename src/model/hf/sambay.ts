import type { Attention, ExtraWeight, GatedMemory, Layer, Mamba1, Span } from "../types.js";
import { flag, size, sizeOrZero, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { full, readLayerCount, shareEqual } from "./decoder.js";
import { allBias, decoder, dense, layerNorm, listLayers, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/**
 * SambaY (arXiv:2507.06607), the class of Phi-4-mini-flash. The first half and two layers more are the self-decoder: Mamba
 * and differential attention to a window in turn, its last attention to everything. The others are the cross-decoder:
 * gated memory units that read the last Mamba's scan, and attention that reads the last cache; both keep nothing.
 */
const readPhi4Flash: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const layers = readLayerCount(config);
  const heads = config.size("num_attention_heads");
  const kvHeads = config.derived("num_key_value_heads", size, "num_attention_heads", () => heads);
  if (hidden % heads !== 0) throw config.bad("num_attention_heads", heads, `expected a divisor of ${hidden}`);
  if (heads % 2 !== 0 || kvHeads % 2 !== 0 || heads % kvHeads !== 0) {
    throw config.bad("num_key_value_heads", kvHeads, `expected an even divisor of an even number of heads (${heads})`);
  }
  const headDim = hidden / heads;
  const norm = layerNorm(config, true, "layer_norm_eps");
  const period = config.read("mb_per_layer", sizeOrZero);
  const half = Math.floor(layers / 2);
  const mamba = mambaOf(config, hidden);
  const memory: GatedMemory = { kind: "gated-memory", width: mamba.width, bias: mamba.bias };
  const window = windowOf(config, layers, half);
  const crossing = (layer: number): boolean => layer >= half + 2;
  // Each half of the heads attends with both halves of the values.
  const attention = (layer: number): Attention =>
    softmax({ heads, kvHeads, headDim }, null, {
      bias: allBias,
      passes: 2,
      span: window(layer),
      ...(crossing(layer) ? { keyValue: "shared" as const } : {}),
    });
  const ffn = dense(config, { bias: config.flag("mlp_bias") });
  const weights: ExtraWeight[] = [
    { name: "lambdas", shape: [4, headDim] },
    { name: "difference_norm", shape: [2 * headDim] },
  ];
  const all = listLayers(layers, (layer): Layer => {
    const recurrent = period > 0 && layer % period === 0;
    const plain = { ffns: [ffn], norm, normPlacement: "pre" as const };
    if (recurrent) return { mixers: [crossing(layer) ? memory : mamba], ...plain };
    return { mixers: [attention(layer)], ...plain, extras: { weights } };
  });
  const result = decoder(config, { layers: all, finalNorm: norm, head: { bias: config.flag("lm_head_bias") } });
  config.note(
    "the cross-decoder keeps no cache: of a prompt only the last position passes it, where no other logits are asked for",
  );
  return {
    ...result,
    stacks: [
      { kind: "decoder", layers: shareEqual(all.slice(0, half + 2)), finalNorm: null },
      {
        kind: "decoder",
        name: "cross",
        length: { kind: "last" },
        layers: shareEqual(all.slice(half + 2)),
        finalNorm: norm,
      },
    ],
  };
};

function mambaOf(config: ConfigReader, hidden: number): Mamba1 {
  const automatic = Math.ceil(hidden / 16);
  return {
    kind: "mamba1",
    width: config.size("mamba_expand") * hidden,
    stateDim: config.size("mamba_d_state"),
    convolution: config.size("mamba_d_conv"),
    timeRank:
      config.raw("mamba_dt_rank") === "auto"
        ? automatic
        : config.derived("mamba_dt_rank", size, "hidden_size / 16", () => automatic),
    convolutionBias: config.read("mamba_conv_bias", flag),
    bias: config.flag("mamba_proj_bias"),
    innerNorms: false,
  };
}

/** sliding_window is a number for the odd layers of the first half, or one per layer as the class writes it. */
function windowOf(config: ConfigReader, layers: number, half: number): (layer: number) => Span {
  const listed = config.raw("sliding_window");
  if (Array.isArray(listed)) {
    if (listed.length !== layers || listed.some((item) => item !== null && typeof item !== "number")) {
      throw config.bad("sliding_window", `a list of ${listed.length}`, `expected ${layers} numbers or nulls`);
    }
    return (layer) => {
      const item: unknown = listed[layer];
      return typeof item === "number" && layer < half ? { kind: "window", size: item } : full;
    };
  }
  const one = config.read("sliding_window", tokenCount);
  return (layer) => (layer < half && layer % 2 === 1 ? { kind: "window", size: one } : full);
}

export const sambaYReaders: Readonly<Record<string, Reader>> = { phi4flash: readPhi4Flash };
