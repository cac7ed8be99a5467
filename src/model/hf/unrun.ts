import type { ExtraWeight, Layer, Mixer, Stack, Unrun } from "../types.js";
import { sizeOrZero } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { residualBlock } from "./kimi.js";
import type { ReaderResult } from "./reader.js";

/** Families whose routers have one balancing bias per choice, which their classes keep as a buffer. */
const balanced = new Set([
  "deepseek_v3",
  "deepseek_v32",
  "deepseek_v4",
  "deepseek_ref",
  "kimi_k2",
  "longcat_flash",
  "glm4_moe",
  "glm_moe_dsa",
  "dots1",
  "exaone_moe",
  "kimi_linear",
  "inkling_text",
  "mimo_v2",
  "mimo_v2_flash",
  "minimax_m2",
  "nemotron_h",
  "zaya",
]);

/** Families whose layers for prediction carry copies of embedding and head. */
const copying = new Set(["deepseek_v3", "deepseek_v32", "glm4_moe", "glm_moe_dsa"]);

/** Families whose layers that read another one's cache have no projections of their own. */
const withoutUnused = new Set(["phi4flash"]);

/** What the published checkpoint holds beside the model that is run, or null where that is nothing. */
export function unrunOf(
  modelType: string,
  result: ReaderResult,
  predicting: number,
  config: ConfigReader,
): Unrun | null {
  const decoder = result.stacks.findLast((stack) => stack.kind === "decoder");
  if (decoder === undefined) return null;
  const prediction = predicting > 0 ? predictionStack(decoder, predicting, result, copying.has(modelType)) : null;
  const weights = [
    ...(balanced.has(modelType) ? balancing([...decoder.layers, ...(prediction?.layers ?? [])]) : []),
    ...(modelType === "deepseek_v4" ? fixedRoutes(result, decoder, config) : []),
    ...(withoutUnused.has(modelType) ? [] : unusedProjections(decoder, result.hiddenSize)),
    ...(modelType === "axk1" ? unusedNorms(decoder, result.hiddenSize) : []),
    ...(modelType === "kimi_linear" && config.has(residualBlock) ? paddedDecays(decoder) : []),
  ];
  if (prediction === null && weights.length === 0) return null;
  return { ...(prediction === null ? {} : { prediction }), weights };
}

function balancing(layers: readonly Layer[]): ExtraWeight[] {
  return layers.flatMap((layer, index) =>
    layer.ffns.flatMap((ffn) =>
      ffn.kind === "moe" ? [{ name: `layers.${index}.router_balance`, shape: [ffn.experts + (ffn.idle ?? 0)] }] : [],
    ),
  );
}

/**
 * The first layers of DeepSeek-V4 look experts up by token: a table of vocabulary × chosen, and no balancing bias
 * (counted above, so its weight is taken off the table's rows).
 */
function fixedRoutes(result: ReaderResult, decoder: Stack, config: ConfigReader): ExtraWeight[] {
  const layers = config.optional("num_hash_layers", sizeOrZero) ?? 0;
  return decoder.layers
    .slice(0, layers)
    .flatMap((layer, index) =>
      layer.ffns.flatMap((ffn) =>
        ffn.kind === "moe"
          ? [{ name: `layers.${index}.routes`, shape: [result.vocabularySize * ffn.chosen - ffn.experts] }]
          : [],
      ),
    );
}

/** Keys and values that layers could project but take from another layer's cache (Gemma 3n, Gemma 4). */
function unusedProjections(decoder: Stack, hidden: number): ExtraWeight[] {
  return decoder.layers.flatMap((layer, index) =>
    layer.mixers.flatMap((mixer) => {
      if (mixer.kind !== "attention" || mixer.keyValue !== "shared" || mixer.source === "encoder") return [];
      return [
        { name: `layers.${index}.unused_key`, shape: [mixer.kvHeads * mixer.keyDim, hidden] },
        { name: `layers.${index}.unused_value`, shape: [mixer.kvHeads * mixer.valueDim, hidden] },
        { name: `layers.${index}.unused_key_norm`, shape: [mixer.keyDim] },
      ];
    }),
  );
}

/** The checkpoint of A.X-K1 has a norm behind the network in every layer; its class has none in the dense ones. */
function unusedNorms(decoder: Stack, hidden: number): ExtraWeight[] {
  return decoder.layers.flatMap((layer, index) =>
    layer.ffns.some((ffn) => ffn.kind === "moe")
      ? []
      : [{ name: `layers.${index}.unused_post_mlp_norm`, shape: [hidden] }],
  );
}

/** The checkpoint of Kimi K3 has as many decays as a head has channels: one per head, then zeros. */
function paddedDecays(decoder: Stack): ExtraWeight[] {
  return decoder.layers.flatMap((layer, index) =>
    layer.mixers.flatMap((mixer) =>
      mixer.kind === "delta" && mixer.keyDim > mixer.valueHeads
        ? [{ name: `layers.${index}.padded_decay`, shape: [mixer.keyDim - mixer.valueHeads] }]
        : [],
    ),
  );
}

/**
 * Layers after the last one, each a full-attention layer of the model behind a projection of the hidden state beside
 * the next token's embedding (DeepSeek-V3, arXiv:2412.19437, 2.2). Embedding and head are the model's own, in
 * some checkpoints copied; streams of hyper-connections are joined once more.
 */
function predictionStack(decoder: Stack, count: number, result: ReaderResult, copies: boolean): Stack | null {
  const last = decoder.layers.findLast(attends);
  if (last === undefined) return null;
  const layer = { ...last, mixers: last.mixers.map(withoutCompression) };
  const hidden = result.hiddenSize;
  const norms = [
    { name: "hidden_norm", shape: [hidden] },
    { name: "embedding_norm", shape: [hidden] },
    { name: "head_norm", shape: [hidden] },
    ...(copies
      ? [
          { name: "embedding", shape: [result.vocabularySize, hidden] },
          { name: "head", shape: [result.vocabularySize, hidden] },
        ]
      : []),
  ];
  return {
    name: "prediction",
    kind: "decoder",
    layers: Array.from({ length: count }, () => ({
      ...layer,
      extras: {
        linears: [
          ...(layer.extras?.linears ?? []),
          ...(result.extras?.linears ?? []),
          { name: "joined", inWidth: 2 * hidden, outWidth: hidden, bias: false },
        ],
        weights: [...(layer.extras?.weights ?? []), ...(result.extras?.weights ?? []), ...norms],
      },
    })),
    finalNorm: null,
  };
}

/** DeepSeek-V4's layer for prediction looks at its window only. */
function withoutCompression(mixer: Mixer): Mixer {
  return mixer.kind === "compressed" ? { ...mixer, ratio: 0, indexer: null } : mixer;
}

function attends(layer: Layer): boolean {
  return layer.mixers.some(
    (mixer) =>
      mixer.kind === "latent" ||
      mixer.kind === "compressed" ||
      (mixer.kind === "attention" && (mixer.span.kind === "full" || mixer.span.kind === "chosen")),
  );
}
