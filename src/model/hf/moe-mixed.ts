import type { Norm } from "../types.js";
import { flag, integer, listOf, size } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { full, readLayerCount, readRotary } from "./decoder.js";
import { unrotated } from "./dense.js";
import { mixed, readMoe } from "./moe.js";
import { biasOf, decoder, dense, listLayers, moe, rmsNorm, softmax, sparseLayers, spans } from "./parts.js";
import type { Reader } from "./reader.js";

/** Sparse decoders whose attention differs from layer to layer, or from everybody else's. */

/** models/laguna: heads per layer, a gate per head, one shared expert. */
const readLaguna: Reader = (config) => {
  const layers = readLayerCount(config);
  const spanOf = spans(config, layers, () => "full_attention");
  const sparse = sparseLayers(config, layers, () => 1);
  const heads = config.perLayer("num_attention_heads_per_layer", size, layers);
  const experts = moe(config, { sharedWidth: config.size("shared_expert_intermediate_size") });
  const gated = config.read("gating", flag);
  return readMoe(config, {
    ffn: mixed(config, sparse, experts),
    attention: (layer) => ({
      bias: biasOf(config.flag("attention_bias")),
      queryKeyNorm: "per-head",
      span: spanOf[layer] ?? full,
      ...(gated ? { gate: "per-head" } : {}),
      ...(heads === null ? {} : { heads: heads[layer] ?? config.size("num_attention_heads") }),
    }),
    layer: (layer) =>
      sparse[layer] === true ? { extras: { weights: [{ name: "router_bias", shape: [experts.experts] }] } } : {},
  });
};

/** models/llama4: chunked layers, a shared expert, experts in every interleave_moe_layer_step-th layer. */
const readLlama4: Reader = (config) => {
  const layers = readLayerCount(config);
  const rotates = unrotated(config, layers);
  config.ignore("no_rope_layers", "no_rope_layer_interval", "use_qk_norm", "attn_temperature_tuning", "floor_scale");
  const spanOf = spans(config, layers, (layer) => (rotates(layer) ? "chunked_attention" : "full_attention"));
  const step = config.size("interleave_moe_layer_step");
  const listed = config.optional("moe_layers", listOf(integer));
  const sparse = new Set(
    listed ?? Array.from({ length: layers }, (_, layer) => layer).filter((layer) => (layer + 1) % step === 0),
  );
  const width = config.size("intermediate_size");
  const experts = moe(config, { width, sharedWidth: width, referenceRunsAll: true });
  const plain = dense(config, { width: config.size("intermediate_size_mlp") });
  return readMoe(config, {
    ffn: (layer) => [sparse.has(layer) ? experts : plain],
    rotates,
    attention: (layer) => ({ bias: biasOf(config.flag("attention_bias")), span: spanOf[layer] ?? full }),
  });
};

/**
 * models/mimo_v2_flash, and MiMo V2.5 (mimo_v2): sliding layers with sinks and heads of their own; values narrower than
 * keys. Published files list both kinds of layers as 0 and 1.
 */
const readMimoV2: Reader = (config) => {
  const layers = readLayerCount(config);
  const listed = config.has("hybrid_layer_pattern");
  const pattern = listed ? config.perLayer("hybrid_layer_pattern", integer, layers) : null;
  const sliding = (layer: number): boolean =>
    pattern === null ? layer !== 0 && (layer + 1) % 6 !== 0 : pattern[layer] === 1;
  const spanOf = spans(config, layers, (layer) => (sliding(layer) ? "sliding_attention" : "full_attention"), {
    window: ["sliding_window", "sliding_window_size"],
  });
  const kvHeads = config.size("num_key_value_heads");
  const slidingKv = config.derived("swa_num_key_value_heads", size, "2 · num_key_value_heads", () => 2 * kvHeads);
  const valueDim = config.derived("v_head_dim", size, "head_dim", () => config.size("head_dim"));
  const own = (key: string, otherwise: number): number => config.peek(key, size) ?? otherwise;
  const slidingHeads = own("swa_num_attention_heads", config.size("num_attention_heads"));
  if (slidingHeads % slidingKv !== 0) {
    throw config.bad("swa_num_key_value_heads", slidingKv, `expected a divisor of ${slidingHeads}`);
  }
  const keyDim = config.size("head_dim");
  const local = {
    heads: slidingHeads,
    kvHeads: slidingKv,
    keyDim: own("swa_head_dim", keyDim),
    valueDim: own("swa_v_head_dim", valueDim),
    scale: own("swa_head_dim", keyDim) ** -0.5,
    ...((config.peek("add_swa_attention_sink_bias", flag) ?? true) ? { sinks: true } : {}),
  };
  const everywhere = (config.peek("add_full_attention_sink_bias", flag) ?? false) ? { sinks: true } : {};
  config.ignore("attention_value_scale", "attention_chunk_size", "attention_projection_layout", "swa_rope_theta");
  config.ignore("hybrid_block_size", "n_shared_experts", "scoring_func", "topk_method", "moe_router_dtype");
  noteTowers(config);
  const sparse = mimoSparse(config, layers);
  const norm = rmsNorm(config, ["rms_norm_eps", "layernorm_epsilon"]);
  return readMoe(config, {
    norm,
    ffn: mixed(config, sparse, moe(config)),
    attention: (layer) => {
      const span = spanOf[layer] ?? full;
      return span.kind === "window" ? { span, ...local } : { span, valueDim, ...everywhere };
    },
  });
};

