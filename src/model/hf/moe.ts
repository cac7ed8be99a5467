import type { Attention, Ffn, Layer, Norm, NormPlacement } from "../types.js";
import { flag, integer, layerCountOrZero, listOf, size } from "./checks.js";
import { clampOfGptOss } from "./clamp.js";
import type { ConfigReader } from "./config-reader.js";
import { full, readLayerCount } from "./decoder.js";
import { qwenSpans } from "./dense.js";
import { notePrediction } from "./prediction.js";
import {
  attentionSizes,
  biasOf,
  decoder,
  dense,
  everyFull,
  firstDense,
  inputBias,
  layerNorm,
  listLayers,
  moe,
  noBias,
  rmsNorm,
  sharedWidth,
  softmax,
  sparseLayers,
  spans,
} from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

export interface MoeFamily {
  readonly attention: (layer: number) => Partial<Attention>;
  readonly ffn: (layer: number) => readonly Ffn[];
  readonly norm: Norm;
  readonly normPlacement: NormPlacement;
  readonly layer: (layer: number) => Partial<Layer>;
  readonly rotates: (layer: number) => boolean;
  readonly headBias: boolean;
  readonly scale: number | null;
}

/** A decoder whose layers differ in span and network. */
export function readMoe(config: ConfigReader, family: Partial<MoeFamily> & Pick<MoeFamily, "ffn">): ReaderResult {
  const { sizes, rotary } = attentionSizes(config, "down");
  const norm = family.norm ?? rmsNorm(config);
  const layers = listLayers(readLayerCount(config), (index) => ({
    mixers: [softmax(sizes, (family.rotates?.(index) ?? true) ? rotary : null, family.attention?.(index) ?? {})],
    ffns: family.ffn(index),
    norm,
    normPlacement: family.normPlacement ?? "pre",
    ...family.layer?.(index),
  }));
  return decoder(config, {
    layers,
    finalNorm: norm,
    head: { bias: family.headBias ?? false },
    embedding: { scale: family.scale ?? null },
  });
}

const everywhere = (ffn: Ffn) => () => [ffn];

/** Dense networks in the first layers, experts after. */
export function mixed(
  config: ConfigReader,
  sparse: readonly boolean[],
  experts: Ffn,
): (layer: number) => readonly Ffn[] {
  const plain = sparse.every(Boolean) ? experts : dense(config);
  config.ignore("intermediate_size");
  return (layer) => [sparse[layer] === true ? experts : plain];
}

/** models/mixtral. */
const readMixtral: Reader = (config) => {
  const window = config.tokens("sliding_window");
  return readMoe(config, {
    ffn: everywhere(moe(config)),
    attention: () => ({ span: window === null ? full : { kind: "window", size: window } }),
  });
};

/** models/phimoe: Mixtral with layer norms and optional biases. */
const readPhiMoe: Reader = (config) =>
  readMoe(config, {
    ffn: everywhere(moe(config)),
    norm: layerNorm(config, true, "rms_norm_eps"),
    attention: () => ({ bias: biasOf(config.flag("attention_bias")) }),
    headBias: config.flag("lm_head_bias"),
  });

/** models/olmoe: norms over all queries and all keys of a position. */
const readOlmoe: Reader = (config) =>
  readMoe(config, {
    ffn: everywhere(moe(config)),
    attention: () => ({ bias: biasOf(config.flag("attention_bias")), queryKeyNorm: "per-layer" }),
  });

/** Which layers are sparse in Qwen's families: every decoder_sparse_step-th, but for mlp_only_layers. */
function qwenSparse(config: ConfigReader): boolean[] {
  const step = config.derived("decoder_sparse_step", size, "class default", () => 1);
  const only = new Set(config.optional("mlp_only_layers", listOf(integer)) ?? []);
  return Array.from({ length: readLayerCount(config) }, (_, layer) => !only.has(layer) && (layer + 1) % step === 0);
}

/** models/qwen2_moe: a gated shared expert. */
const readQwen2Moe: Reader = (config) => {
  const spanOf = qwenSpans(config);
  const bias = config.derived("qkv_bias", flag, "class default of qwen2_moe", () => true) ? inputBias : noBias;
  const experts = moe(config, { sharedWidth: config.size("shared_expert_intermediate_size"), sharedGate: true });
  return readMoe(config, {
    ffn: mixed(config, qwenSparse(config), experts),
    attention: (layer) => ({ bias, span: spanOf[layer] ?? full }),
  });
};

/** models/qwen3_moe. */
const readQwen3Moe: Reader = (config) => {
  config.ignore("use_sliding_window", "sliding_window", "max_window_layers");
  return readMoe(config, {
    ffn: mixed(config, qwenSparse(config), moe(config)),
    attention: () => ({ bias: biasOf(config.flag("attention_bias")), queryKeyNorm: "per-head" }),
  });
};

