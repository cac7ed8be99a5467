import type { Attention, Mamba2, Norm } from "../types.js";
import { flag, integer, listOf, oneOf, size, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { full, readLayerCount, readRotary, windowOrFull } from "./decoder.js";
import { decoder, dense, flagOr, listLayers, rmsNorm, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/** PLaMo 1 to 3 (Preferred Networks), read after their published classes. */

/** PLaMo 1: attention and network in parallel behind one norm; n_shared_head queries share keys and values. */
const readPlamo: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  if (hidden % heads !== 0) throw config.bad("num_attention_heads", heads, `expected a divisor of ${hidden}`);
  const kvHeads = Math.ceil(heads / config.size("n_shared_head"));
  if (heads % kvHeads !== 0) {
    throw config.bad("n_shared_head", config.raw("n_shared_head"), `expected a divisor of the ${heads} heads`);
  }
  config.ignore("num_key_value_heads", "rope_traditional");
  const norm = rmsNorm(config);
  const attention = softmax({ heads, kvHeads, headDim: hidden / heads }, readRotary(config, hidden / heads));
  const ffn = dense(config, { activation: "silu" });
  return decoder(config, {
    layers: listLayers(readLayerCount(config), () => ({
      mixers: [attention],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
      arrangement: "parallel",
    })),
    finalNorm: norm,
  });
};

/** Norms before and after each branch, kept as differences from 1, and from 1/5 and 5^(−3/2) after the branches. */
function offsetNorm(config: ConfigReader): Norm {
  return { ...rmsNorm(config), offset: true };
}

/** PLaMo 2 (as Samba, arXiv:2406.07522): Mamba 2 whose B, C and Δ are projected late, and attention to a window. */
const readPlamo2: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const layers = readLayerCount(config);
  const headDim = config.size("hidden_size_per_head");
  const norm = offsetNorm(config);
  const heads = config.size("num_attention_heads");
  const kvHeads = config.size("num_key_value_heads");
  if (heads % kvHeads !== 0) throw config.bad("num_key_value_heads", kvHeads, `expected a divisor of ${heads}`);
  const window = config.read("attention_window_size", tokenCount);
  const everywhere = new Set(config.optional("full_attention_idx", listOf(integer)) ?? []);
  const attention = (layer: number): Attention =>
    softmax({ heads, kvHeads, headDim }, readRotary(config, headDim), {
      queryKeyNorm: "each-head",
      span: everywhere.has(layer) ? full : windowOrFull(window),
    });
  const mamba: Mamba2 = {
    kind: "mamba2",
    heads: config.size("mamba_num_heads"),
    headDim,
    stateDim: config.size("mamba_d_state"),
    groups: 1,
    convolution: config.size("mamba_d_conv"),
    chunk: config.size("mamba_chunk_size"),
    convolutionBias: false,
    bias: false,
    gatedNorm: false,
    selectRank: Math.max(64, Math.floor(hidden / 16)),
  };
  const enabled = flagOr(config, "mamba_enabled", true);
  const step = config.read("mamba_step", size);
  if (enabled && step < 2) throw config.bad("mamba_step", step, "expected at least 2");
  const half = Math.floor(step / 2);
  const recurrent = (layer: number): boolean =>
    enabled && (layers <= half ? layer !== layers - 1 : layer % step !== half);
  const ffn = dense(config, { activation: "silu" });
  config.ignore("eval_attention_n_bit", "eval_mlp_n_bit", "use_fast_path", "fp8_accum_dtype");
  return decoder(config, {
    layers: listLayers(layers, (layer) => ({
      mixers: [recurrent(layer) ? mamba : attention(layer)],
      ffns: [ffn],
      norm,
      normPlacement: "sandwich",
    })),
    finalNorm: norm,
  });
};

/** PLaMo 3: attention alone, every sliding_window_pattern-th layer to everything. */
const readPlamo3: Reader = (config) => {
  const headDim = config.size("head_dim");
  const layers = readLayerCount(config);
  const heads = config.size("num_attention_heads");
  const kvHeads = config.size("num_key_value_heads");
  if (heads % kvHeads !== 0) throw config.bad("num_key_value_heads", kvHeads, `expected a divisor of ${heads}`);
  if (config.peek("attention_bias", flag) === true) throw config.bad("attention_bias", true, "expected false");
  const norm = offsetNorm(config);
  const rotary = readRotary(config, headDim);
  const period = config.size("sliding_window_pattern");
  const named = config.peek("layer_types", listOf(oneOf(["full_attention", "sliding_attention"])));
  if (named !== null && named.length !== layers) {
    throw config.bad("layer_types", named.length, `expected ${layers} items, one per layer`);
  }
  const window = config.raw("sliding_window");
  // Newer files have the window of each layer beside window_size.
  const wide = typeof window === "number" ? window : config.read("window_size", tokenCount);
  config.ignore("sliding_window", "rope_local_theta", "interleaved_sliding_window", "linear_type");
  const slides = (layer: number): boolean =>
    named === null ? (layer + 1) % period !== 0 : named[layer] === "sliding_attention";
  const ffn = dense(config, { activation: "silu" });
  return decoder(config, {
    layers: listLayers(layers, (layer) => ({
      mixers: [
        softmax({ heads, kvHeads, headDim }, rotary, {
          queryKeyNorm: "per-head",
          span: slides(layer) ? { kind: "window", size: wide } : full,
        }),
      ],
      ffns: [ffn],
      norm,
      normPlacement: "sandwich",
    })),
    finalNorm: norm,
  });
};

export const plamoReaders: Readonly<Record<string, Reader>> = {
  plamo: readPlamo,
  plamo2: readPlamo2,
  plamo3: readPlamo3,
};
