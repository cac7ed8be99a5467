import type { Attention, ExtraTable, Extras, Indexer, Norm } from "../types.js";
import { type Check, integer, listOf, oneOf, size } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readLayerCount } from "./decoder.js";
import { readDelta } from "./linear.js";
import { attentionSizes, biasOf, decoder, listLayers, moe, plainNorm, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/**
 * What the versions of the class call an indexed layer. It has no other attention: the published file says
 * `full_attention` of layers that have an indexer, and the class takes the word so.
 */
const indexed = [
  "indexed_attention",
  "full_attention",
  "qwen_sparse_attention",
  "deepseek_sparse_attention",
  "hybrid_indexed",
] as const;

/**
 * models/qwen4_exp: three Gated DeltaNet layers to one of gated attention to tokens that an indexer chooses from pooled
 * keys, experts everywhere, several residual streams, tables of n-grams looked up in some layers.
 */
const readQwen4: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const hidden = config.size("hidden_size");
  const layers = readLayerCount(config);
  const streams = config.derived("hc_count", size, "class default of qwen4_exp", () => 4);
  const rank = config.derived("hc_lowrank", size, "class default of qwen4_exp", () => 320);
  const period = config.derived("full_attention_interval", size, "class default of qwen4_exp", () => 4);
  const types = config.perLayer("layer_types", oneOf(["linear_attention", ...indexed]), layers);
  const attends = (layer: number): boolean =>
    types === null ? (layer + 1) % period === 0 : types[layer] !== "linear_attention";
  const indexer = readQsaIndexer(config, hidden);
  const attention: Attention = softmax(sizes, rotary, {
    bias: biasOf(config.flag("attention_bias")),
    queryKeyNorm: "per-head",
    gate: "per-element",
    span: { kind: "chosen", size: indexer.chosen },
    indexer,
  });
  const delta = readDelta(config);
  const experts = moe(config, { sharedWidth: config.size("shared_expert_intermediate_size"), sharedGate: true });
  const looking = new Set(config.optional("ple_layer_ids", listOf(integer)) ?? []);
  if ([...looking].some((layer) => layer < 1 || layer > layers)) {
    throw config.bad("ple_layer_ids", [...looking], `expected numbers of layers from 1 to ${layers}`);
  }
  const grams = looking.size === 0 ? null : readGrams(config, hidden, streams, looking.size);
  const mixing = residualStreams(hidden, streams, rank, ["mixer", "ffn"], true);
  const norm: Norm = plainNorm();
  config.ignore("output_gate_type", "number_of_conv_states", "ple_conv_kernel_size", "seed", "split_ngram_parts");
  config.ignore("ngram_size", "heads_per_ngram", "ngram_vocab_size_base", "make_ngram_vocab_size_divisible_by");
  config.ignore("ple_embed_dim", "rms_norm_eps");
  config.note(
    `queries see ${indexer.chosen} chosen tokens at most; the up to ${(indexer.pool ?? 1) - 1} after the last whole pool are left out`,
  );
  return decoder(config, {
    layers: listLayers(layers, (layer) => ({
      mixers: [attends(layer) ? attention : delta],
      ffns: [experts],
      norm,
      normPlacement: "pre",
      extras: grams !== null && looking.has(layer + 1) ? joined(mixing, grams.layer) : mixing,
    })),
    finalNorm: null,
    embedding: grams === null ? {} : { tables: grams.tables },
    extras: residualStreams(hidden, streams, rank, ["final"], false),
  });
};

/** Keys of `indexer_compress_ratio` tokens are averaged into one; the budget is in tokens. */
function readQsaIndexer(config: ConfigReader, hidden: number): Indexer {
  const kvHeads = config.size("indexer_kv_heads");
  if (kvHeads !== 1) throw config.bad("indexer_kv_heads", kvHeads, "expected 1: the class knows no more");
  const pool = config.size("indexer_compress_ratio");
  const chosen = config.size("indexer_budget");
  if (chosen % pool !== 0) throw config.bad("indexer_budget", chosen, `expected a multiple of ${pool} (the pool)`);
  return {
    heads: config.size("indexer_n_heads"),
    dim: config.size("indexer_head_dim"),
    queryWidth: hidden,
    chosen,
    norm: "rms",
    weighted: false,
    pool,
  };
}

