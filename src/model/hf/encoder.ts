import type { Attention, Biases, Embedding, Extras, ExtraTable, Head, Layer, Norm, Stack } from "../types.js";
import { layerCount, sizeOrZero, text, tokenCount } from "./checks.js";
import { purposeOf } from "./architecture.js";
import type { ConfigReader, Key } from "./config-reader.js";
import { readDtypes, shareEqual } from "./decoder.js";
import { allBias, dense, flagOr, layerNorm, listLayers, softmax } from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

/** Encoders: every position at once, no cache. */

interface EncoderTraits {
  readonly layers: readonly Layer[];
  readonly finalNorm: Norm | null;
  readonly hidden: number;
  readonly tied: boolean;
  /** Width of the token table where it is not the hidden size. */
  readonly width?: number;
  readonly projectionBias?: boolean;
  readonly tables?: readonly ExtraTable[];
  readonly embeddingNorm?: Norm | null;
  /** What stands before the logits. */
  readonly transform?: Head["transform"];
  readonly headBias?: boolean;
  readonly pooler?: boolean;
  readonly extras?: Extras;
}

export function encoder(config: ConfigReader, traits: EncoderTraits): ReaderResult {
  const { hidden, width = hidden, embeddingNorm = null, transform } = traits;
  const vocabularySize = config.read("vocab_size", tokenCount);
  const purpose = purposeOf(config);
  const stack: Stack = {
    kind: "encoder",
    layers: shareEqual(traits.layers),
    finalNorm: traits.finalNorm,
    length: { kind: "new" },
    extras: traits.extras ?? {},
  };
  const embedding: Embedding = {
    rows: vocabularySize,
    width,
    scale: null,
    tables: traits.tables ?? [],
    ...(embeddingNorm === null ? {} : { norm: embeddingNorm }),
    ...(width === hidden ? {} : { projection: { bias: traits.projectionBias ?? false } }),
  };
  const bare: Head = { kind: "none", tied: true, bias: false, softcap: null };
  const pooled: Head = { kind: "pooler", tied: false, bias: true, softcap: null, rows: hidden };
  const lm: Head = {
    kind: "lm",
    tied: traits.tied,
    bias: traits.headBias ?? false,
    softcap: null,
    ...(transform === undefined ? {} : { transform }),
  };
  if (purpose === "classification") config.note("the classification head, a few thousand parameters, is left out");
  return {
    hiddenSize: hidden,
    vocabularySize,
    contextLength: config.optional(["max_position_embeddings", "n_positions"], tokenCount),
    embedding,
    head: purpose === "language-model" ? lm : traits.pooler === true ? pooled : bare,
    stacks: [stack],
    dtypes: readDtypes(config),
  };
}

const layerKeys: Key = ["num_hidden_layers", "n_layers"];
const headKeys: Key = ["num_attention_heads", "n_heads"];
const hiddenKeys: Key = ["hidden_size", "dim"];

interface BertTraits {
  readonly placement: Layer["normPlacement"];
  readonly tables: readonly ("positions" | "types")[];
  readonly pooler: boolean;
  readonly embeddingNorm: boolean;
  readonly finalNorm: boolean;
  readonly bias: Biases;
  readonly embeddingSize: boolean;
  readonly extras: Extras;
  readonly layer: (index: number) => Partial<Layer>;
  /** What a layer's attention does differently. */
  readonly attention: (plain: Attention, index: number) => Attention;
  /** Rows that the table of positions has beyond max_position_embeddings. */
  readonly positionOffset: number;
  /** Row of the first position. */
  readonly firstRow: number;
  /** Heads, where the config names none. */
  readonly heads: number;
}

/** The shape of BERT: layer norms after each residual, biases everywhere, learned positions. */
export function readBertLike(config: ConfigReader, differences: Partial<BertTraits> = {}): ReaderResult {
  const hidden = config.size(hiddenKeys);
  const heads = differences.heads ?? config.size(headKeys);
  if (hidden % heads !== 0) throw config.bad(headKeys, heads, `expected a divisor of the hidden size (${hidden})`);
  const norm = bertNorm(config);
  const count = config.read(layerKeys, layerCount);
  const ffn = dense(config, {
    width: config.size(["intermediate_size", "hidden_dim"]),
    gated: false,
    bias: true,
    act: ["hidden_act", "activation"],
  });
  const attention = softmax({ heads, kvHeads: heads, headDim: hidden / heads }, null, {
    causal: false,
    bias: differences.bias ?? allBias,
  });
  const width = differences.embeddingSize === true ? config.size("embedding_size") : hidden;
  const wanted = differences.tables ?? ["positions", "types"];
  const types = config.optional("type_vocab_size", sizeOrZero) ?? 0;
  const tables: ExtraTable[] = [];
  if (wanted.includes("positions"))
    tables.push({
      name: "positions",
      rows: config.read("max_position_embeddings", tokenCount) + (differences.positionOffset ?? 0),
      width,
      ...(differences.firstRow === undefined ? {} : { firstRow: differences.firstRow }),
    });
  if (wanted.includes("types") && types > 0) tables.push({ name: "types", rows: types, width });
  config.ignore(
    "position_embedding_type",
    "embedding_size",
    "is_decoder",
    "add_cross_attention",
    "cross_attention_hidden_size",
  );
  return encoder(config, {
    hidden,
    width,
    layers: listLayers(count, (index) => ({
      mixers: [differences.attention?.(attention, index) ?? attention],
      ffns: [ffn],
      norm,
      normPlacement: differences.placement ?? "post-residual",
      ...differences.layer?.(index),
    })),
    finalNorm: differences.finalNorm === true ? norm : null,
    projectionBias: true,
    tables,
    embeddingNorm: differences.embeddingNorm === false ? null : norm,
    transform: { width, bias: true, norm },
    headBias: true,
    pooler: differences.pooler ?? false,
    extras: differences.extras ?? {},
    tied: flagOr(config, "tie_word_embeddings", true),
  });
}

