import type { Attention, ExtraLinear, ExtraTable, ExtraWeight, Ffn, Layer } from "../types.js";
import { integer, real, size, sizeOrZero, tokenCount } from "./checks.js";
import { linear } from "./beside.js";
import type { ConfigReader } from "./config-reader.js";
import { full, readLayerCount } from "./decoder.js";
import {
  attentionSizes,
  biasOf,
  decoder,
  dense,
  everyFull,
  flagOr,
  listLayers,
  moe,
  rmsNorm,
  softmax,
  spans,
} from "./parts.js";
import type { Reader } from "./reader.js";

/** Gemma 3n and Gemma 4: shared caches, per-layer embeddings, heads that differ between local and global layers. */

/** An embedding per layer (PLE): a table that is looked up, and small projections in every layer. */
interface PerLayerInputs {
  readonly table: ExtraTable;
  readonly model: { readonly linears: readonly ExtraLinear[]; readonly weights: readonly ExtraWeight[] };
  readonly layer: { readonly linears: readonly ExtraLinear[]; readonly weights: readonly ExtraWeight[] };
}

function perLayerInputs(config: ConfigReader, layers: number, hidden: number): PerLayerInputs | null {
  const width = config.optional("hidden_size_per_layer_input", sizeOrZero) ?? 0;
  if (width === 0) {
    config.ignore("vocab_size_per_layer_input");
    return null;
  }
  const rows = config.read("vocab_size_per_layer_input", tokenCount);
  return {
    table: { name: "per_layer", rows, width: layers * width },
    model: {
      linears: [linear("per_layer_projection", hidden, layers * width, false)],
      weights: [{ name: "per_layer_norm", shape: [width] }],
    },
    layer: {
      linears: [linear("per_layer_gate", hidden, width, false), linear("per_layer_projection", width, hidden, false)],
      weights: [{ name: "per_layer_norm", shape: [hidden] }],
    },
  };
}

/** models/gemma4. */
const readGemma4: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const layers = readLayerCount(config);
  const hidden = config.size("hidden_size");
  const norm = rmsNorm(config);
  const spanOf = spans(config, layers, everyFull(6));
  const globalDim = config.derived("global_head_dim", size, "2 · head_dim", () => 2 * sizes.headDim);
  const oneProjection = config.flag("attention_k_eq_v");
  const globalKv = config.optional("num_global_key_value_heads", size);
  const shared = config.optional("num_kv_shared_layers", sizeOrZero) ?? 0;
  const doubles = config.flag("use_double_wide_mlp");
  const width = config.size("intermediate_size");
  const inputs = perLayerInputs(config, layers, hidden);
  const sparse = flagOr(config, "enable_moe_block", false);
  const experts = sparse ? moe(config, { chosen: config.size(["top_k_experts", "num_experts_per_tok"]) }) : null;
  const softcap = config.optional("final_logit_softcapping", real);
  config.ignore(
    "use_bidirectional_attention",
    "rope_local_base_freq",
    "moe_intermediate_size",
    "num_experts",
    "top_k_experts",
    "per_layer_config",
  );
  config.child("per_layer_config", {}).ignoreRest();
  const attention = (index: number): Attention => {
    const span = spanOf[index] ?? full;
    const global = span.kind === "full";
    const headDim = global ? globalDim : sizes.headDim;
    const kvHeads = global && oneProjection && globalKv !== null ? globalKv : sizes.kvHeads;
    const keyValue = index >= layers - shared ? "shared" : global && oneProjection ? "key-is-value" : "own";
    return softmax(
      { heads: sizes.heads, kvHeads, headDim },
      { ...rotary, dims: Math.min(rotary.dims, headDim) },
      {
        bias: biasOf(config.flag("attention_bias")),
        queryKeyNorm: "per-head",
        span,
        scale: 1,
        keyValue,
        valueNorm: true,
      },
    );
  };
  const routerWeights: ExtraWeight[] =
    experts === null
      ? []
      : [
          { name: "router_scale", shape: [hidden] },
          { name: "expert_scale", shape: [experts.experts] },
          { name: "expert_norms", shape: [3, hidden] },
        ];
  return decoder(config, {
    layers: listLayers(layers, (index): Layer => {
      const wide = doubles && index >= layers - shared ? 2 * width : width;
      const plain = dense(config, { width: wide });
      const ffns: Ffn[] = experts === null ? [plain] : [plain, experts];
      const weights = [...(inputs?.layer.weights ?? []), ...routerWeights];
      const linears = inputs?.layer.linears ?? [];
      return {
        mixers: [attention(index)],
        ffns,
        norm,
        normPlacement: "sandwich",
        ...(experts === null ? {} : { arrangement: "parallel-ffns" }),
        ...(weights.length + linears.length === 0 ? {} : { extras: { linears, weights } }),
      };
    }),
    finalNorm: norm,
    embedding: { scale: Math.sqrt(hidden), ...(inputs === null ? {} : { tables: [inputs.table] }) },
    head: { softcap },
    ...(inputs === null ? {} : { extras: inputs.model }),
  });
};

