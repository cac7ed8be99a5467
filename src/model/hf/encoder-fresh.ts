import type { ExtraTable, ExtraWeight, Layer } from "../types.js";
import { className } from "./architecture.js";
import { flag, layerCount, listOf, sizeOrZero, tokenCount } from "./checks.js";
import { clampOfGptOss } from "./clamp.js";
import type { ConfigReader } from "./config-reader.js";
import { readRotary } from "./decoder.js";
import { encoder, readBertLike } from "./encoder.js";
import { attentionSizes, biasOf, dense, flagOr, listLayers, moe, rmsNorm, softmax } from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

/** Encoders of BERT's shape with other positions, other tables, or other heads. */

/** The rotary embedding of heads of one head's width. */
function rotated(config: ConfigReader): Partial<NonNullable<Parameters<typeof readBertLike>[1]>> {
  const headDim = Math.floor(config.size("hidden_size") / config.size("num_attention_heads"));
  const rotary = readRotary(config, headDim);
  return { tables: ["types"], attention: (plain) => ({ ...plain, rotary }) };
}

/** models/jina_embeddings_v3: XLM-RoBERTa with rotary positions, its adapters merged or left out. */
const readJinaV3: Reader = (config) => {
  config.note("adapters are left out: they are merged into the weights or small beside them");
  return readBertLike(config, rotated(config));
};

/** models/gte: rotary positions, gated networks whose second projection alone has a bias. */
const readGteOfClass: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const layer: Partial<Layer> = {
    ffns: [dense(config)],
    extras: { weights: [{ name: "ffn_bias", shape: [hidden] }] },
  };
  return readBertLike(config, { ...rotated(config), layer: () => layer });
};

/** models/openai_privacy_filter: gpt-oss looking both ways, `sliding_window` to each side in all layers. */
const readPrivacyFilter: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config, "down");
  const hidden = config.size("hidden_size");
  const norm = rmsNorm(config);
  // A window of w here reaches w − 1 to each side.
  const attention = softmax(
    sizes,
    { ...rotary, interleaved: true },
    {
      causal: false,
      bias: biasOf(config.flag("attention_bias")),
      sinks: true,
      span: { kind: "window", size: config.read("sliding_window", tokenCount) + 1 },
    },
  );
  const ffn = moe(config, { bias: true, routerBias: true, activation: "silu", ...clampOfGptOss(config) });
  config.ignore("initial_context_length", "default_n_ctx");
  return encoder(config, {
    hidden,
    layers: listLayers(config.read("num_hidden_layers", layerCount), () => ({
      mixers: [attention],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
    tied: flagOr(config, "tie_word_embeddings", false),
  });
};

/** models/luke: RoBERTa with a table of entities, and queries of their own for each pair of words and entities. */
const readLuke: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const entities = config.read("entity_vocab_size", tokenCount);
  const width = config.size("entity_emb_size");
  const aware = config.optional("use_entity_aware_attention", flag) ?? true;
  const rows = config.read("max_position_embeddings", tokenCount);
  const types = config.optional("type_vocab_size", sizeOrZero) ?? 0;
  const predicts = className(config)?.endsWith("ForMaskedLM") ?? true;
  config.note("words are priced; entities beside them are counted as parameters");
  const weights: ExtraWeight[] = [
    { name: "entities", shape: [entities, width] },
    ...(width === hidden ? [] : [{ name: "entity_projection", shape: [hidden, width] }]),
    { name: "entity_positions", shape: [rows + types, hidden] },
    { name: "entity_norm", shape: [2, hidden] },
    { name: "pooler", shape: [hidden + 1, hidden] },
    ...(predicts
      ? [
          { name: "entity_bias", shape: [entities] },
          { name: "entity_transform", shape: [hidden + 3, width] },
        ]
      : []),
  ];
  const queries = { extras: { weights: [{ name: "entity_queries", shape: [3, hidden + 1, hidden] }] } };
  const result = readBertLike(config, { extras: { weights }, layer: () => (aware ? queries : {}) });
  return { ...result, head: { ...result.head, tied: false } };
};

/** models/layoutlm: BERT with tables for where a word stands on the page. */
const readLayoutLm: Reader = (config) => {
  const rows = config.read("max_2d_position_embeddings", tokenCount);
  const result = readBertLike(config, { pooler: true });
  const width = result.embedding.width;
  const table = (name: string, lookups: number): ExtraTable => ({ name, rows, width, lookups });
  // Left and right edges share a table, upper and lower ones too.
  const places = [table("x", 2), table("y", 2), table("height", 1), table("width", 1)];
  return withPooler({
    ...result,
    embedding: { ...result.embedding, tables: [...(result.embedding.tables ?? []), ...places] },
  });
};

/**
 * models/layoutlmv3 (arXiv:2204.08387): RoBERTa with four edges and the size of each word's box, narrower tables side by
 * side; patches of the page; scores by relative position and by place on the page. Text alone is priced.
 */
const readLayoutLm3: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  const rows = config.read("max_2d_position_embeddings", tokenCount);
  const [edge, extent] = [config.size("coordinate_size"), config.size("shape_size")];
  if (4 * edge + 2 * extent !== hidden) {
    throw config.bad("coordinate_size", edge, `expected 4 · coordinate_size + 2 · shape_size to be ${hidden}`);
  }
  const visual = flagOr(config, "visual_embed", true);
  const side = Math.floor(config.size("input_size") / config.size("patch_size"));
  const patch = config.size("patch_size");
  const channels = config.size("num_channels");
  const bins: ExtraWeight[] = [
    ...(flagOr(config, "has_relative_attention_bias", true)
      ? [{ name: "distance_bias", shape: [config.size("rel_pos_bins"), heads] }]
      : []),
    ...(flagOr(config, "has_spatial_attention_bias", true)
      ? [{ name: "place_bias", shape: [2, config.size("rel_2d_pos_bins"), heads] }]
      : []),
  ];
  const image: ExtraWeight[] = [
    { name: "patches", shape: [hidden, channels, patch, patch] },
    { name: "patches_bias", shape: [hidden] },
    { name: "class_token", shape: [hidden] },
    { name: "patch_positions", shape: [side * side + 1, hidden] },
    { name: "patch_norms", shape: [2, 2, hidden] },
  ];
  config.ignore("rel_pos_bins", "max_rel_pos", "rel_2d_pos_bins", "max_rel_2d_pos", "text_embed");
  if (visual) config.note("the page's patches are counted as parameters; text alone is priced");
  const result = readBertLike(config, { extras: { weights: [...bins, ...(visual ? image : [])] } });
  const table = (name: string, width: number, lookups: number): ExtraTable => ({ name, rows, width, lookups });
  const places = [table("x", edge, 2), table("y", edge, 2), table("height", extent, 1), table("width", extent, 1)];
  return {
    ...result,
    embedding: { ...result.embedding, tables: [...(result.embedding.tables ?? []), ...places] },
  };
};

