import type { DeltaRule, Ffn } from "../types.js";
import { flag, integer, listOf, size, sizeOrZero } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readLayerCount } from "./decoder.js";
import { deepseekFfn } from "./deepseek-moe.js";
import { readLatent } from "./latent.js";
import { attending, deltaChunk } from "./linear.js";
import { decoder, flagOr, listLayers, moe, rmsNorm, sharedWidth } from "./parts.js";
import type { Reader } from "./reader.js";

/** models/kimi_linear and Kimi K3: three layers of Kimi Delta Attention to one of latent attention without rotation. */
const readKimiLinear: Reader = (config) => {
  const layers = readLayerCount(config);
  const nested = config.child("linear_attn_config");
  const norm = rmsNorm(config);
  const heads = nested.has("num_heads") ? nested.size("num_heads") : config.size("linear_num_heads");
  const dim = nested.has("head_dim") ? nested.size("head_dim") : config.size("linear_head_dim");
  const fullRank = nested.optional("use_full_rank_gate", flag) ?? false;
  const kernel = nested.has("short_conv_kernel_size")
    ? nested.size("short_conv_kernel_size")
    : config.size("linear_conv_kernel_dim");
  const listed = nested.optional("full_attn_layers", listOf(integer));
  nested.ignoreRest();
  // The nested list counts layers from 1.
  const attends = attending(config, layers, (layer) =>
    listed === null ? layer > 0 && layer % 4 === 0 : listed.includes(layer + 1),
  );
  const delta: DeltaRule = {
    kind: "delta",
    keyHeads: heads,
    valueHeads: heads,
    keyDim: dim,
    valueDim: dim,
    convolution: kernel,
    chunk: deltaChunk,
    decay: "per-channel",
    decayRank: dim,
    gateRank: fullRank ? null : dim,
  };
  const gated = flagOr(config, "mla_use_output_gate", false);
  const latent = { ...readLatent(config), rotary: null, ...(gated ? ({ gate: "per-element" } as const) : {}) };
  config.ignore(
    "mla_use_nope",
    "moe_renormalize",
    "moe_router_activation_func",
    "num_expert_group",
    "use_grouped_topk",
    "topk_group",
    "model_max_length",
  );
  const inner = config.optional("routed_expert_hidden_size", size);
  const ffn =
    inner === null
      ? deepseekFfn(config, () => config.optional("first_k_dense_replace", sizeOrZero) ?? 1)
      : latentExperts(config, inner);
  // Kimi Linear has none; in a file of K3's kind it is news that the key is not there.
  const perBlock = inner === null ? config.peek(residualBlock, size) : config.optional(residualBlock, size);
  const result = decoder(config, {
    layers: listLayers(layers, (layer) => ({
      mixers: [attends[layer] === true ? latent : delta],
      ffns: ffn(layer),
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
    contextLength: config.tokens(["model_max_length", "max_position_embeddings"]),
  });
  if (perBlock === null) return result;
  return { ...result, stacks: result.stacks.map((stack) => ({ ...stack, depthBlock: perBlock })) };
};

/** Kimi K3's experts, which work in a narrower space. */
function latentExperts(config: ConfigReader, latentWidth: number): (layer: number) => readonly Ffn[] {
  const first = config.sizeOrZero("first_k_dense_replace");
  const normed = flagOr(config, "latent_moe_use_norm", false);
  const frequency = config.optional("moe_layer_freq", size) ?? 1;
  config.ignore("activation_situ_beta", "activation_situ_linear_beta", "hidden_act");
  const experts = moe(config, {
    latentWidth,
    activation: "silu",
    sharedWidth: sharedWidth(config),
    ...(normed ? { latentNorm: true } : {}),
  });
  const plain: Ffn = {
    kind: "dense",
    width: config.size("intermediate_size"),
    gated: true,
    activation: "silu",
    bias: false,
  };
  return (layer) => [layer < first || layer % frequency !== 0 ? plain : experts];
}

/** Layers after which the stream so far is kept for all later ones to look back at. */
export const residualBlock = "attn_res_block_size";

export const kimiReaders: Readonly<Record<string, Reader>> = { kimi_linear: readKimiLinear };
