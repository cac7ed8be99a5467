import { readLing2 } from "./bailing.js";
import { size, sizeOrZero } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readLayerCount } from "./decoder.js";
import { denseReaders } from "./dense.js";
import { lookingBothWays } from "./halves.js";
import { plainLlama } from "./llama-kin.js";
import { attentionSizes, decoder, listLayers, moe, rmsNorm, softmax } from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

/** Language models that fill in masked tokens step by step (diffusion) instead of one token after the other. */

/** No cache: each step is a pass over all positions. */
function bothWays(config: ConfigReader, result: ReaderResult): ReaderResult {
  config.note("tokens are filled in by several passes over all positions, without a cache; one pass is what is priced");
  return lookingBothWays({ ...result, head: { ...result.head, kind: "lm" } });
}

/** Blocks are filled in by several passes over their tokens; what is before them is cached as in any decoder. */
function inBlocks(config: ConfigReader, result: ReaderResult): ReaderResult {
  const block = config.optional("block_size", sizeOrZero) ?? 0;
  const tokens = block > 0 ? `blocks of ${block} tokens` : "blocks of tokens";
  config.note(`${tokens} are filled in by several passes each; one pass is what is priced, and its pairs as causal`);
  return { ...result, head: { ...result.head, kind: "lm" } };
}

/** Dream (arXiv:2508.15487): Qwen 2 looking both ways. */
const readDream: Reader = (config) => {
  config.ignore("mask_token_id", "full_attn_mask", "rope_scaling");
  return bothWays(config, ofFamily("qwen2", config));
};

/** LLaDA (arXiv:2502.09992): Llama looking both ways, under the key names of OLMo's trainer; LLaDA-MoE under others. */
const readLlada: Reader = (config) => {
  if (config.has("expert_intermediate_size")) return bothWays(config, lladaMoe(config));
  const hidden = config.size("d_model");
  const heads = config.size("n_heads");
  if (hidden % heads !== 0) throw config.bad("n_heads", heads, `expected a divisor of d_model (${hidden})`);
  const kvHeads = config.derived("n_kv_heads", size, "n_heads", () => heads);
  return bothWays(config, plainLlama(config, { hidden, heads, kvHeads, norm: "rms" }));
};

function lladaMoe(config: ConfigReader): ReaderResult {
  const { sizes, rotary } = attentionSizes(config);
  const norm = rmsNorm(config);
  const shared = config.optional("shared_expert_intermediate_size", size);
  const experts = moe(config, {
    width: config.size("expert_intermediate_size"),
    activation: "silu",
    ...(shared === null ? {} : { sharedWidth: shared }),
  });
  const frequencies = config.perLayer("moe_layer_freq", sizeOrZero, readLayerCount(config));
  if (frequencies?.some((frequency) => frequency !== 1) === true) {
    throw config.bad("moe_layer_freq", frequencies, "expected 1 for every layer: dense layers are not understood yet");
  }
  config.ignore("dense_intermediate_size", "intermediate_size", "moe_router_enable_expert_bias");
  const attention = softmax(sizes, rotary, { queryKeyNorm: config.flag("qk_layernorm") ? "per-head" : "none" });
  return decoder(config, {
    layers: listLayers(readLayerCount(config), () => ({
      mixers: [attention],
      ffns: [experts],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
  });
}

function ofFamily(type: string, config: ConfigReader): ReaderResult {
  const reader = denseReaders[type];
  if (reader === undefined) throw new Error(`${type} is a dense family`);
  return reader(config);
}

export const diffusionReaders: Readonly<Record<string, Reader>> = {
  Dream: readDream,
  llada: readLlada,
  lladamoe: readLlada,
  llada2_moe: (config) => inBlocks(config, readLing2(config)),
  sdar: (config) => inBlocks(config, ofFamily("qwen3", config)),
};
