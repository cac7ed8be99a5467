import type {
  CompressedAttention,
  DeltaRule,
  Extras,
  ExtraWeight,
  Ffn,
  LatentAttention,
  Layer,
  Rotary,
} from "../types.js";
import { listOf, oneOf, real, sizeOrZero } from "./checks.js";
import { clampOf } from "./clamp.js";
import type { ConfigReader } from "./config-reader.js";
import { readLayerCount, readRotary } from "./decoder.js";
import { deepseekFfn } from "./deepseek-moe.js";
import { readIndexer, readLatent } from "./latent.js";
import { notePrediction } from "./prediction.js";
import {
  attentionSizes,
  decoder,
  dense,
  flagOr,
  listLayers,
  moe,
  plainNorm,
  rmsNorm,
  sharedWidth,
  softmax,
} from "./parts.js";
import type { Reader } from "./reader.js";

/** Families of late 2026: compressed caches, indexers, hyper-connections, recurrence in depth. */

/**
 * Hyper-connections (arXiv:2409.19606; manifold-constrained in DeepSeek-V4): `streams` residual streams, mixed before
 * and after every branch by coefficients projected from all of them.
 */
function hyperConnections(
  hidden: number,
  streams: number,
  coefficients: number,
  scales: number,
  products: number,
): Extras {
  const branch = (name: string) => ({ name, inWidth: streams * hidden, outWidth: coefficients, bias: true });
  return {
    linears: [branch("mixer_streams"), branch("ffn_streams")],
    weights: [{ name: "stream_scales", shape: [2, scales] }],
    products: products === 0 ? [] : [{ name: "streams_mixed", rows: 2 * products, inner: streams, columns: hidden }],
  };
}

/** The projection that joins the streams before the head. */
function joinStreams(hidden: number, streams: number): Extras {
  return {
    linears: [{ name: "join_streams", inWidth: streams * hidden, outWidth: streams, bias: true }],
    weights: [{ name: "join_scale", shape: [1] }],
  };
}

/** models/deepseek_v4. */
const readDeepseekV4: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const layers = readLayerCount(config);
  const norm = rmsNorm(config);
  const compressed = compressions(config, layers);
  const streams = config.size("hc_mult");
  const indexer = {
    heads: config.size("index_n_heads"),
    dim: config.size("index_head_dim"),
    chosen: config.size("index_topk"),
  };
  const base: Omit<CompressedAttention, "ratio" | "indexer"> = {
    kind: "compressed",
    heads: config.size("num_attention_heads"),
    dim: config.size("head_dim"),
    queryRank: config.size("q_lora_rank"),
    window: config.size("sliding_window"),
    outputGroups: config.size("o_groups"),
    outputRank: config.size("o_lora_rank"),
  };
  const turns = rotariesOf(config, base.dim, indexer.dim);
  const { clamp } = clampOf(config, "silu");
  const experts = moe(config, {
    activation: "silu",
    sharedWidth: sharedWidth(config),
    ...(clamp === undefined ? {} : { clamp, sharedClamp: clamp }),
  });
  notePrediction(config);
  config.ignore(
    "expert_dtype",
    "hc_sinkhorn_iters",
    "num_hash_layers",
    "num_key_value_heads",
    "scoring_func",
    "topk_method",
    "norm_topk_prob",
    "mlp_layer_types",
    "mlp_bias",
    "layer_types",
  );
  // Mixing takes one number per stream before, one per stream after, and a square matrix between the streams.
  const extras = hyperConnections(hidden, streams, (2 + streams) * streams, 3, streams);
  return decoder(config, {
    layers: compressed.map(
      ({ ratio, chooses }): Layer => ({
        mixers: [
          {
            ...base,
            ratio,
            indexer: chooses ? indexer : null,
            rotary: ratio === 0 ? turns.window : turns.compressed,
          },
        ],
        ffns: [experts],
        norm,
        normPlacement: "pre",
        extras,
      }),
    ),
    finalNorm: norm,
    extras: joinStreams(hidden, streams),
  });
};

/** Layers with a window alone turn by `rope_theta`, the others by a base of their own and further than in training. */
function rotariesOf(config: ConfigReader, dim: number, indexDim: number): Record<"window" | "compressed", Rotary> {
  const dims = config.size("qk_rope_head_dim");
  const most = Math.min(dim, indexDim);
  if (dims > most || dims % 2 !== 0)
    throw config.bad("qk_rope_head_dim", dims, `expected an even number up to ${most}`);
  const { theta, scaling } = readRotary(config, dim);
  const far = config.derived("compress_rope_theta", real, "class default", () => 160_000);
  if (!(far > 0)) throw config.bad("compress_rope_theta", far, "expected a number above 0");
  return {
    window: { dims, theta, interleaved: true },
    compressed: { dims, theta: far, interleaved: true, ...(scaling === undefined ? {} : { scaling }) },
  };
}

