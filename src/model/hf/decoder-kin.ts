import type { Attention, Layer, Norm } from "../types.js";
import { integer, listOf, sizeOrZero, tokenCount } from "./checks.js";
import { readLayerCount, readRotary } from "./decoder.js";
import { readMoe } from "./moe.js";
import { biasOf, decoder, dense, listLayers, moe, rmsNorm, sharedWidth, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/** Decoders read after their published classes, where what a file leaves out is an error. */

/** Klear: norms of queries and keys per head; two learned shares weigh the experts and the shared ones. */
const readKlear: Reader = (config) => {
  const layers = readLayerCount(config);
  const hidden = config.size("hidden_size");
  const period = config.size("decoder_sparse_step");
  const plainOnes = new Set(config.optional("mlp_only_layers", listOf(integer)) ?? []);
  const experts = moe(config, { activation: "silu", sharedWidth: sharedWidth(config) });
  const sparse = Array.from({ length: layers }, (_, layer) => !plainOnes.has(layer) && (layer + 1) % period === 0);
  const plain = sparse.every(Boolean) ? null : dense(config, { activation: "silu" });
  config.ignore("intermediate_size", "hidden_act");
  const beside: Partial<Layer> = {
    extras: {
      linears: [{ name: "shares", inWidth: hidden, outWidth: 2, bias: true }],
      weights: [{ name: "expert_bias", shape: [experts.experts] }],
    },
  };
  const bias = biasOf(config.flag("attention_bias"));
  return readMoe(config, {
    ffn: (layer) => [sparse[layer] === true || plain === null ? experts : plain],
    attention: () => ({ queryKeyNorm: "per-head", bias }),
    layer: (layer) => (sparse[layer] === true ? beside : {}),
  });
};

/** Lille: GPT-2's key names, Llama's layers; the gated network is 8/3 wide, to the nearest 256. */
const readLille: Reader = (config) => {
  const hidden = config.size("n_embd");
  const heads = config.size("n_head");
  const kvHeads = config.size("n_kv_heads");
  if (hidden % heads !== 0 || heads % kvHeads !== 0) {
    throw config.bad("n_head", heads, `expected a divisor of ${hidden} and a multiple of ${kvHeads}`);
  }
  const headDim = hidden / heads;
  const norm: Norm = { kind: "rms", bias: false, epsilon: config.real("layer_norm_eps"), offset: false };
  const width = 256 * Math.round(Math.floor((8 * hidden) / 3) / 256);
  const layer: Layer = {
    mixers: [softmax({ heads, kvHeads, headDim }, readRotary(config, headDim))],
    ffns: [{ kind: "dense", width, gated: true, activation: "silu", bias: false }],
    norm,
    normPlacement: "pre",
  };
  return decoder(config, {
    hiddenSize: hidden,
    contextLength: config.optional("block_size", tokenCount),
    layers: listLayers(config.size("n_layer"), () => layer),
    finalNorm: norm,
  });
};

/** Baichuan-M1 (arXiv:2502.12671): keys and values are mixed with those of the token before; some layers slide. */
const readBaichuanM1: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const window = config.read("sliding_window", tokenCount);
  const sliding = new Set(config.optional("sliding_window_layers", listOf(integer)) ?? []);
  const reach = config.size("conv_window");
  if (reach !== 2) throw config.bad("conv_window", reach, "expected 2: keys and values with those of the token before");
  const norm = rmsNorm(config);
  const ffn = dense(config, { activation: "silu" });
  const attention = (heads: number, kvHeads: number, span: Attention["span"]): Attention => {
    if (hidden % heads !== 0 || heads % kvHeads !== 0) {
      throw config.bad("num_attention_heads", heads, `expected a divisor of ${hidden} and a multiple of ${kvHeads}`);
    }
    return softmax({ heads, kvHeads, headDim: hidden / heads }, readRotary(config, hidden / heads), { span });
  };
  const heads = config.size("num_attention_heads");
  const kvHeads = config.size("num_key_value_heads");
  const orElse = (key: string, otherwise: number): number => {
    const own = config.optional(key, sizeOrZero) ?? 0;
    return own === 0 ? otherwise : own;
  };
  const everywhere = attention(heads, kvHeads, { kind: "full" });
  const local = attention(orElse("num_swa_attention_heads", heads), orElse("num_swa_key_value_heads", kvHeads), {
    kind: "window",
    size: window,
  });
  config.note("the key and value before, which each layer keeps for its convolutions, are not counted with the cache");
  return decoder(config, {
    layers: listLayers(readLayerCount(config), (layer): Layer => {
      const mixer = sliding.has(layer) ? local : everywhere;
      const weights = [{ name: "key_value_convolutions", shape: [2, mixer.kvHeads, reach] }];
      return { mixers: [mixer], ffns: [ffn], norm, normPlacement: "pre", extras: { weights } };
    }),
    finalNorm: norm,
  });
};

export const decoderKinReaders: Readonly<Record<string, Reader>> = {
  Klear: readKlear,
  "lille-130m": readLille,
  baichuan_m1: readBaichuanM1,
};
