import type { Indexer, LatentAttention, Layer } from "../types.js";
import { flag, oneOf, size, sizeOrZero, text } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readLayerCount, readRotary } from "./decoder.js";
import { notePrediction } from "./prediction.js";
import { decoder, dense, firstDense, listLayers, moe, rmsNorm } from "./parts.js";
import type { Reader } from "./reader.js";
import { deepseekFfn, readDeepseekMoe } from "./deepseek-moe.js";

/** Latent attention as DeepSeek's configs name its sizes. */
export function readLatent(config: ConfigReader, more: Partial<LatentAttention> = {}): LatentAttention {
  const nopeDim = config.size("qk_nope_head_dim");
  const ropeDim = config.read("qk_rope_head_dim", sizeOrZero);
  config.ignore("num_key_value_heads", "head_dim", "qk_head_dim", "rope_interleave");
  return {
    kind: "latent",
    heads: config.size("num_attention_heads"),
    queryRank: config.optional("q_lora_rank", size),
    kvRank: config.size("kv_lora_rank"),
    nopeDim,
    ropeDim,
    valueDim: config.size("v_head_dim"),
    bias: config.flag("attention_bias"),
    scale: (nopeDim + ropeDim) ** -0.5,
    rotary: ropeDim === 0 ? null : readRotary(config, ropeDim),
    ...more,
  };
}

const ignored = ["n_group", "topk_group", "topk_method", "scoring_func", "norm_topk_prob", "ep_size", "seq_aux"];

function readDeepseek(
  config: ConfigReader,
  mixerOf: (layer: number) => LatentAttention,
  more: (layer: number) => Partial<Layer> = () => ({}),
) {
  config.ignore(...ignored);
  notePrediction(config);
  const norm = rmsNorm(config);
  const ffn = deepseekFfn(config);
  return decoder(config, {
    layers: listLayers(readLayerCount(config), (layer) => ({
      mixers: [mixerOf(layer)],
      ffns: ffn(layer),
      norm,
      normPlacement: "pre",
      ...more(layer),
    })),
    finalNorm: norm,
  });
}

/** models/deepseek_v2, deepseek_v3, mistral4, youtu, glm4_moe_lite: latent attention and shared experts. */
const readDeepseekV3: Reader = (config) => {
  if (config.raw("use_mla") === false) return readDeepseekMoe(config);
  config.ignore("use_mla");
  const mixer = readLatent(config);
  return readDeepseek(config, () => mixer);
};

/** The indexer of DeepSeek-V3.2, as its config names it. */
export function readIndexer(config: ConfigReader, queryWidth: number): Indexer {
  return {
    heads: config.size("index_n_heads"),
    dim: config.size("index_head_dim"),
    queryWidth,
    chosen: config.size("index_topk"),
    norm: "layer",
    weighted: true,
  };
}

/** models/deepseek_v32, models/glm_moe_dsa: an indexer chooses what attention sees; some layers share its choice. */
const readDeepseekV32: Reader = (config) => {
  const plain = readLatent(config);
  const indexer = readIndexer(config, plain.queryRank ?? config.size("hidden_size"));
  const owns = indexerOwners(config);
  config.ignore("layer_types");
  return readDeepseek(config, (layer) =>
    owns(layer) ? { ...plain, indexer } : { ...plain, sharedIndexer: { chosen: indexer.chosen } },
  );
};

/** Which layers have an indexer of their own: `indexer_types`, a pattern of F and S, or a period behind an offset. */
function indexerOwners(config: ConfigReader): (layer: number) => boolean {
  const layers = readLayerCount(config);
  const types = config.perLayer("indexer_types", oneOf(["full", "shared"]), layers);
  config.ignore("index_topk_pattern", "index_topk_freq", "index_skip_topk_offset");
  if (types !== null) return (layer) => types[layer] === "full";
  const pattern = config.optional("index_topk_pattern", text);
  if (pattern !== null && pattern !== "") return (layer) => pattern[layer % pattern.length] !== "S";
  const period = config.optional("index_topk_freq", sizeOrZero) ?? 1;
  const offset = config.optional("index_skip_topk_offset", sizeOrZero) ?? 2;
  // As the reference has it: the first `offset` layers own theirs, then every period-th.
  return (layer) => period <= 1 || Math.max(layer - offset + 1, 0) % period === 0;
}

/** models/minicpm3: latent attention with a dense network. */
const readMiniCpm3: Reader = (config) => {
  const mixer = readLatent(config);
  const norm = rmsNorm(config);
  const ffn = dense(config, { bias: config.flag("mlp_bias") });
  return decoder(config, {
    layers: listLayers(readLayerCount(config), () => ({ mixers: [mixer], ffns: [ffn], norm, normPlacement: "pre" })),
    finalNorm: norm,
  });
};

/** models/axk1: one more norm behind the experts. */
const readAxk1: Reader = (config) => {
  const mixer = readLatent(config);
  const hidden = config.size("hidden_size");
  const first = firstDense(config);
  return readDeepseek(
    config,
    () => mixer,
    (layer) => (layer >= first ? { extras: { weights: [{ name: "post_mlp_norm", shape: [hidden] }] } } : {}),
  );
};

/** models/longcat_flash: two attentions and two networks per layer, with experts and idle choices beside. */
const readLongcat: Reader = (config) => {
  const mixer = readLatent(config);
  const norm = rmsNorm(config);
  const plain = dense(config, { width: config.size(["ffn_hidden_size", "intermediate_size"]) });
  const experts = moe(config, {
    experts: config.size(["n_routed_experts", "num_experts"]),
    chosen: config.size(["moe_topk", "num_experts_per_tok"]),
    width: config.size(["expert_ffn_hidden_size", "moe_intermediate_size"]),
    idle: config.sizeOrZero(["zero_expert_num", "num_zero_experts"]),
    routerBias: config.optional("router_bias", flag) ?? false,
  });
  const count = config.size(["num_layers", "num_hidden_layers"]);
  const layer: Layer = {
    mixers: [mixer],
    ffns: [plain, experts],
    norm,
    normPlacement: "pre",
    arrangement: "parallel-ffns",
  };
  const second: Layer = { mixers: [mixer], ffns: [plain], norm, normPlacement: "pre" };
  return decoder(config, {
    layers: Array.from({ length: count }, () => [layer, second]).flat(),
    finalNorm: norm,
  });
};

export const latentReaders: Readonly<Record<string, Reader>> = {
  deepseek_v2: readDeepseekV3,
  deepseek_v3: readDeepseekV3,
  kimi_k2: readDeepseekV3,
  mistral4: readDeepseekV3,
  youtu: readDeepseekV3,
  glm4_moe_lite: readDeepseekV3,
  deepseek_v32: readDeepseekV32,
  glm_moe_dsa: readDeepseekV32,
  minicpm3: readMiniCpm3,
  axk1: readAxk1,
  longcat_flash: readLongcat,
};
