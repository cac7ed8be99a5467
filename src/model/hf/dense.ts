import type { Attention, Biases, DenseFfn, Layer, Norm, NormPlacement, Span } from "../types.js";
import { flag, integer, layerCountOrZero, real, size, sizeOrZero } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { full, readLayerCount, windowOrFull } from "./decoder.js";
import {
  attentionSizes,
  biasOf,
  decoder,
  dense,
  everyFull,
  inputBias,
  layerNorm,
  listLayers,
  noBias,
  plainNorm,
  rmsNorm,
  softmax,
  spans,
} from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

/** How a dense decoder family differs from Llama. */
export interface DenseFamily {
  readonly bias: Biases;
  readonly ffn: DenseFfn;
  readonly norm: Norm;
  readonly normPlacement: NormPlacement;
  readonly attention: Partial<Attention>;
  /** Span of each layer; full where absent. */
  readonly spans: readonly Span[];
  /** Whether a layer rotates. */
  readonly rotates: (layer: number) => boolean;
  /** Factor on embeddings. */
  readonly scale: number | null;
  readonly layer: Partial<Layer>;
  readonly headBias: boolean;
  readonly softcap: number | null;
}

function readDense(config: ConfigReader, differences: Partial<DenseFamily> = {}): ReaderResult {
  const count = readLayerCount(config);
  const { sizes, rotary } = attentionSizes(config);
  const norm = differences.norm ?? rmsNorm(config);
  const ffn = differences.ffn ?? dense(config);
  const layers = listLayers(count, (index) => ({
    mixers: [
      softmax(sizes, (differences.rotates?.(index) ?? true) ? rotary : null, {
        bias: differences.bias ?? noBias,
        span: differences.spans?.[index] ?? full,
        ...differences.attention,
      }),
    ],
    ffns: [ffn],
    norm,
    normPlacement: differences.normPlacement ?? "pre",
    ...differences.layer,
  }));
  return decoder(config, {
    layers,
    finalNorm: norm,
    embedding: { scale: differences.scale ?? null },
    head: { bias: differences.headBias ?? false, softcap: differences.softcap ?? null },
  });
}

export const attentionBias = (config: ConfigReader): Biases => biasOf(config.flag("attention_bias"));

/** models/llama of Hugging Face transformers. */
const readLlama: Reader = (config) =>
  readDense(config, {
    bias: attentionBias(config),
    ffn: dense(config, { bias: config.flag("mlp_bias") }),
  });

/** models/mistral, ministral, phi3: every layer slides where sliding_window is set. */
const readMistral: Reader = (config) => {
  const layers = readLayerCount(config);
  const window = config.tokens("sliding_window");
  return readDense(config, {
    spans: spans(config, layers, () => (window === null ? "full_attention" : "sliding_attention")),
  });
};

/** models/qwen2: biased queries, keys and values; layers from max_window_layers on slide iff use_sliding_window. */
export const readQwen2: Reader = (config) => readDense(config, { bias: inputBias, spans: qwenSpans(config) });

/** models/qwen3: norms of queries and keys per head. */
const readQwen3: Reader = (config) =>
  readDense(config, {
    bias: attentionBias(config),
    attention: { queryKeyNorm: "per-head" },
    spans: qwenSpans(config),
  });

export function qwenSpans(config: ConfigReader): Span[] {
  const layers = readLayerCount(config);
  const slides = config.read("use_sliding_window", flag);
  const window = config.optional("sliding_window", sizeOrZero);
  const first = slides ? config.read("max_window_layers", layerCountOrZero) : layers;
  config.ignore("max_window_layers");
  return spans(config, layers, (layer) =>
    slides && window !== null && layer >= first ? "sliding_attention" : "full_attention",
  );
}

/** models/smollm3: every no_rope_layer_interval-th layer does without rotary embedding. */
const readSmolLm3: Reader = (config) => {
  const layers = readLayerCount(config);
  const slides = config.read("use_sliding_window", flag);
  const window = slides ? config.tokens("sliding_window") : null;
  config.ignore("sliding_window", "no_rope_layer_interval");
  const rotates = unrotated(config, layers);
  return readDense(config, {
    bias: attentionBias(config),
    ffn: dense(config, { bias: config.flag("mlp_bias") }),
    spans: spans(config, layers, (layer) =>
      window !== null && rotates(layer) ? "sliding_attention" : "full_attention",
    ),
    rotates,
  });
};