function mimoSparse(config: ConfigReader, layers: number): boolean[] {
  if (!config.has("moe_layer_freq")) return sparseLayers(config, layers, () => 1);
  config.ignore("mlp_layer_types", "first_k_dense_replace");
  return (config.perLayer("moe_layer_freq", integer, layers) ?? []).map((kind) => kind === 1);
}

/** Towers beside a language model whose keys are on the top level. */
function noteTowers(config: ConfigReader): void {
  const left = ["vision_config", "audio_config"].filter((key) => config.has(key));
  config.ignore(...left, "processor_config", "vision_model_type");
  for (const key of left) config.note(`only the language model is described: ${key} is left out, its parameters too`);
}

/** models/jetmoe: attention heads are experts too. */
const readJetMoe: Reader = (config) => {
  const chosen = config.size("num_experts_per_tok");
  const kvHeads = config.size("num_key_value_heads");
  const headDim = config.size("kv_channels");
  const hidden = config.size("hidden_size");
  const experts = config.size("num_local_experts");
  const rotary = readRotary(config, headDim);
  const norm = rmsNorm(config);
  const attention = softmax({ heads: kvHeads * chosen, kvHeads, headDim }, rotary, {
    projectionExperts: { experts, chosen },
  });
  const ffn = moe(config, { activation: "silu" });
  return decoder(config, {
    layers: listLayers(readLayerCount(config), () => ({
      mixers: [attention],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
      extras: { weights: [{ name: "biases", shape: [2, hidden] }] },
    })),
    finalNorm: norm,
  });
};

/** models/dbrx: nested attention and expert settings, layer norms without bias. */
const readDbrx: Reader = (config) => {
  const attention = config.child("attn_config");
  const ffn = config.child("ffn_config");
  attention.ignoreRest();
  ffn.ignoreRest();
  const hiddenSize = config.size("d_model");
  const heads = config.size("n_heads");
  const kvHeads = attention.derived("kv_n_heads", size, "n_heads", () => heads);
  const norm: Norm = { kind: "layer", bias: false, epsilon: 1e-5, offset: false };
  const headDim = hiddenSize / heads;
  if (!Number.isInteger(headDim)) throw config.bad("n_heads", heads, `expected a divisor of d_model (${hiddenSize})`);
  const experts = moe(ffn, {
    experts: ffn.size("moe_num_experts"),
    chosen: ffn.size("moe_top_k"),
    width: ffn.size("ffn_hidden_size"),
    activation: "silu",
  });
  const rotary = { dims: headDim, theta: 10_000, interleaved: false };
  return decoder(config, {
    hiddenSize,
    contextLength: config.tokens("max_seq_len"),
    layers: listLayers(config.size("n_layers"), () => ({
      mixers: [softmax({ heads, kvHeads, headDim }, rotary)],
      ffns: [experts],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
  });
};

export const mixedMoeReaders: Readonly<Record<string, Reader>> = {
  laguna: readLaguna,
  llama4_text: readLlama4,
  mimo_v2_flash: readMimoV2,
  mimo_v2: readMimoV2,
  jetmoe: readJetMoe,
  dbrx: readDbrx,
};
