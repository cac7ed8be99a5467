import type { ExtraWeight, Layer, Norm, SegmentAttention } from "../types.js";
import { flag, layerCount, listOf, real, sizeOrZero, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readDtypes, shareEqual } from "./decoder.js";
import { listLayers } from "./parts.js";
import { purposeOf } from "./architecture.js";
import type { Reader } from "./reader.js";

/**
 * models/transfo_xl (arXiv:1901.02860): segments with a memory, an adaptive embedding and softmax: of the vocabulary, cut
 * at `cutoffs`, each further part has a table `div_val` times narrower.
 */
const readTransfoXl: Reader = (config) => {
  const hidden = config.size("d_model");
  const width = config.size("d_embed");
  const parts = vocabularyParts(config, width);
  const [first, ...rarer] = parts;
  if (first === undefined) throw config.bad("cutoffs", "none", "expected a vocabulary");
  const untied = config.read("untie_r", flag);
  const heads = config.size("n_head");
  const headDim = config.size("d_head");
  const mixer: SegmentAttention = {
    kind: "segment",
    heads,
    headDim,
    memory: config.size("mem_len"),
    sameLength: config.read("same_length", flag),
    ownBiases: untied,
  };
  const norm: Norm = { kind: "layer", bias: true, epsilon: config.real("layer_norm_epsilon"), offset: false };
  const layer: Layer = {
    mixers: [mixer],
    ffns: [{ kind: "dense", width: config.size("d_inner"), gated: false, activation: "relu", bias: true }],
    norm,
    normPlacement: config.read("pre_lnorm", flag) ? "pre" : "post-residual",
  };
  for (const key of ["adaptive", "tie_weight", "proj_share_all_but_first"] as const) {
    if (!config.read(key, flag)) throw config.bad(key, false, "expected true: anything else is not understood yet");
  }
  if (config.size("div_val") === 1) throw config.bad("div_val", 1, "expected more: tables of one width are not read");
  config.ignore(
    "tgt_len",
    "ext_len",
    "clamp_len",
    "sample_softmax",
    "attn_type",
    "init",
    "init_range",
    "proj_init_std",
  );
  config.ignore("eval_batch_size", "init_std", "dropatt", "tie_projs", "varlen", "cutoffs", "tie_word_embeddings");
  if (rarer.length > 0) {
    config.note(`tokens from ${first.rows} on are looked up in narrower tables, and priced as those before them`);
  }
  const predicts = purposeOf(config) === "language-model";
  const weights: ExtraWeight[] = [
    ...(untied ? [] : [{ name: "score_biases", shape: [2, heads, headDim] }]),
    // Without a head the narrower tables and their projections are the embedding's alone.
    ...(predicts
      ? []
      : rarer.map((part, index) => ({ name: `table${index + 1}`, shape: [part.rows + hidden, part.width] }))),
  ];
  return {
    hiddenSize: hidden,
    vocabularySize: config.read("vocab_size", tokenCount),
    contextLength: null,
    embedding: { rows: first.rows, width, scale: Math.sqrt(hidden), projection: { bias: false } },
    head: {
      kind: predicts ? "lm" : "none",
      tied: true,
      bias: true,
      softcap: null,
      rows: first.rows,
      transform: { width, bias: false, norm: null },
      tails: [
        ...(rarer.length === 0 ? [] : [{ rows: rarer.length, width, projected: false }]),
        ...rarer.map((part) => ({ ...part, projected: true })),
      ],
    },
    ...(weights.length === 0 ? {} : { extras: { weights } }),
    stacks: [
      {
        kind: "decoder",
        layers: shareEqual(listLayers(config.read("n_layer", layerCount), () => layer)),
        finalNorm: null,
      },
    ],
    dtypes: readDtypes(config),
  };
};

/** Rows and width of each part of the vocabulary, the most frequent first. */
function vocabularyParts(config: ConfigReader, width: number): readonly { rows: number; width: number }[] {
  const vocabulary = config.read("vocab_size", tokenCount);
  const cutoffs = config.read("cutoffs", listOf(sizeOrZero));
  const divisor = config.read("div_val", real);
  const ends = [...cutoffs, vocabulary];
  return ends.map((end, index) => {
    const rows = end - (ends[index - 1] ?? 0);
    const narrow = Math.floor(width / divisor ** index);
    if (rows < 1 || narrow < 1) throw config.bad("cutoffs", cutoffs, `expected them to rise, below ${vocabulary}`);
    return { rows, width: narrow };
  });
}

export const transfoXlReaders: Readonly<Record<string, Reader>> = { "transfo-xl": readTransfoXl };
