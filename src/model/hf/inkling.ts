import type { Attention, Ffn, Layer } from "../types.js";
import { integer, listOf, oneOf, size, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { full, readLayerCount } from "./decoder.js";
import { decoder, dense, listLayers, moe, rmsNorm, softmax } from "./parts.js";
import { noteUnpublished } from "./prediction.js";
import type { Reader } from "./reader.js";

/**
 * models/inkling: no rotation; each token mixes trained profiles of a bias by distance. Short convolutions over keys,
 * values and the output of each branch; shared experts take part in the routing.
 */
const readInkling: Reader = (config) => {
  const layers = readLayerCount(config);
  const hidden = config.size("hidden_size");
  const norm = rmsNorm(config);
  const kernel = config.size(["conv_kernel_size", "sconv_kernel_size"]);
  const slides = slidingLayers(config, layers);
  const sparse = sparseOf(config, layers);
  const profiles = config.size("d_rel");
  const shared = config.size("n_shared_experts");
  const experts = moe(config, {
    sharedWidth: shared * config.size("moe_intermediate_size"),
    experts: config.size(["n_routed_experts", "num_local_experts"]),
    chosen: config.size("num_experts_per_tok"),
  });
  // Published files name the experts' width intermediate_size, and the plain network's apart.
  const wide = config.has("dense_intermediate_size") ? "dense_intermediate_size" : "intermediate_size";
  config.ignore("intermediate_size");
  const plain = dense(config, { width: config.size(wide) });
  const window = config.read(["sliding_window_size", "sliding_window"], tokenCount);
  const here = config.read("rel_extent", tokenCount);
  const local = attention(config, "swa_", { kind: "window", size: window });
  const everywhere = attention(config, "", full);
  const layer = (index: number): Layer => {
    const mixer = slides(index) ? local : everywhere;
    const extent = slides(index) ? window : here;
    const keys = mixer.kvHeads * mixer.keyDim;
    const moes = sparse(index);
    const ffn: Ffn = moes ? experts : plain;
    return {
      mixers: [mixer],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
      extras: {
        linears: [
          { name: "distance", inWidth: hidden, outWidth: mixer.heads * profiles, bias: false },
          ...(moes ? [{ name: "shared_router", inWidth: hidden, outWidth: shared, bias: false }] : []),
        ],
        products: [{ name: "distance_bias", rows: mixer.heads, inner: profiles, columns: extent }],
        shortConvolutions: [
          { name: "key_convolution", width: keys, kernel, bias: false },
          { name: "value_convolution", width: keys, kernel, bias: false },
          { name: "attention_convolution", width: hidden, kernel, bias: false },
          { name: "ffn_convolution", width: hidden, kernel, bias: false },
        ],
        weights: [
          { name: "distance_profiles", shape: [profiles, extent] },
          { name: "branch_scale", shape: [1] },
        ],
      },
    };
  };
  config.ignore("shared_expert_sink", "route_scale", "logits_mup_width_multiplier", "embedding_multiplier");
  config.ignore("log_scaling_n_floor", "log_scaling_alpha", "rms_norm_eps_moe_gate", "gate_activation");
  config.ignore("norm_after_topk", "use_global_scale", "use_gate_bias", "use_sconv", "use_embed_norm");
  config.ignore("unpadded_vocab_size", "chain_hidden_post_norm", "mtp_hidden_states_first", "mtp_local_layer_ids");
  const ahead = config.peek("num_mtp_layers", size) ?? 0;
  if (ahead > 0) noteUnpublished(config, ahead);
  return decoder(config.with({ tie_word_embeddings: false }), {
    layers: listLayers(layers, layer),
    finalNorm: norm,
    embedding: { norm },
    contextLength: config.optional(["max_position_embeddings", "model_max_length"], tokenCount),
  });
};

function attention(config: ConfigReader, prefix: "" | "swa_", span: Attention["span"]): Attention {
  const heads = config.size(`${prefix}num_attention_heads`);
  const kvHeads = config.size(`${prefix}num_key_value_heads`);
  const headDim = config.size(`${prefix}head_dim`);
  if (heads % kvHeads !== 0) {
    throw config.bad(`${prefix}num_key_value_heads`, kvHeads, `expected a divisor of ${heads}`);
  }
  return softmax({ heads, kvHeads, headDim }, null, { span, queryKeyNorm: "per-head", scale: 1 / headDim });
}

/** layer_types, or the numbers of the sliding layers; five of six where the file has neither. */
function slidingLayers(config: ConfigReader, layers: number): (layer: number) => boolean {
  const types = config.perLayer("layer_types", oneOf(["hybrid", "hybrid_sliding"]), layers);
  config.ignore("local_layer_ids");
  if (types !== null) return (layer) => types[layer] === "hybrid_sliding";
  const listed = config.optional("local_layer_ids", listOf(integer));
  if (listed === null) return (layer) => (layer + 1) % 6 !== 0;
  const local = new Set(listed);
  return (layer) => local.has(layer);
}

function sparseOf(config: ConfigReader, layers: number): (layer: number) => boolean {
  const types = config.perLayer("mlp_layer_types", oneOf(["dense", "sparse"]), layers);
  config.ignore("dense_mlp_idx");
  if (types !== null) return (layer) => types[layer] === "sparse";
  const first = config.peek("dense_mlp_idx", integer) ?? 0;
  return (layer) => layer >= first;
}

export const inklingReaders: Readonly<Record<string, Reader>> = { inkling_text: readInkling };