/** models/dpr: BERT without its pooler; a projection behind it where the file asks for one. */
const readDpr: Reader = (config) => {
  const projected = config.optional("projection_dim", sizeOrZero) ?? 0;
  const hidden = config.size("hidden_size");
  const reads = className(config)?.includes("Reader") === true;
  const result = readBertLike(config);
  const linears = [
    ...(projected === 0 ? [] : [{ name: "projection", inWidth: hidden, outWidth: projected, bias: true }]),
    ...(reads
      ? [
          { name: "ends", inWidth: projected === 0 ? hidden : projected, outWidth: 2, bias: true },
          { name: "relevance", inWidth: projected === 0 ? hidden : projected, outWidth: 1, bias: true },
        ]
      : []),
  ];
  return {
    ...result,
    head: { kind: "none", tied: true, bias: false, softcap: null },
    stacks: result.stacks.map((stack) => ({ ...stack, extras: { ...stack.extras, linears } })),
  };
};

/** models/tapas (arXiv:2004.02349): BERT with a table for each kind of place in a table. */
const readTapas: Reader = (config) => {
  const kinds = config.read("type_vocab_sizes", listOf(tokenCount));
  config.ignore("reset_position_index_per_cell");
  const result = readBertLike(config, { tables: ["positions"], pooler: true });
  const width = result.embedding.width;
  const tables = kinds.map((rows, index): ExtraTable => ({ name: `types${index}`, rows, width }));
  return {
    ...result,
    embedding: { ...result.embedding, tables: [...(result.embedding.tables ?? []), ...tables] },
  };
};

/** The class has its pooler beside the logits too. */
function withPooler(result: ReaderResult): ReaderResult {
  return result.head.kind === "lm" ? { ...result, head: { ...result.head, pooler: result.hiddenSize } } : result;
}

/** models/ibert: RoBERTa in whole numbers where `quant_mode` says so, and the same sizes. */
const readIBert: Reader = (config) => {
  if (config.flag("quant_mode"))
    config.note("arithmetic in 8-bit whole numbers is not priced: weights in the file's dtype");
  config.ignore("force_dequant");
  return readBertLike(config);
};

/** models/bert-generation: BERT as one half of an encoder–decoder, without token types. */
const readBertGeneration: Reader = (config) => {
  const result = readBertLike(config, { tables: ["positions"] });
  const { transform: _transform, ...head } = result.head;
  return { ...result, head };
};

export const freshEncoderReaders: Readonly<Record<string, Reader>> = {
  jina_embeddings_v3: readJinaV3,
  gte: readGteOfClass,
  luke: readLuke,
  layoutlm: readLayoutLm,
  ibert: readIBert,
  layoutlmv3: readLayoutLm3,
  dpr: readDpr,
  tapas: readTapas,
  "bert-generation": readBertGeneration,
  openai_privacy_filter: readPrivacyFilter,
};
