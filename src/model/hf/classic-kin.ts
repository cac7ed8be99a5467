import { type Check, flag, layerCount, real, size } from "./checks.js";
import { classicReaders, readClassic } from "./classic.js";
import { readLayerCount } from "./decoder.js";
import { decoder, flagOr, listLayers, noBias, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/** Older or unusual decoders, read after their published classes: what a file leaves out is an error. */

/** models/ctrl: sinusoids for positions, a plain ReLU network, a biased head tied to the embedding. */
const readCtrl: Reader = (config) => {
  const hidden = config.size("n_embd");
  const named = config.with({ activation_function: "relu", tie_word_embeddings: true });
  const result = readClassic(named, { width: config.size("dff"), headBias: true });
  return { ...result, embedding: { ...result.embedding, scale: Math.sqrt(hidden) } };
};

/** models/gpt_neox_japanese: no biases, but for the output projection of the last layer's attention. */
const readNeoXJapanese: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const headDim = hidden / config.size("num_attention_heads");
  const share = config.optional("rotary_pct", real) ?? 1;
  const last = readLayerCount(config) - 1;
  config.ignore("rotary_emb_base");
  const result = readClassic(config, {
    rotary: { dims: Math.max(2, 2 * Math.floor((headDim * share) / 2)), theta: 10_000, interleaved: false },
    attention: { bias: noBias },
    ffnBias: false,
    width: config.size("intermediate_multiple_size") * hidden,
    activationKey: "hidden_act",
  });
  const biased = { extras: { weights: [{ name: "output_bias", shape: [hidden] }] } };
  return {
    ...result,
    stacks: result.stacks.map((stack) => ({
      ...stack,
      layers: stack.layers.map((layer, index) => (index === last ? { ...layer, ...biased } : layer)),
    })),
  };
};

const factor: Check<number> = { schema: real.schema, expected: real.expected };

/** OpenELM (arXiv:2404.14619): heads and widths that grow from layer to layer. */
const readOpenElm: Reader = (config) => {
  const hidden = config.size("model_dim");
  const layers = config.read("num_transformer_layers", layerCount);
  const headDim = config.size("head_dim");
  const divisor = config.size("ffn_dim_divisor");
  const heads = config.perLayer("num_query_heads", size, layers);
  const kvHeads = config.perLayer("num_kv_heads", size, layers);
  const factors = config.perLayer("ffn_multipliers", factor, layers);
  if (heads === null) throw config.bad("num_query_heads", undefined, "expected a list with one number per layer");
  if (kvHeads === null) throw config.bad("num_kv_heads", undefined, "expected a list with one number per layer");
  if (factors === null) throw config.bad("ffn_multipliers", undefined, "expected a list with one number per layer");
  const norm = { kind: "rms", bias: false, epsilon: 1e-6, offset: false } as const;
  const rotary = { dims: headDim, theta: config.optional("rope_freq_constant", real) ?? 10_000, interleaved: false };
  const normed = flagOr(config, "normalize_qk_projections", true);
  const gated = flagOr(config, "ffn_with_glu", true);
  const tied = config.optional("share_input_output_layers", flag) ?? true;
  config.ignore("activation_fn_name", "normalization_layer_name", "num_gqa_groups", "qkv_multipliers");
  config.ignore("rope_max_length", "vocab_size");
  return decoder(config.with({ tie_word_embeddings: tied }), {
    hiddenSize: hidden,
    contextLength: config.tokens("max_context_length"),
    layers: listLayers(layers, (index) => {
      const own = heads[index] ?? 1;
      const shared = kvHeads[index] ?? 1;
      if (own % shared !== 0)
        throw config.bad("num_kv_heads", shared, `expected a divisor of ${own} in layer ${index}`);
      return {
        mixers: [
          softmax({ heads: own, kvHeads: shared, headDim }, rotary, { queryKeyNorm: normed ? "per-head" : "none" }),
        ],
        ffns: [
          {
            kind: "dense",
            width: divisible((factors[index] ?? 1) * hidden, divisor),
            gated,
            activation: "silu",
            bias: false,
          },
        ],
        norm,
        normPlacement: "pre",
      };
    }),
    finalNorm: norm,
  });
};

/** The multiple of `divisor` next to a width, never more than a tenth below it. */
function divisible(width: number, divisor: number): number {
  const near = Math.max(divisor, Math.floor((width + divisor / 2) / divisor) * divisor);
  return near < 0.9 * width ? near + divisor : near;
}

/** Falcon under the names of its first files: RefinedWebModel has one head of keys and values, RefinedWeb some. */
const readRefinedWeb: Reader = (config) => {
  const { falcon } = classicReaders;
  if (falcon === undefined) throw new Error("falcon is a classic family");
  const kvHeads = config.optional("n_head_kv", size);
  const tied = config.optional("tie_word_embeddings", flag) ?? true;
  const newer = kvHeads !== null;
  return falcon(
    config.with({
      tie_word_embeddings: tied,
      new_decoder_architecture: newer,
      ...(newer ? { num_kv_heads: kvHeads } : { multi_query: flagOr(config, "multi_query", true) }),
    }),
  );
};

export const classicKinReaders: Readonly<Record<string, Reader>> = {
  ctrl: readCtrl,
  gpt_neox_japanese: readNeoXJapanese,
  openelm: readOpenElm,
  RefinedWeb: readRefinedWeb,
  RefinedWebModel: readRefinedWeb,
};