/** Whether a layer rotates: `no_rope_layers` (1 where it does), or all but every n-th. */
export function unrotated(config: ConfigReader, layers: number): (layer: number) => boolean {
  const listed = config.raw("no_rope_layers");
  if (Array.isArray(listed) && listed.length > 0) {
    const flags = config.perLayer("no_rope_layers", integer, layers) ?? [];
    return (layer) => flags[layer] !== 0;
  }
  const interval = config.read("no_rope_layer_interval", size);
  return (layer) => (layer + 1) % interval !== 0;
}

/** models/phi3: fused projections of the same size; a share of each head rotates. */
const readPhi3: Reader = (config) => {
  const window = windowOrFull(config.tokens("sliding_window"));
  return readDense(config, { spans: everyLayer(readLayerCount(config), window) });
};

function everyLayer(count: number, span: Span): Span[] {
  return Array.from({ length: count }, () => span);
}

/** models/olmo: norms without weights. */
const readOlmo: Reader = (config) => readDense(config, { bias: attentionBias(config), norm: plainNorm("layer") });

/** models/olmo2: norms after each branch, and over all queries and all keys of a position. */
const readOlmo2: Reader = (config) =>
  readDense(config, {
    bias: attentionBias(config),
    normPlacement: "post-branch",
    attention: { queryKeyNorm: "per-layer" },
  });

/** models/olmo3: OLMo 2 with three sliding layers to one full layer. */
const readOlmo3: Reader = (config) =>
  readDense(config, {
    bias: attentionBias(config),
    normPlacement: "post-branch",
    attention: { queryKeyNorm: "per-layer" },
    spans: spans(config, readLayerCount(config), everyFull(4)),
  });

/** models/cohere: one norm without bias before attention and network, which run in parallel. */
const readCohere: Reader = (config) =>
  readDense(config, {
    bias: attentionBias(config),
    norm: layerNorm(config, false),
    layer: { arrangement: "parallel" },
    attention: config.flag("use_qk_norm") ? { queryKeyNorm: "each-head", queryKeyLayerNorm: { bias: false } } : {},
  });

/** models/cohere2: three sliding layers to one full layer. */
const readCohere2: Reader = (config) => {
  const period = config.optional("sliding_window_pattern", size) ?? 4;
  return readDense(config, {
    bias: attentionBias(config),
    norm: layerNorm(config, false),
    layer: { arrangement: "parallel" },
    spans: spans(config, readLayerCount(config), everyFull(period)),
  });
};

/** models/glm: biased queries, keys and values. */
const readGlm: Reader = (config) => readDense(config, { bias: config.flag("attention_bias") ? inputBias : noBias });

/** models/glm4: GLM with norms after each branch too. */
const readGlm4: Reader = (config) =>
  readDense(config, { bias: config.flag("attention_bias") ? inputBias : noBias, normPlacement: "sandwich" });

/** models/exaone4: norms after each branch and per head; three sliding layers to one full layer. */
const readExaone4: Reader = (config) => {
  const pattern = config.raw("sliding_window_pattern");
  config.ignore("sliding_window_pattern");
  const period = typeof pattern === "string" ? pattern.length : typeof pattern === "number" ? pattern : 4;
  const slides = config.tokens("sliding_window") !== null;
  return readDense(config, {
    normPlacement: "post-branch",
    attention: { queryKeyNorm: "per-head" },
    spans: spans(config, readLayerCount(config), slides ? everyFull(period) : () => "full_attention"),
  });
};

/** models/starcoder2: layer norms, biases everywhere, a plain network. */
const readStarcoder2: Reader = (config) => {
  const bias = config.flag("use_bias");
  const window = config.tokens("sliding_window");
  config.ignore("norm_type", "mlp_type");
  return readDense(config, {
    bias: biasOf(bias),
    norm: layerNorm(config, true, "norm_epsilon"),
    ffn: dense(config, { gated: false, bias }),
    spans: everyLayer(readLayerCount(config), windowOrFull(window)),
  });
};

/** models/stablelm: layer norms, a share of each head rotates, optionally parallel. */
const readStableLm: Reader = (config) => {
  const parallel = config.flag("use_parallel_residual");
  return readDense(config, {
    bias: config.flag("use_qkv_bias") ? inputBias : noBias,
    norm: layerNorm(config),
    layer: parallel ? { arrangement: "parallel" } : {},
    attention: config.flag("qk_layernorm") ? { queryKeyNorm: "each-head", queryKeyLayerNorm: { bias: false } } : {},
  });
};