/** Of gates that are kept closed; none where it closes no gate, or all. */
function sparsityOf(share: number): { readonly sparsity?: number } {
  return share > 0 && share < 1 ? { sparsity: share } : {};
}

/** models/gemma3n: four streams (AltUp), a low-rank branch (Laurel), per-layer inputs, shared caches. */
const readGemma3n: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const layers = readLayerCount(config);
  const hidden = config.size("hidden_size");
  const norm = rmsNorm(config);
  const spanOf = spans(config, layers, everyFull(5));
  const shared = config.optional("num_kv_shared_layers", sizeOrZero) ?? 0;
  const inputs = perLayerInputs(config, layers, hidden);
  const streams = config.size("altup_num_inputs");
  const rank = config.size("laurel_rank");
  const widths = config.raw("intermediate_size");
  const listed = Array.isArray(widths) ? config.perLayer("intermediate_size", integer, layers) : null;
  const sparsity = config.perLayer("activation_sparsity_pattern", real, layers);
  const active = config.optional("altup_active_idx", integer) ?? 0;
  if (active !== 0) throw config.bad("altup_active_idx", active, "expected 0: layers work on the first stream");
  const scalesFirst = flagOr(config, "altup_correct_scale", true);
  config.ignore("altup_coef_clip", "rope_local_base_freq");
  const layerLinears = [
    linear("altup_correction", streams, streams, false),
    linear("altup_prediction", streams, streams * streams, false),
    // Both prediction and correction ask the router.
    { ...linear("altup_router", hidden, streams, false), times: 2 },
    linear("laurel_left", hidden, rank, false),
    linear("laurel_right", rank, hidden, false),
    ...(inputs?.layer.linears ?? []),
  ];
  const prediction = { name: "altup_predicted", rows: hidden, inner: streams, columns: streams };
  const layerWeights: ExtraWeight[] = [
    { name: scalesFirst ? "altup_output_scale" : "unused_output_scale", shape: [hidden] },
    { name: "altup_router_norm", shape: [hidden] },
    { name: "laurel_norm", shape: [hidden] },
    ...(inputs?.layer.weights ?? []),
  ];
  const projections = Array.from({ length: streams - 1 }, (_, stream) => [
    linear(`altup_projection${stream}`, hidden, hidden, false),
    linear(`altup_unembedding${stream}`, hidden, hidden, false),
  ]).flat();
  return decoder(config, {
    layers: listLayers(layers, (index) => ({
      mixers: [
        softmax(sizes, rotary, {
          bias: biasOf(config.flag("attention_bias")),
          queryKeyNorm: "per-head",
          span: spanOf[index] ?? full,
          scale: 1,
          valueNorm: true,
          keyValue: index >= layers - shared ? "shared" : "own",
        }),
      ],
      ffns: [
        {
          ...dense(config, { width: listed?.[index] ?? config.size("intermediate_size") }),
          ...sparsityOf(sparsity?.[index] ?? 0),
        },
      ],
      norm,
      normPlacement: "sandwich",
      extras: { linears: layerLinears, weights: layerWeights, products: [prediction] },
    })),
    finalNorm: norm,
    embedding: { scale: Math.sqrt(hidden), ...(inputs === null ? {} : { tables: [inputs.table] }) },
    head: { softcap: config.optional("final_logit_softcapping", real) },
    extras: { linears: [...projections, ...(inputs?.model.linears ?? [])], weights: inputs?.model.weights ?? [] },
  });
};

/**
 * models/diffusion_gemma: Gemma 4 with experts in every layer. A prompt passes it as any decoder's; a canvas of tokens is
 * then filled in by several passes, in which a small network hands on what the pass before thought.
 */
const readDiffusionGemma: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const width = config.size("intermediate_size");
  for (const key of ["num_experts", "top_k_experts", "moe_intermediate_size"]) {
    if (!config.has(key)) throw config.bad(key, config.raw(key), "expected a number: the class has none");
  }
  const result = readGemma4(config.with({ enable_moe_block: true, attention_k_eq_v: true }));
  config.note("a canvas of tokens is filled in by several passes; one pass is what is priced, and its pairs as causal");
  return {
    ...result,
    extras: {
      linears: [
        linear("self_conditioning_gate", hidden, width, false),
        linear("self_conditioning_up", hidden, width, false),
        linear("self_conditioning_down", width, hidden, false),
      ],
      weights: [{ name: "self_conditioning_norm", shape: [hidden] }],
    },
  };
};

export const gemmaReaders: Readonly<Record<string, Reader>> = {
  diffusion_gemma_text: readDiffusionGemma,
  gemma3n_text: readGemma3n,
  gemma4_text: readGemma4,
  gemma4_unified_text: readGemma4,
};