/** A norm over all streams, a low-rank gate that mixes them into a branch's input, weights that put its result back. */
function residualStreams(
  hidden: number,
  streams: number,
  rank: number,
  branches: readonly string[],
  puts: boolean,
): Extras {
  const wide = streams * hidden;
  return {
    linears: branches.flatMap((branch) => [
      { name: `${branch}_mix_down`, inWidth: wide, outWidth: rank, bias: false },
      { name: `${branch}_mix_up`, inWidth: rank, outWidth: wide, bias: false },
      ...(puts ? [{ name: `${branch}_inject`, inWidth: wide, outWidth: streams, bias: false }] : []),
    ]),
    weights: branches.map((branch) => ({ name: `${branch}_streams_norm`, shape: [wide] })),
  };
}

/** Most rows of one table of n-grams, and most tables: those of the published model are of 20 million rows. */
const gramRows: Check<number> = {
  schema: integer.schema.refine((rows) => rows >= 1 && rows <= 2 ** 31),
  expected: `expected a whole number from 1 to ${2 ** 31}`,
};
const mostTables = 1024;

interface Grams {
  readonly tables: readonly ExtraTable[];
  /** What a layer that looks n-grams up has beside. */
  readonly layer: Extras;
}

/** Hashed n-grams of 2 … `ngram_size` tokens: a table per layer, of as many primes of rows as it has heads. */
function readGrams(config: ConfigReader, hidden: number, streams: number, uses: number): Grams {
  const from = "class default of qwen4_exp";
  const longest = config.derived("ngram_size", size, from, () => 3);
  const heads = (longest - 1) * config.derived("heads_per_ngram", size, from, () => 8);
  const width = config.derived("ple_embed_dim", size, "hidden_size", () => hidden);
  const base = config.derived("ngram_vocab_size_base", gramRows, from, () => 20_000_000);
  const multiple = config.derived("make_ngram_vocab_size_divisible_by", size, from, () => 128);
  const kernel = config.derived("ple_conv_kernel_size", size, from, () => 4);
  if (heads === 0 || width % heads !== 0) {
    throw config.bad("ple_embed_dim", width, `expected a multiple of the number of heads of n-grams (${heads})`);
  }
  if (heads * uses > mostTables) throw config.bad("heads_per_ngram", heads, `expected ${mostTables} tables at most`);
  const primes = primesFrom(base, heads * uses);
  const rowsOf = (use: number): number =>
    Math.ceil(primes.slice(use * heads, (use + 1) * heads).reduce((sum, prime) => sum + prime, 0) / multiple) *
    multiple;
  const wide = streams * hidden;
  return {
    tables: Array.from({ length: uses }, (_, use) => ({
      name: `grams${use}`,
      rows: rowsOf(use),
      width: width / heads,
      lookups: heads,
    })),
    layer: {
      linears: [
        { name: "gram_key", inWidth: width, outWidth: wide, bias: false },
        { name: "gram_value", inWidth: width, outWidth: hidden, bias: false },
      ],
      shortConvolutions: [{ name: "gram_convolution", width: wide, kernel, bias: false, dilation: longest }],
      weights: [{ name: "gram_norms", shape: [3, wide] }],
    },
  };
}

/** The first primes that are not below a number of at most 2³¹. */
function primesFrom(least: number, count: number): number[] {
  const primes: number[] = [];
  for (let value = Math.max(2, least); primes.length < count; value += 1) if (isPrime(value)) primes.push(value);
  return primes;
}

function isPrime(value: number): boolean {
  if (value % 2 === 0) return value === 2;
  for (let divisor = 3; divisor * divisor <= value; divisor += 2) if (value % divisor === 0) return false;
  return true;
}

function joined(first: Extras, second: Extras): Extras {
  return {
    ...second,
    linears: [...(first.linears ?? []), ...(second.linears ?? [])],
    weights: [...(first.weights ?? []), ...(second.weights ?? [])],
  };
}

export const qwen4Readers: Readonly<Record<string, Reader>> = { qwen4_exp_text: readQwen4 };
