import type { Attention, Layer, Norm, Rotary } from "../types.js";
import { type Check, flag, layerCount, listOf, real, size, text, tokenCount } from "./checks.js";
import type { ConfigReader, Key } from "./config-reader.js";
import { full, readRotary } from "./decoder.js";
import { allBias, biasOf, decoder, dense, layerNorm, listLayers, noBias, softmax } from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

const hiddenKeys: Key = ["n_embd", "hidden_size", "d_model"];
const layerKeys: Key = ["n_layer", "num_hidden_layers", "num_layers", "n_layers"];
const headKeys: Key = ["n_head", "num_attention_heads", "num_heads", "n_heads", "attention_heads"];
const positionKeys: Key = ["n_positions", "max_position_embeddings", "max_seq_len", "n_ctx"];

interface Classic {
  readonly kvHeads: number;
  readonly attention: Partial<Attention>;
  readonly rotary: Rotary | null;
  readonly norm: Norm;
  readonly layer: Partial<Layer>;
  readonly spanOf: (layer: number) => Attention["span"];
  readonly width: number;
  readonly ffnBias: boolean;
  readonly activation: "gelu" | null;
  readonly activationKey: Key;
  /** Rows of learned positions, or none. */
  readonly positions: number | null;
  readonly headBias: boolean;
  readonly embeddingNorm: Norm;
}

/** Decoders of the GPT-2 kind: plain networks, layer norms, often learned positions. */
export function readClassic(config: ConfigReader, differences: Partial<Classic>): ReaderResult {
  const hiddenSize = config.size(hiddenKeys);
  const heads = config.size(headKeys);
  if (hiddenSize % heads !== 0) {
    throw config.bad(headKeys, heads, `expected a divisor of the hidden size (${hiddenSize})`);
  }
  const sizes = { heads, kvHeads: differences.kvHeads ?? heads, headDim: hiddenSize / heads };
  const norm = differences.norm ?? layerNorm(config);
  const ffn = dense(config, {
    width: differences.width ?? widthOr4(config, hiddenSize),
    gated: false,
    bias: differences.ffnBias ?? true,
    act: differences.activationKey ?? "activation_function",
    ...(differences.activation === "gelu" ? { activation: "gelu" } : {}),
  });
  const layers = listLayers(config.read(layerKeys, layerCount), (index) => ({
    mixers: [
      softmax(sizes, differences.rotary ?? null, {
        bias: allBias,
        span: differences.spanOf?.(index) ?? full,
        ...differences.attention,
      }),
    ],
    ffns: [ffn],
    norm,
    normPlacement: "pre",
    ...differences.layer,
  }));
  const positions = differences.positions ?? null;
  return decoder(config, {
    layers,
    finalNorm: norm,
    hiddenSize,
    contextLength: config.optional(positionKeys, tokenCount),
    embedding: {
      ...(positions === null ? {} : { tables: [{ name: "positions", rows: positions, width: hiddenSize }] }),
      ...(differences.embeddingNorm === undefined ? {} : { norm: differences.embeddingNorm }),
    },
    head: { bias: differences.headBias ?? false },
  });
}

function widthOr4(config: ConfigReader, hiddenSize: number): number {
  return config.derived(
    ["n_inner", "intermediate_size", "ffn_dim", "ffn_hidden_size"],
    size,
    "4 · hidden size",
    () => 4 * hiddenSize,
  );
}

/** models/gpt2: learned positions. */
const readGpt2: Reader = (config) => readClassic(config, { positions: config.read(positionKeys, tokenCount) });

/** models/gpt_bigcode: GPT-2 with one head of keys and values. */
const readGptBigCode: Reader = (config) =>
  readClassic(config, {
    positions: config.read(positionKeys, tokenCount),
    ...(config.read("multi_query", flag) ? { kvHeads: 1 } : {}),
  });

/** models/gpt_neo: global and local layers as attention_types says; projections in without bias. */
const readGptNeo: Reader = (config) => {
  const window = config.read("window_size", tokenCount);
  const pattern = attentionTypes(config);
  return readClassic(config, {
    positions: config.read(positionKeys, tokenCount),
    attention: { bias: { ...noBias, output: true }, scale: 1, maskedWindow: true },
    spanOf: (layer) => (pattern[layer] === "local" ? { kind: "window", size: window } : full),
  });
};

/** [[["global", "local"], 12]] means twelve times global and local. */
function attentionTypes(config: ConfigReader): string[] {
  const listed = config.optional("attention_layers", listOf(text));
  const raw = config.raw("attention_types");
  config.ignore("attention_types", "attention_layers");
  if (listed !== null) return listed;
  const layers = config.read(layerKeys, layerCount);
  if (!Array.isArray(raw)) return Array.from({ length: layers }, (_, layer) => (layer % 2 === 0 ? "global" : "local"));
  const types = raw.flatMap((entry) => {
    const pair: readonly unknown[] = Array.isArray(entry) ? entry : [];
    const [names, times] = pair;
    if (!Array.isArray(names) || typeof times !== "number" || times < 0 || times > layers) {
      throw config.bad("attention_types", raw, 'expected a list such as [[["global", "local"], 12]]');
    }
    return Array.from({ length: times }, () => names.map(String)).flat();
  });
  if (types.length !== layers) {
    throw config.bad("attention_types", `${types.length} layers`, `expected ${layers}, the number of layers`);
  }
  return types;
}