/** models/gpt_oss: biases everywhere, sinks, every other layer slides. */
const readGptOss: Reader = (config) => {
  const spanOf = spans(config, readLayerCount(config), (layer) =>
    layer % 2 === 0 ? "sliding_attention" : "full_attention",
  );
  config.ignore("experts_per_token", "initial_context_length");
  return readMoe(config, {
    ffn: everywhere(moe(config, { bias: true, routerBias: true, ...clampOfGptOss(config) })),
    attention: (layer) => ({
      bias: biasOf(config.flag("attention_bias")),
      sinks: true,
      span: spanOf[layer] ?? full,
    }),
  });
};

/** models/minimax_m2: norms over the whole width. */
const readMiniMaxM2: Reader = (config) => {
  config.ignore("use_qk_norm", "qk_norm_type", "use_routing_bias", "rotary_dim", "shared_intermediate_size");
  return readMoe(config, {
    ffn: everywhere(moe(config)),
    attention: () => ({ queryKeyNorm: "per-layer" }),
  });
};

/** models/glm4_moe: dense first layers, biased queries, keys and values, optional norms. */
const readGlm4Moe: Reader = (config) => {
  const layers = readLayerCount(config);
  const sparse = sparseLayers(config, layers, () => firstDense(config));
  const norms = config.flag("use_qk_norm") ? ("per-head" as const) : ("none" as const);
  notePrediction(config);
  return readMoe(config, {
    ffn: mixed(config, sparse, moe(config, { sharedWidth: sharedWidth(config) })),
    attention: () => ({ bias: config.flag("attention_bias") ? inputBias : noBias, queryKeyNorm: norms }),
  });
};

/** models/dots1: attention of Qwen 3, experts of DeepSeek-V3. */
const readDots: Reader = (config) => {
  const layers = readLayerCount(config);
  const first = config.optional("max_window_layers", layerCountOrZero) ?? layers;
  const spanOf = spans(config, layers, (layer) => (layer >= first ? "sliding_attention" : "full_attention"));
  const sparse = sparseLayers(config, layers, () => firstDense(config));
  return readMoe(config, {
    ffn: mixed(config, sparse, moe(config, { sharedWidth: sharedWidth(config) })),
    attention: (layer) => ({
      bias: biasOf(config.flag("attention_bias")),
      queryKeyNorm: "per-head",
      span: spanOf[layer] ?? full,
    }),
  });
};

/** models/afmoe: gated attention, norms around each branch, three sliding layers to one full layer. */
const readAfmoe: Reader = (config) => {
  const layers = readLayerCount(config);
  const spanOf = spans(config, layers, everyFull(config.size("global_attn_every_n_layers")));
  const first = config.sizeOrZero("num_dense_layers");
  const experts = moe(config, { sharedWidth: sharedWidth(config) });
  const biases = { weights: [{ name: "expert_bias", shape: [experts.experts] }] };
  return readMoe(config, {
    ffn: mixed(
      config,
      Array.from({ length: layers }, (_, layer) => layer >= first),
      experts,
    ),
    normPlacement: "sandwich",
    attention: (layer) => ({
      bias: biasOf(config.flag("attention_bias")),
      queryKeyNorm: "per-head",
      gate: "per-element",
      span: spanOf[layer] ?? full,
    }),
    layer: (layer) => (layer >= first ? { extras: biases } : {}),
  });
};

/** models/exaone_moe: EXAONE 4 with norms before, dense first layers. */
const readExaoneMoe: Reader = (config) => {
  const layers = readLayerCount(config);
  config.ignore("sliding_window_pattern");
  const spanOf = spans(config, layers, everyFull(4));
  const sparse = sparseLayers(config, layers, () => firstDense(config));
  notePrediction(config);
  return readMoe(config, {
    ffn: mixed(config, sparse, moe(config, { sharedWidth: sharedWidth(config) })),
    attention: (layer) => ({ queryKeyNorm: "per-head", span: spanOf[layer] ?? full }),
  });
};

/** models/ernie4_5_moe: sparse between two layers, every moe_layer_interval-th. */
const readErnieMoe: Reader = (config) => {
  const layers = readLayerCount(config);
  const first = config.sizeOrZero("moe_layer_start_index");
  const last = config.optional("moe_layer_end_index", integer) ?? -1;
  const interval = config.size("moe_layer_interval");
  const until = last === -1 ? layers - 1 : last;
  const sparse = Array.from(
    { length: layers },
    (_, layer) => (layer + 1) % interval === 0 && layer >= first && layer <= until,
  );
  const experts = moe(config, { sharedWidth: sharedWidth(config, "moe_num_shared_experts") });
  const bias = biasOf(config.flag("use_bias"));
  return readMoe(config, {
    ffn: mixed(config, sparse, experts),
    attention: () => ({ bias }),
    layer: (layer) =>
      sparse[layer] === true ? { extras: { weights: [{ name: "router_bias", shape: [experts.experts] }] } } : {},
  });
};

