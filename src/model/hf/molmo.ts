import type { Layer, Norm, Stack } from "../types.js";
import { flag, integer, listOf, oneOf, real, size, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readLayerCount, readRotary } from "./decoder.js";
import { decoder, dense, inputBias, listLayers, noBias, softmax } from "./parts.js";
import type { Reader } from "./reader.js";
import { linear, norm2, weight } from "./beside.js";
import { type VisionReader, tower } from "./vision-tower.js";

/** Rows of a second table, for tokens that the first one was not made for. */
const addedTokens = 128;

/**
 * Molmo (arXiv:2409.17146), read after its published class, whose tower is fixed. intermediate_size counts both halves of
 * the gated network; norms stand before the branches, or after them (norm_after).
 */
const readMolmo: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  const kvHeads = config.derived("num_key_value_heads", size, "num_attention_heads", () => heads);
  if (hidden % heads !== 0 || heads % kvHeads !== 0) {
    throw config.bad("num_attention_heads", heads, `expected a divisor of ${hidden} and a multiple of ${kvHeads}`);
  }
  const both = config.size("intermediate_size");
  if (both % 2 !== 0) throw config.bad("intermediate_size", both, "expected an even number: it counts both halves");
  const kind = config.read("layer_norm_type", oneOf(["rms"]));
  const norm: Norm = { kind, bias: false, epsilon: config.real("layer_norm_eps"), offset: false };
  const normed = config.optional("attention_layer_norm", flag) ?? false;
  const after = config.optional("norm_after", flag) ?? false;
  const headDim = hidden / heads;
  const rows = config.derived("embedding_size", tokenCount, "vocab_size", () => config.read("vocab_size", tokenCount));
  const tied = config.optional("weight_tying", flag) ?? false;
  config.ignore("use_position_ids", "vocab_size", "max_position_embeddings");
  if ((config.optional("clip_qkv", real) ?? 0) !== 0) config.note("clipped queries, keys and values cost nothing here");
  const layer: Layer = {
    mixers: [
      softmax({ heads, kvHeads, headDim }, readRotary(config, headDim), {
        bias: config.flag("qkv_bias") ? inputBias : noBias,
        queryKeyNorm: normed ? "per-layer" : "none",
      }),
    ],
    ffns: [{ kind: "dense", width: both / 2, gated: true, activation: "silu", bias: false }],
    norm,
    normPlacement: after ? "post-branch" : "pre",
  };
  const result = decoder(config.with({ vocab_size: rows, tie_word_embeddings: tied }), {
    layers: listLayers(readLayerCount(config), () => layer),
    finalNorm: norm,
    extras: { weights: [{ name: "added_tokens", shape: [addedTokens, hidden] }] },
  });
  config.note("towers for images or sound are counted as parameters; text does not run them");
  return { ...result, stacks: [molmoTower(hidden, both / 2), ...result.stacks] };
};

/** CLIP's large encoder without its last two layers; two of its depths are pooled by attention, then projected. */
function molmoTower(textHidden: number, width: number): Stack {
  const hidden = 1024;
  return tower({
    hidden,
    count: 23,
    heads: 16,
    width: 4 * hidden,
    linears: [
      linear("pool_query", 2 * hidden, hidden),
      linear("pool_key", 2 * hidden, hidden),
      linear("pool_value", 2 * hidden, hidden),
      linear("pool_output", hidden, hidden),
      linear("project_gate", hidden, width, false),
      linear("project_up", hidden, width, false),
      linear("project_down", width, textHidden, false),
    ],
    weights: [
      weight("class_token", hidden),
      weight("patches", hidden, 3 * 14 * 14),
      weight("positions", 24 * 24 + 1, hidden),
      norm2("pre_norm", hidden),
      weight("padding", 2, 2 * hidden),
    ],
  });
}

/** The language model of Molmo 2: Qwen 3 with a second table, or OLMo's norms over all queries and all keys. */
const readMolmo2Text: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const headDim = config.size("head_dim");
  const heads = config.size("num_attention_heads");
  const kvHeads = config.size("num_key_value_heads");
  if (heads % kvHeads !== 0) throw config.bad("num_key_value_heads", kvHeads, `expected a divisor of ${heads}`);
  const norm: Norm = { kind: "rms", bias: false, epsilon: config.real("layer_norm_eps"), offset: false };
  const normed = config.read("use_qk_norm", flag);
  const over = config.read("qk_norm_type", oneOf(["qwen3", "olmo"]));
  const added = config.size("additional_vocab_size");
  const layer: Layer = {
    mixers: [
      softmax({ heads, kvHeads, headDim }, readRotary(config, headDim), {
        bias: config.flag("qkv_bias") ? inputBias : noBias,
        queryKeyNorm: !normed ? "none" : over === "qwen3" ? "per-head" : "per-layer",
      }),
    ],
    ffns: [dense(config)],
    norm,
    normPlacement: config.flag("norm_after") ? "post-branch" : "pre",
  };
  config.ignore("rope_scaling_layers");
  return decoder(config, {
    layers: listLayers(readLayerCount(config), () => layer),
    finalNorm: norm,
    extras: { weights: [{ name: "added_tokens", shape: [added, hidden] }] },
  });
};

/** Its tower: SigLIP 2 up to the deepest layer that the adapter reads. */
export const molmo2Vision: VisionReader = (unused, textHidden, whole) => {
  unused.ignoreRest();
  const from = "class default of molmo2";
  const vit = whole.child("vit_config", {}, "molmo2");
  const adapter = whole.child("adapter_config", {}, "molmo2");
  const sized = (config: ConfigReader, key: string, value: number): number =>
    config.derived(key, size, from, () => value);
  const hidden = sized(vit, "hidden_size", 1152);
  const patch = sized(vit, "image_patch_size", 14);
  const depth = sized(vit, "num_hidden_layers", 27);
  const heads = sized(vit, "num_attention_heads", 16);
  const width = sized(vit, "intermediate_size", 4304);
  const places = sized(vit, "image_num_pos", 729);
  const read = adapter.derived("vit_layers", listOf(integer), from, () => [-3, -9]);
  const deepest = Math.max(...read.map((layer) => (layer < 0 ? depth + layer : layer)));
  if (!(deepest >= 0 && deepest < depth)) {
    throw adapter.bad("vit_layers", JSON.stringify(read), `expected numbers of the ${depth} layers`);
  }
  const pooled = sized(adapter, "hidden_size", 1152);
  const inside = sized(adapter, "num_attention_heads", 16) * sized(adapter, "head_dim", 72);
  const inner = sized(adapter, "intermediate_size", 9728);
  vit.ignoreRest();
  adapter.ignoreRest();
  return tower({
    hidden,
    count: deepest + 1,
    heads,
    width,
    linears: [
      linear("patches", patch * patch * 3, hidden),
      ...["pool_query", "pool_key", "pool_value"].map((name) => linear(name, read.length * hidden, inside)),
      linear("pool_output", inside, pooled),
      linear("project_gate", pooled, inner, false),
      linear("project_up", pooled, inner, false),
      linear("project_down", inner, textHidden, false),
    ],
    weights: [weight("positions", places, hidden)],
  });
};

export const molmoReaders: Readonly<Record<string, Reader>> = { molmo: readMolmo, molmo2_text: readMolmo2Text };