/** Tokens per compressed key, and whether an indexer chooses among those keys. */
interface Compression {
  readonly ratio: number;
  readonly chooses: boolean;
}

/** In a list of ratios, layers that compress up to this many tokens into one have an indexer. */
const smallRatio = 16;

/** How each layer compresses: `compress_ratios`, or `layer_types`, or alternating kinds, by the rate of each kind. */
function compressions(config: ConfigReader, layers: number): Compression[] {
  const rates = config.child("compress_rates");
  const listed = config.optional("compress_ratios", listOf(sizeOrZero));
  if (listed !== null) {
    rates.ignoreRest();
    if (listed.length < layers) {
      throw config.bad(
        "compress_ratios",
        `a list of ${listed.length}`,
        `expected at least ${layers} items, one per layer`,
      );
    }
    return listed.slice(0, layers).map((ratio) => ({ ratio, chooses: ratio > 0 && ratio <= smallRatio }));
  }
  const kinds = {
    sliding_attention: { ratio: 0, chooses: false },
    compressed_sparse_attention: { ratio: rates.size("compressed_sparse_attention"), chooses: true },
    heavily_compressed_attention: { ratio: rates.size("heavily_compressed_attention"), chooses: false },
  } as const;
  const types = config.perLayer(
    "layer_types",
    oneOf(["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"]),
    layers,
  );
  if (types !== null) return types.map((type) => kinds[type]);
  return Array.from({ length: layers }, (_, index) =>
    index > 2 && index % 2 === 1 ? kinds.compressed_sparse_attention : kinds.heavily_compressed_attention,
  );
}

/** models/hy_v4: latent attention with sinks, a gate and an indexer that layers share; hyper-connections. */
const readHyV4: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const layers = readLayerCount(config);
  const norm = rmsNorm(config);
  const streams = config.size("hc_mult");
  const plain = readLatent(config, { gate: "per-element", sinks: true });
  const indexer = readIndexer(config, plain.queryRank ?? hidden);
  const types = config.perLayer("indexer_types", oneOf(["full", "shared"]), layers);
  const owns = (index: number): boolean =>
    types === null ? index < 2 || (index - 1) % 4 === 0 : types[index] === "full";
  // The reference bounds what experts that are chosen make, and no other network.
  const ffn = deepseekFfn(config, () => 1, clampOf(config, "silu"));
  const extras = hyperConnections(hidden, streams, 2 * streams, 2, 0);
  config.ignore("hc_magnitude", "learnable_sink_init", "layer_types", "n_group", "topk_group", "norm_topk_prob");
  return decoder(config, {
    layers: listLayers(layers, (index) => ({
      mixers: [owns(index) ? { ...plain, indexer } : { ...plain, sharedIndexer: { chosen: indexer.chosen } }],
      ffns: ffn(index),
      norm,
      normPlacement: "pre",
      extras,
    })),
    finalNorm: norm,
    extras: joinStreams(hidden, streams),
  });
};

/** models/axk2: latent attention whose queries and gate come from a doubled latent; norms with a low-rank gate. */
const readAxk2: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const layers = readLayerCount(config);
  const norm = rmsNorm(config);
  const plain = readLatent(config);
  const rank = plain.queryRank ?? hidden;
  const mixer: LatentAttention = {
    ...plain,
    queryWidth: 2 * rank,
    gate: "per-element",
    gateFromQuery: true,
    indexer: readIndexer(config, rank),
  };
  const ffn = deepseekFfn(config, () => 1);
  const gateRank = config.size("gated_norm_rank");
  config.ignore("layer_types", "n_group", "topk_group", "norm_topk_prob");
  const gate = (name: string) => [
    { name: `${name}_gate_down`, inWidth: hidden, outWidth: gateRank, bias: false },
    { name: `${name}_gate_up`, inWidth: gateRank, outWidth: hidden, bias: false },
  ];
  const sparse = (index: number): boolean => ffn(index)[0]?.kind === "moe";
  return decoder(config, {
    layers: listLayers(layers, (index) => ({
      mixers: [mixer],
      ffns: ffn(index),
      norm,
      normPlacement: "pre",
      extras: { linears: [...gate("mixer_norm"), ...(sparse(index) ? gate("ffn_norm") : [])] },
    })),
    finalNorm: norm,
  });
};

