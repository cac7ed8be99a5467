import type { Clamp, Ffn } from "../types.js";
import { flag, layerCount, size } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readLayerCount } from "./decoder.js";
import {
  attentionSizes,
  decoder,
  dense,
  firstDense,
  listLayers,
  moe,
  rmsNorm,
  sharedWidth,
  softmax,
  sparseLayers,
} from "./parts.js";
import type { Reader } from "./reader.js";

/** Dense first layers, then experts with shared ones. */
export function deepseekFfn(
  config: ConfigReader,
  firstSparse = () => firstDense(config),
  clamps: { readonly clamp?: Clamp; readonly sharedClamp?: Clamp; readonly denseClamp?: Clamp } = {},
): (layer: number) => readonly Ffn[] {
  const { denseClamp, ...ofExperts } = clamps;
  const layers = readLayerCount(config);
  const frequency = config.optional("moe_layer_freq", size) ?? 1;
  const some = config.optional(["n_routed_experts", "num_local_experts", "num_experts"], size) !== null;
  const sparse = sparseLayers(config, layers, firstSparse).map((is, layer) => some && is && layer % frequency === 0);
  const experts = sparse.some(Boolean) ? moe(config, { sharedWidth: sharedWidth(config), ...ofExperts }) : null;
  const plain = sparse.every(Boolean) ? null : dense(config, denseClamp === undefined ? {} : { clamp: denseClamp });
  config.ignore("intermediate_size", "first_k_dense_replace", "moe_layer_freq");
  const chosen = (layer: number): Ffn | null => (sparse[layer] === true ? experts : plain);
  return (layer) => {
    const ffn = chosen(layer);
    return ffn === null ? [] : [ffn];
  };
}

/** DeepSeek-MoE, the first: plain attention with DeepSeek's experts. */
export const readDeepseekMoe: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const norm = rmsNorm(config);
  const attention = softmax(sizes, rotary);
  const ffn = deepseekFfn(config);
  config.ignore(
    "n_group",
    "topk_group",
    "topk_method",
    "scoring_func",
    "use_mla",
    "kv_lora_rank",
    "q_lora_rank",
    "qk_nope_head_dim",
    "qk_rope_head_dim",
    "v_head_dim",
    "lm_head",
    "rm_head",
    "attention_bias",
  );
  return decoder(config, {
    layers: listLayers(config.read("num_hidden_layers", layerCount), (layer) => ({
      mixers: [attention],
      ffns: ffn(layer),
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
    head: { tied: config.optional("tie_word_embeddings", flag) ?? false },
  });
};