function bertNorm(config: ConfigReader): Norm {
  if (config.has("layer_norm_eps") || config.has("layer_norm_epsilon")) return layerNorm(config);
  return { kind: "layer", bias: true, epsilon: 1e-12, offset: false };
}

const readBert: Reader = (config) => {
  const form = config.optional("feed_forward_type", text);
  return form === null || form === "original" ? readBertLike(config, { pooler: true }) : readJinaBert(config, form);
};

/** JinaBERT (arXiv:2310.19923), which calls itself BERT: gated networks, ALiBi instead of a table of positions. */
function readJinaBert(config: ConfigReader, form: string): ReaderResult {
  if (form !== "geglu" && form !== "reglu") {
    throw config.bad("feed_forward_type", form, 'expected "original", "geglu" or "reglu"');
  }
  const hidden = config.size("hidden_size");
  const ffn = dense(config, { activation: form === "geglu" ? "gelu" : "relu" });
  const alibi = config.optional("position_embedding_type", text) === "alibi";
  config.ignore("emb_pooler", "hidden_act", "attn_implementation", "model_max_length");
  return readBertLike(config, {
    pooler: true,
    tables: alibi ? ["types"] : ["positions", "types"],
    layer: () => ({ ffns: [ffn], extras: { weights: [{ name: "ffn_bias", shape: [hidden] }] } }),
  });
}

/** models/roberta and its kin: positions stand behind the padding's, whose token is 1. */
const readRoberta: Reader = (config) => readBertLike(config, { firstRow: 2 });

/** models/ernie: BERT with optional task types. */
const readErnie: Reader = (config) => {
  const tasks = config.flag("use_task_id") ? config.size("task_type_vocab_size") : 0;
  config.ignore("task_type_vocab_size");
  const weights = tasks === 0 ? [] : [{ name: "tasks", shape: [tasks, config.size("hidden_size")] }];
  return readBertLike(config, { pooler: true, extras: { weights } });
};

/** models/distilbert: no token types, no pooler. */
const readDistilBert: Reader = (config) => readBertLike(config, { tables: ["positions"] });

/** models/electra: a narrower embedding. */
const readElectra: Reader = (config) => readBertLike(config, { embeddingSize: true });

/** models/roformer: rotary positions, from a table of sinusoids of one head's width. */
const readRoFormer: Reader = (config) => {
  const headDim = config.size("hidden_size") / config.size("num_attention_heads");
  const rows = config.read("max_position_embeddings", tokenCount);
  config.ignore("rotary_value");
  return readBertLike(config, {
    tables: ["types"],
    attention: (plain) => ({ ...plain, rotary: { dims: headDim, theta: 10_000, interleaved: true } }),
    extras: { weights: [{ name: "sinusoids", shape: [rows, headDim] }] },
  });
};

/** models/megatron_bert: norms before each branch and at the end. */
const readMegatron: Reader = (config) =>
  readBertLike(config, { placement: "pre", embeddingNorm: false, finalNorm: true, pooler: true });

/** models/mpnet: one table of relative positions for all layers. */
const readMpNet: Reader = (config) => {
  const buckets = config.size("relative_attention_num_buckets");
  return readBertLike(config, {
    tables: ["positions"],
    pooler: true,
    // The class fixes how far buckets widen.
    attention: (plain, index) => ({ ...plain, relativePositions: { buckets, reach: 128, own: index === 0 } }),
  });
};

/** models/albert: groups of layers that share their weights, a narrow embedding. */
const readAlbert: Reader = (config) => {
  const groups = config.size("num_hidden_groups");
  const inner = config.size("inner_group_num");
  const count = config.read(layerKeys, layerCount);
  config.ignore("down_scale_factor", "gap_size", "net_structure_type", "num_memory_blocks");
  const result = readBertLike(config, { embeddingSize: true, pooler: true });
  const [stack] = result.stacks;
  const [plain] = stack?.layers ?? [];
  if (stack === undefined || plain === undefined) return result;
  const layers = Array.from({ length: count }, (_, layer) => Math.floor((layer * groups) / count)).flatMap((group) =>
    Array.from({ length: inner }, (_, part): Layer => ({ ...plain, weightsOf: `groups.${group}.${part}` })),
  );
  return { ...result, stacks: [{ ...stack, layers: shareEqual(layers) }] };
};

export const encoderReaders: Readonly<Record<string, Reader>> = {
  bert: readBert,
  roberta: readRoberta,
  "xlm-roberta": readRoberta,
  camembert: readRoberta,
  ernie: readErnie,
  distilbert: readDistilBert,
  electra: readElectra,
  roformer: readRoFormer,
  "megatron-bert": readMegatron,
  mpnet: readMpNet,
  albert: readAlbert,
};