/** models/phi: attention and network in parallel behind one layer norm; biases everywhere, the head's too. */
const readPhi: Reader = (config) =>
  readDense(config, {
    bias: biasOf(true),
    norm: layerNorm(config),
    ffn: dense(config, { gated: false, bias: true }),
    layer: { arrangement: "parallel" },
    headBias: true,
    attention: config.flag("qk_layernorm") ? { queryKeyNorm: "per-head", queryKeyLayerNorm: { bias: true } } : {},
  });

/** models/arcee: a plain squared-ReLU network. */
const readArcee: Reader = (config) =>
  readDense(config, {
    bias: attentionBias(config),
    ffn: dense(config, { gated: false, bias: config.flag("mlp_bias") }),
  });

/** models/nemotron: layer norms stored as w and applied as 1 + w, a plain squared-ReLU network. */
const readNemotron: Reader = (config) =>
  readDense(config, {
    bias: attentionBias(config),
    norm: { ...layerNorm(config, true, "norm_eps"), offset: true },
    ffn: dense(config, { gated: false, bias: config.flag("mlp_bias") }),
  });

/** models/apertus: a plain xIELU network with two learned numbers, norms of queries and keys per head. */
const readApertus: Reader = (config) =>
  readDense(config, {
    bias: attentionBias(config),
    ffn: { kind: "dense", width: config.size("intermediate_size"), gated: false, activation: "silu", bias: false },
    attention: { queryKeyNorm: "per-head" },
    layer: { extras: { weights: [{ name: "activation", shape: [2] }] } },
  });

/** models/seed_oss: biased queries, keys and values, the output's apart. */
const readSeedOss: Reader = (config) => {
  const bias = config.flag("attention_bias");
  return readDense(config, {
    bias: { query: bias, key: bias, value: bias, output: config.flag("attention_out_bias") },
    ffn: dense(config, { bias: config.flag("mlp_bias") }),
  });
};

/** models/granite_swa: sinks; one full layer in four. */
const readGraniteSwa: Reader = (config) =>
  readDense(config, {
    bias: attentionBias(config),
    ffn: dense(config, { bias: config.flag("mlp_bias") }),
    attention: { sinks: true },
    spans: spans(config, readLayerCount(config), (layer) => (layer % 4 === 0 ? "full_attention" : "sliding_attention")),
  });

/** models/ernie4_5: Llama with one switch for all biases. */
const readErnieDense: Reader = (config) => {
  const bias = config.flag("use_bias");
  return readDense(config, { bias: biasOf(bias), ffn: dense(config, { bias }) });
};

/** models/hunyuan_v1_dense: Llama with norms of queries and keys. */
const readHunyuanDense: Reader = (config) => {
  config.ignore("use_qk_norm");
  return readDense(config, { bias: attentionBias(config), attention: { queryKeyNorm: "per-head" } });
};

/** models/nanochat: norms without weights, a plain squared-ReLU network. */
const readNanochat: Reader = (config) =>
  readDense(config, {
    bias: attentionBias(config),
    norm: plainNorm(),
    ffn: dense(config, { gated: false }),
    softcap: config.optional("final_logit_softcapping", real),
  });

/** models/muse_glimmer: Gemma-like norms, gated attention, three sliding layers to one full layer. */
const readMuseGlimmer: Reader = (config) =>
  readDense(config, {
    bias: attentionBias(config),
    normPlacement: "sandwich",
    attention: { gate: "per-element" },
    softcap: config.optional("final_logit_softcapping", real),
    spans: spans(config, readLayerCount(config), everyFull(4)),
  });

export const denseReaders: Readonly<Record<string, Reader>> = {
  llama: readLlama,
  granite: readLlama,
  mistral: readMistral,
  ministral: readMistral,
  ministral3: readMistral,
  qwen2: readQwen2,
  qwen3: readQwen3,
  smollm3: readSmolLm3,
  phi3: readPhi3,
  phi: readPhi,
  olmo: readOlmo,
  olmo2: readOlmo2,
  olmo3: readOlmo3,
  cohere: readCohere,
  cohere2: readCohere2,
  glm: readGlm,
  glm4: readGlm4,
  exaone4: readExaone4,
  starcoder2: readStarcoder2,
  stablelm: readStableLm,
  arcee: readArcee,
  nemotron: readNemotron,
  apertus: readApertus,
  seed_oss: readSeedOss,
  granite_swa: readGraniteSwa,
  nanochat: readNanochat,
  ernie4_5: readErnieDense,
  hunyuan_v1_dense: readHunyuanDense,
  muse_glimmer_text: readMuseGlimmer,
};
export { readDense };
