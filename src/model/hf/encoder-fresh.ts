import type { ExtraTable, ExtraWeight, Layer } from "../types.js";
import { className } from "./architecture.js";
import { flag, sizeOrZero, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readRotary } from "./decoder.js";
import { readBertLike } from "./encoder.js";
import { dense } from "./parts.js";
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
  "bert-generation": readBertGeneration,
};