/** The text of models/glm5_next: Kimi Delta Attention, latent attention with a pooled indexer, hyper-connections. */
const readGlm5Next: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const layers = readLayerCount(config);
  const norm = rmsNorm(config);
  const streams = config.size("hc_mult");
  const heads = config.size("linear_num_heads");
  const dim = config.size("linear_head_dim");
  const delta: DeltaRule = {
    kind: "delta",
    keyHeads: heads,
    valueHeads: heads,
    keyDim: dim,
    valueDim: dim,
    convolution: config.size("linear_conv_kernel_dim"),
    chunk: 64,
    decay: "per-channel",
    decayRank: dim,
    gateRank: dim,
  };
  const plain = readLatent(config, { rotary: null });
  const pool = config.size("index_kpool");
  const indexer = { ...readIndexer(config, plain.queryRank ?? hidden), pool };
  const types = config.perLayer(
    "layer_types",
    oneOf(["linear_attention", "indexed_attention", "full_attention"]),
    layers,
  );
  const attends = (index: number): boolean => (types === null ? index % 4 === 3 : types[index] !== "linear_attention");
  const { clamp } = clampOf(config, "silu");
  const ffn = deepseekFfn(config, () => 3, clamp === undefined ? {} : { clamp, sharedClamp: clamp, denseClamp: clamp });
  const mixing = hyperConnections(hidden, streams, (2 + streams) * streams, 3, streams);
  const pooled: Extras = {
    ...mixing,
    linears: [...(mixing.linears ?? []), { name: "pool_gate", inWidth: hidden, outWidth: indexer.dim, bias: false }],
    weights: [...(mixing.weights ?? []), { name: "pool_positions", shape: [pool, indexer.dim] }],
  };
  config.ignore(
    "linear_lower_bound",
    "hc_sinkhorn_iters",
    "index_kpool_always_select_tail",
    "indexer_types",
    "n_group",
    "topk_group",
    "norm_topk_prob",
  );
  return decoder(config, {
    layers: listLayers(layers, (index) => ({
      mixers: [attends(index) ? { ...plain, indexer } : delta],
      ffns: ffn(index),
      norm,
      normPlacement: "pre",
      extras: attends(index) ? pooled : mixing,
    })),
    finalNorm: norm,
  });
};

/** models/hrm_text: two stacks of layers run in turn: L_cycles times the low one, once the high one, H_cycles times. */
const readHrmText: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const perStack = config.size("num_layers_per_stack");
  const high = config.size("H_cycles");
  const low = config.size("L_cycles");
  const norm = plainNorm();
  const ffn = dense(config, { bias: config.flag("mlp_bias") });
  const attention = softmax(sizes, rotary, { gate: "per-element" });
  config.ignore("num_hidden_layers", "L_bp_cycles", "prefix_lm", "rms_norm_eps");
  const run = (name: string): Layer[] =>
    listLayers(perStack, (index) => ({
      mixers: [attention],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
      weightsOf: `${name}.${index}`,
    }));
  const cycle = [...Array.from({ length: low }, () => run("low")).flat(), ...run("high")];
  return decoder(config, {
    layers: Array.from({ length: high }, () => cycle).flat(),
    finalNorm: null,
    embedding: { scale: config.optional("embedding_scale", real) },
    extras: { weights: [{ name: "initial_state", shape: [config.size("hidden_size")] }] },
  });
};

/** models/zaya: convolved queries and keys, half of the values from the token before, a network as router. */
const readZaya: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const hidden = config.size("hidden_size");
  const norm = rmsNorm(config);
  const routerWidth = config.size("router_hidden_size");
  const kernel = config.size("cca_time0");
  const grouped = config.size("cca_time1");
  const { heads, kvHeads, headDim } = sizes;
  const mixed = (heads + kvHeads) * headDim;
  const experts: Ffn = moe(config, { routerWidth, idle: 1, activation: "silu" });
  const extras = (index: number): Extras => {
    const weights: ExtraWeight[] = [
      { name: "temperature", shape: [kvHeads] },
      { name: "residual_scales", shape: [8, hidden] },
      ...(index === 0 ? [] : [{ name: "router_states_scale", shape: [routerWidth] }]),
    ];
    return {
      weights,
      shortConvolutions: [{ name: "depthwise", width: mixed, kernel, bias: true }],
      // Within each head every channel sees every other: [channels, head_dim · kernel].
      linears: [{ name: "grouped", inWidth: headDim * grouped, outWidth: mixed, bias: true }],
    };
  };
  config.ignore("layer_types", "sliding_window", "lm_head_bias");
  return decoder(config, {
    layers: listLayers(readLayerCount(config), (index) => ({
      mixers: [softmax(sizes, rotary)],
      ffns: [experts],
      norm,
      normPlacement: "pre",
      extras: extras(index),
    })),
    finalNorm: norm,
    head: { tied: flagOr(config, "tie_word_embeddings", true) },
    extras: { weights: [{ name: "input_scale", shape: [2, hidden] }] },
  });
};

export const sparseReaders: Readonly<Record<string, Reader>> = {
  deepseek_v4: readDeepseekV4,
  deepseek_ref: readDeepseekV4,
  hy_v4: readHyV4,
  axk2: readAxk2,
  glm5_next_text: readGlm5Next,
  hrm_text: readHrmText,
  zaya: readZaya,
};
