import type { Layer } from "../types.js";
import { integer, listOf, oneOf, real, size, tokenCount } from "./checks.js";
import { clampOf } from "./clamp.js";
import { full, readLayerCount } from "./decoder.js";
import { notePrediction } from "./prediction.js";
import { attentionSizes, decoder, dense, listLayers, moe, rmsNorm, sharedWidth, softmax, spans } from "./parts.js";
import type { Reader } from "./reader.js";

/** Language models that come with a vision tower only. */

/** The text of Llama 3.2 Vision: layers that look at the image are skipped where there is none. */
const readMllamaText: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const norm = rmsNorm(config);
  const across = new Set(config.read("cross_attention_layers", listOf(integer)));
  const ffn = dense(config);
  const vocabulary = config.read("vocab_size", tokenCount);
  const attention = softmax(sizes, rotary);
  const image = softmax(sizes, null, { source: "encoder", queryKeyNorm: "per-head" });
  return decoder(config, {
    layers: listLayers(readLayerCount(config), (index): Layer => {
      if (!across.has(index)) return { mixers: [attention], ffns: [ffn], norm, normPlacement: "pre" };
      const extras = { weights: [{ name: "gates", shape: [2] }] };
      return { mixers: [image], ffns: [ffn], norm, normPlacement: "pre", extras, onlyWithImage: true };
    }),
    finalNorm: norm,
    embedding: { rows: vocabulary + 8 },
  });
};

/** The text of MiniMax-M3: an indexer of blocks in the sparse layers, dense first layers. */
const readMiniMaxM3: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const layers = readLayerCount(config);
  const norm = { ...rmsNorm(config), offset: true };
  const sparse = config.child("sparse_attention_config", {});
  const flags = sparse.perLayer("sparse_attention_freq", integer, layers);
  const listed = config.perLayer("moe_layer_freq", integer, layers);
  const types = config.perLayer("mlp_layer_types", oneOf(["dense", "sparse"]), layers);
  const chooses = (index: number): boolean => flags !== null && flags[index] === 1;
  const from = "class default of minimax_m3";
  const block = sparse.derived("sparse_block_size", size, from, () => 128);
  const blocks = sparse.derived("sparse_topk_blocks", size, from, () => 16);
  const hidden = config.size("hidden_size");
  const indexer = {
    heads: sparse.derived("sparse_num_index_heads", size, from, () => 4),
    dim: sparse.derived("sparse_index_dim", size, from, () => 128),
    queryWidth: hidden,
    chosen: block * blocks,
    norm: "rms",
    weighted: false,
  } as const;
  sparse.ignoreRest();
  const width = config.size(["moe_intermediate_size", "intermediate_size"]);
  const { clamp: bounds } = clampOf(config, "gpt-oss");
  const slope = config.optional("swiglu_alpha", real);
  const clamp = bounds === undefined ? {} : { clamp: { ...bounds, slope: slope ?? bounds.slope } };
  const experts = moe(config, {
    width,
    activation: "silu",
    sharedWidth: config.size("shared_intermediate_size"),
    sharedClamp: clamp.clamp,
    ...clamp,
  });
  const plain = { ...gatedDense(config.size("dense_intermediate_size")), ...clamp };
  const isSparse = (index: number): boolean =>
    types !== null ? types[index] === "sparse" : listed === null || listed[index] === 1;
  notePrediction(config);
  config.ignore(
    "rotary_dim",
    "use_gemma_norm",
    "use_qk_norm",
    "qk_norm_type",
    "use_routing_bias",
    "attention_output_gate",
    "first_k_dense_replace",
    "n_shared_experts",
    "hidden_act",
    "layer_types",
    "index_n_heads",
    "index_head_dim",
    "index_block_size",
    "index_topk_blocks",
    "index_local_blocks",
    "intermediate_size",
  );
  const attention = softmax(sizes, rotary, { queryKeyNorm: "per-head" });
  return decoder(config, {
    layers: listLayers(layers, (index) => ({
      mixers: [chooses(index) ? { ...attention, indexer, span: { kind: "chosen", size: indexer.chosen } } : attention],
      ffns: [isSparse(index) ? experts : plain],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
  });
};

function gatedDense(width: number) {
  return { kind: "dense", width, gated: true, activation: "silu", bias: false } as const;
}

/** The text of Step 3.7: a gate per head, dense first layers, windows in most layers. */
const readStep: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const layers = readLayerCount(config);
  const norm = rmsNorm(config);
  const spanOf = spans(config, layers, () => "full_attention");
  const experts = moe(config, {
    experts: config.size(["n_routed_experts", "num_experts", "moe_num_experts"]),
    activation: "silu",
    sharedWidth: config.has("share_expert_dim")
      ? config.size("share_expert_dim")
      : sharedWidth(config, "n_shared_experts") || config.size("moe_intermediate_size"),
  });
  const plain = gatedDense(config.size("intermediate_size"));
  const types = config.perLayer("mlp_layer_types", oneOf(["dense", "sparse"]), layers);
  const first = config.derived("first_k_dense_replace", size, "class default of step3p5", () => 3);
  const isSparse = (index: number): boolean => (types === null ? index >= first : types[index] === "sparse");
  notePrediction(config);
  config.ignore("scoring_func", "use_moe_router_bias", "moe_router_scaling_factor", "n_shared_experts");
  const gate = "per-head" as const;
  return decoder(config, {
    layers: listLayers(layers, (index) => ({
      mixers: [softmax(sizes, rotary, { queryKeyNorm: "per-head", gate, span: spanOf[index] ?? full })],
      ffns: [isSparse(index) ? experts : plain],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
  });
};

export const visionTextReaders: Readonly<Record<string, Reader>> = {
  mllama_text_model: readMllamaText,
  minimax_m3: readMiniMaxM3,
  step3p5: readStep,
};