/** models/gptj, models/codegen: one norm, attention and network in parallel, a biased head. */
const readGptJ: Reader = (config) => {
  const dims = config.read("rotary_dim", size);
  return readClassic(config, {
    rotary: { dims, theta: 10_000, interleaved: true },
    attention: { bias: noBias },
    layer: { arrangement: "parallel" },
    headBias: true,
  });
};

/** models/gpt_neox: parallel with a norm for each branch, or in sequence. */
const readGptNeoX: Reader = (config) => {
  const parallel = config.read("use_parallel_residual", flag);
  const hiddenSize = config.size(hiddenKeys);
  const headDim = hiddenSize / config.size(headKeys);
  const share = config.optional("rotary_pct", real) ?? 0.25;
  config.ignore("rotary_emb_base");
  return readClassic(config, {
    rotary: { dims: Math.max(2, 2 * Math.floor((headDim * share) / 2)), theta: 10_000, interleaved: false },
    attention: { bias: biasOf(config.derived("attention_bias", flag, "class default of gpt_neox", () => true)) },
    activationKey: "hidden_act",
    layer: parallel ? { arrangement: "parallel-two-norms" } : {},
  });
};

/** models/opt: positions start at 2; embeddings may be narrower than the model. */
const readOpt: Reader = (config) => {
  const bias = config.read("enable_bias", flag);
  const before = config.read("do_layer_norm_before", flag);
  const hiddenSize = config.size("hidden_size");
  const width = config.derived("word_embed_proj_dim", size, "hidden_size", () => hiddenSize);
  const positions = config.read("max_position_embeddings", tokenCount) + 2;
  const norm: Norm = { kind: "layer", bias: true, epsilon: 1e-5, offset: false };
  const result = readClassic(config, {
    norm,
    attention: { bias: biasOf(bias) },
    ffnBias: bias,
    layer: before ? {} : { normPlacement: "post-residual" },
  });
  const [stack] = result.stacks;
  const narrow = width !== hiddenSize;
  return {
    ...result,
    embedding: {
      ...result.embedding,
      width,
      tables: [{ name: "positions", rows: positions, width: hiddenSize, firstRow: 2 }],
      ...(narrow ? { projection: { bias: false } } : {}),
    },
    head: { ...result.head, ...(narrow ? { transform: { width, bias: false, norm: null } } : {}) },
    stacks: stack === undefined ? [] : [{ ...stack, finalNorm: before ? norm : null }],
  };
};

/** models/bloom: positions by ALiBi, a norm behind the embedding. */
const readBloom: Reader = (config) => {
  const norm = layerNorm(config);
  return readClassic(config, {
    norm,
    embeddingNorm: norm,
    activation: "gelu",
    width: 4 * config.size(hiddenKeys),
  });
};

/** models/falcon: three generations of the same class. */
const readFalcon: Reader = (config) => {
  const newer = config.read("new_decoder_architecture", flag);
  const heads = config.size(headKeys);
  const multiQuery = config.read("multi_query", flag);
  const parallel = config.read("parallel_attn", flag);
  const norms = config.optional("num_ln_in_parallel_attn", size) ?? (newer ? 2 : 1);
  const kvHeads = newer
    ? config.derived("num_kv_heads", size, "num_attention_heads", () => heads)
    : multiQuery
      ? 1
      : heads;
  const bias = config.flag("bias");
  config.ignore("num_kv_heads", "alibi", "apply_residual_connection_post_layernorm");
  const hiddenSize = config.size(hiddenKeys);
  return readClassic(config, {
    kvHeads,
    attention: { bias: biasOf(bias) },
    ffnBias: bias,
    activationKey: "activation",
    rotary: config.flag("alibi") ? null : readRotary(config, hiddenSize / heads),
    layer: newer || parallel ? { arrangement: newer && norms === 2 ? "parallel-two-norms" : "parallel" } : {},
  });
};

const ratio: Check<number> = { schema: real.schema, expected: real.expected };

/** models/mpt: nested attention settings, norms without bias, ALiBi. */
const readMpt: Reader = (config) => {
  const attention = config.child("attn_config");
  attention.ignoreRest();
  const hiddenSize = config.size(hiddenKeys);
  const heads = config.size(headKeys);
  const kvHeads = attention.derived("kv_n_heads", size, "n_heads", () => heads);
  config.ignore(
    "no_bias",
    "learned_pos_emb",
    "norm_type",
    "init_device",
    "embedding_fraction",
    "init_config",
    "verbose",
  );
  return readClassic(config, {
    norm: { kind: "layer", bias: false, epsilon: 1e-5, offset: false },
    kvHeads,
    attention: { bias: noBias },
    ffnBias: false,
    width: Math.round(config.read("expansion_ratio", ratio) * hiddenSize),
    activation: "gelu",
  });
};

export const classicReaders: Readonly<Record<string, Reader>> = {
  gpt2: readGpt2,
  gpt_bigcode: readGptBigCode,
  gpt_neo: readGptNeo,
  gptj: readGptJ,
  codegen: readGptJ,
  gpt_neox: readGptNeoX,
  opt: readOpt,
  bloom: readBloom,
  falcon: readFalcon,
  mpt: readMpt,
};
