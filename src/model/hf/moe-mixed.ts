import type { Norm } from "../types.js";
import { flag, integer, listOf, size } from "./checks.js";
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

/** models/mimo_v2_flash: sliding layers with sinks and key-value heads of their own; values narrower than keys. */
const readMimoV2: Reader = (config) => {
  const layers = readLayerCount(config);
  const spanOf = spans(config, layers, (layer) =>
    layer === 0 || (layer + 1) % 6 === 0 ? "full_attention" : "sliding_attention",
  );
  const kvHeads = config.size("num_key_value_heads");
  const slidingKv = config.derived("swa_num_key_value_heads", size, "2 · num_key_value_heads", () => 2 * kvHeads);
  const valueDim = config.derived("v_head_dim", size, "head_dim", () => config.size("head_dim"));
  config.ignore("attention_value_scale");
  const sparse = sparseLayers(config, layers, () => 1);
  return readMoe(config, {
    ffn: mixed(config, sparse, moe(config)),
    attention: (layer) => {
      const span = spanOf[layer] ?? full;
      const slides = span.kind === "window";
      return { span, valueDim, ...(slides ? { sinks: true, kvHeads: slidingKv } : {}) };
    },
  });
};

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
  jetmoe: readJetMoe,
  dbrx: readDbrx,
};