/** models/granitemoe, models/granitemoeshared. */
const readGraniteMoe: Reader = (config) =>
  readMoe(config, {
    ffn: everywhere(moe(config, { sharedWidth: config.sizeOrZero("shared_intermediate_size") })),
    attention: () => ({ bias: biasOf(config.flag("attention_bias")) }),
  });

/** A number, or a list with one number per layer whose numbers are equal. */
function oneOrPerLayer(config: ConfigReader, key: string): number {
  const raw = config.raw(key);
  if (!Array.isArray(raw)) return config.size(key);
  const list = config.read(key, listOf(size));
  const [first] = list;
  if (first === undefined || list.some((value) => value !== first)) {
    throw config.bad(key, raw, "expected the same number for every layer");
  }
  return first;
}

/** models/hunyuan_v1_moe: norms of queries and keys; lists where others have numbers. */
const readHunyuanMoe: Reader = (config) => {
  const width = config.has("moe_intermediate_size")
    ? oneOrPerLayer(config, "moe_intermediate_size")
    : config.size("intermediate_size");
  const shared = config.has("num_shared_expert") ? oneOrPerLayer(config, "num_shared_expert") : 1;
  const experts = moe(config, {
    width,
    chosen: oneOrPerLayer(config, "moe_topk"),
    sharedWidth: shared * config.size("intermediate_size"),
  });
  return readMoe(config, {
    ffn: everywhere(experts),
    attention: () => ({ bias: biasOf(config.flag("attention_bias")), queryKeyNorm: "per-head" }),
  });
};

/** models/hy_v3. */
const readHyV3: Reader = (config) => {
  const layers = readLayerCount(config);
  const sparse = sparseLayers(config, layers, () => 1);
  config.ignore("router_scaling_factor", "enable_moe_fp32_combine");
  return readMoe(config, {
    ffn: mixed(config, sparse, moe(config, { sharedWidth: sharedWidth(config) })),
    attention: () => ({ bias: biasOf(config.flag("attention_bias")), queryKeyNorm: "per-head" }),
  });
};

/** models/solar_open: every layer sparse. */
const readSolarOpen: Reader = (config) =>
  readMoe(config, {
    ffn: everywhere(moe(config, { sharedWidth: sharedWidth(config) })),
    attention: () => ({ bias: biasOf(config.flag("attention_bias")) }),
  });

/** models/mellum. */
const readMellum: Reader = (config) => {
  const layers = readLayerCount(config);
  const spanOf = spans(config, layers, () => "full_attention");
  return readMoe(config, {
    ffn: mixed(
      config,
      sparseLayers(config, layers, () => 0),
      moe(config),
    ),
    attention: (layer) => ({
      bias: biasOf(config.flag("attention_bias")),
      queryKeyNorm: "per-head",
      span: spanOf[layer] ?? full,
    }),
  });
};

/** models/cohere2_moe: Cohere 2's parallel layers with experts. */
const readCohere2Moe: Reader = (config) => {
  const layers = readLayerCount(config);
  const spanOf = spans(config, layers, everyFull(config.optional("sliding_window_pattern", size) ?? 4));
  config.ignore("prefix_dense_sliding_window_pattern", "shared_expert_combination_strategy", "expert_selection_fn");
  const sparse = sparseLayers(config, layers, () => 0);
  const experts = moe(config, { sharedWidth: sharedWidth(config) });
  const plainWidth = config.optional("prefix_dense_intermediate_size", size);
  const plain = plainWidth === null ? dense(config) : dense(config, { width: plainWidth });
  return readMoe(config, {
    ffn: (layer) => [sparse[layer] === true ? experts : plain],
    norm: layerNorm(config, false),
    layer: () => ({ arrangement: "parallel" }),
    attention: (layer) => ({ bias: biasOf(config.flag("attention_bias")), span: spanOf[layer] ?? full }),
  });
};

export const moeReaders: Readonly<Record<string, Reader>> = {
  mixtral: readMixtral,
  phimoe: readPhiMoe,
  olmoe: readOlmoe,
  qwen2_moe: readQwen2Moe,
  qwen3_moe: readQwen3Moe,
  gpt_oss: readGptOss,
  minimax_m2: readMiniMaxM2,
  glm4_moe: readGlm4Moe,
  dots1: readDots,
  afmoe: readAfmoe,
  exaone_moe: readExaoneMoe,
  ernie4_5_moe: readErnieMoe,
  granitemoe: readGraniteMoe,
  granitemoeshared: readGraniteMoe,
  hunyuan_v1_moe: readHunyuanMoe,
  hunyuan: readHunyuanMoe,
  hy_v3: readHyV3,
  solar_open: readSolarOpen,
  mellum: readMellum,
  cohere2_moe: readCohere2Moe,
};
