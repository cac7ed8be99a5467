import type { Attention, ExtraWeight, Layer, Mixer, Norm, Span, Stack } from "../types.js";
import { flag, integer, listOf, oneOf, size, tokenCount } from "./checks.js";
import { purposeOf } from "./architecture.js";
import { readActivation, readDtypes, shareEqual } from "./decoder.js";
import { readBertLike } from "./encoder.js";
import { flagOr, listLayers, noBias, softmax } from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";
import { attentionWindows, globalProjections } from "./longformer.js";

/** Encoders of the survey literature that replace full attention. */

/** The same model with every attention of its stacks replaced. */
function withMixers(
  model: ReaderResult,
  replace: (attention: Attention, layer: number) => Mixer,
  extras?: (layer: number) => readonly ExtraWeight[],
): ReaderResult {
  const stacks = model.stacks.map((stack) => ({
    ...stack,
    layers: shareEqual(
      stack.layers.map((layer, index): Layer => {
        const weights = extras?.(index) ?? [];
        return {
          ...layer,
          mixers: layer.mixers.map((mixer) => (mixer.kind === "attention" ? replace(mixer, index) : mixer)),
          ...(weights.length === 0 ? {} : { extras: { weights } }),
        };
      }),
    ),
  }));
  return { ...model, stacks };
}

/** The pooler that these classes build beside a head as well. */
function withPooler(model: ReaderResult, hidden: number): ReaderResult {
  return model.head.kind === "lm" ? { ...model, head: { ...model.head, pooler: hidden } } : model;
}

/** models/longformer: half the window to either side; projections of their own for global tokens. */
const readLongformer: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const model = readBertLike(config, {});
  const layers = model.stacks[0]?.layers.length ?? 0;
  const sizes = attentionWindows(config, layers);
  config.ignore("onnx_export");
  config.note("no global tokens are counted: each adds n pairs per head and layer");
  return withMixers(
    model,
    (attention, layer) => ({ ...attention, span: { kind: "window", size: Math.floor((sizes[layer] ?? 0) / 2) + 1 } }),
    () => globalProjections(hidden),
  );
};

/** models/squeezebert: projections in groups, which see a share of the channels each. */
const readSqueezeBert: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const model = withPooler(readBertLike(config, { pooler: true }), hidden);
  const groups = (key: string): number => config.size(key);
  const grouped = { query: groups("q_groups"), key: groups("k_groups"), value: groups("v_groups") };
  const ffn = { up: groups("intermediate_groups"), down: groups("output_groups") };
  const stacks = model.stacks.map((stack) => ({
    ...stack,
    layers: shareEqual(
      stack.layers.map(
        (layer): Layer => ({
          ...layer,
          mixers: layer.mixers.map((mixer) =>
            mixer.kind === "attention"
              ? { ...mixer, groups: { ...grouped, output: groups("post_attention_groups") } }
              : mixer,
          ),
          ffns: layer.ffns.map((part) => (part.kind === "dense" ? { ...part, groups: ffn } : part)),
        }),
      ),
    ),
  }));
  return { ...model, stacks };
};

/** models/big_bird: blocks; full attention up to (5 + 2·random) blocks. */
const readBigBird: Reader = (config) => {
  const block = config.size("block_size");
  const random = config.size("num_random_blocks");
  const type = config.read("attention_type", oneOf(["block_sparse", "original_full"]));
  config.ignore("use_bias", "rescale_embeddings");
  // The reference builds the pooler whatever the class.
  const hidden = config.size("hidden_size");
  const model = withPooler(readBertLike(config, { pooler: true }), hidden);
  if (type === "original_full") return model;
  return withMixers(model, (attention) => ({ ...attention, span: { kind: "blocks", size: block, random } }));
};

/** models/yoso: with use_expectation every pair is looked at after all. */
const readYoso: Reader = (config) => {
  if (!config.read("use_expectation", flag)) {
    throw config.bad("use_expectation", false, "sampled hashing is not understood yet; only true is");
  }
  config.ignore("hash_code_len", "num_hash", "conv_window", "use_fast_hash", "lsh_backward");
  return readBertLike(config, { positionOffset: 2 });
};

/** models/mra (arXiv:2207.10284): coarse scores everywhere, exact ones in the pairs of blocks that matter. */
const readMra: Reader = (config) => {
  config.ignore("initial_prior_diagonal_n_blocks", "initial_prior_first_n_blocks");
  const longest = Math.floor(config.read("max_position_embeddings", tokenCount) / mraBlock);
  const count = Math.min(longest * config.size("block_per_row"), longest ** 2);
  const mode = config.read("approx_mode", oneOf(["full", "sparse"]));
  if (count === 0) {
    throw config.bad("max_position_embeddings", longest * mraBlock, `expected at least one block of ${mraBlock}`);
  }
  const span: Span = { kind: "ranked", size: mraBlock, count, coarse: mode === "full" };
  return withMixers(readBertLike(config, { positionOffset: 2 }), (attention) => ({ ...attention, span }));
};

/** Tokens of a block in the class and in its kernels. */
const mraBlock = 32;

/** models/nystromformer. */
const readNystromformer: Reader = (config) => {
  const landmarks = config.size("num_landmarks");
  const convolution = config.optional("conv_kernel_size", size);
  config.ignore("segment_means_seq_len", "inv_coeff_init_option");
  return withMixers(readBertLike(config, { positionOffset: 2 }), ({ heads, keyDim }) => ({
    kind: "nystrom",
    heads,
    headDim: keyDim,
    landmarks,
    convolution,
  }));
};

/** models/fnet: Fourier transforms instead of attention. */
const readFnet: Reader = (config) => {
  const hidden = config.size("hidden_size");
  config.ignore("use_tpu_fourier_optimizations", "tpu_short_seq_length");
  const model = readBertLike(config, {
    heads: 1,
    pooler: true,
    extras: {
      linears: [{ name: "embedding_projection", inWidth: hidden, outWidth: hidden, bias: true }],
    },
  });
  return withMixers(withPooler(model, hidden), () => ({ kind: "fourier" }));
};

/** models/reformer: local chunks and hashed buckets in turn; two residual streams, whose last norm is double wide. */
const readReformer: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  const headDim = config.size("attention_head_size");
  const kinds = config.read("attn_layers", listOf(oneOf(["local", "lsh"])));
  const chunk = (kind: "local" | "lsh"): number =>
    config.size(`${kind}_attn_chunk_length`) *
    (1 + config.sizeOrZero(`${kind}_num_chunks_before`) + config.sizeOrZero(`${kind}_num_chunks_after`));
  const hashes = config.size("num_hashes");
  const norm: Norm = { kind: "layer", bias: true, epsilon: 1e-12, offset: false };
  const width = config.size("feed_forward_size");
  const shape = config.read("axial_pos_shape", listOf(size));
  const dims = config.read("axial_pos_embds_dim", listOf(size));
  const axial = flagOr(config, "axial_pos_embds", true);
  const places = config.read("max_position_embeddings", tokenCount);
  const positions: ExtraWeight[] = axial
    ? shape.map((rows, axis) => ({ name: `positions${axis}`, shape: [rows, dims[axis] ?? 0] }))
    : [{ name: "positions", shape: [places, hidden] }];
  const vocabularySize = config.read("vocab_size", tokenCount);
  config.ignore("num_hidden_layers", "num_buckets", "axial_norm_std", "hash_seed", "chunk_size_lm_head", "is_decoder");
  const layers = kinds.map((kind): Layer => {
    const local = kind === "local";
    const keys = chunk(kind);
    const attention = softmax({ heads, kvHeads: heads, headDim }, null, {
      causal: false,
      bias: noBias,
      span: { kind: "buckets", size: keys, rounds: local ? 1 : hashes },
      // Hashed attention uses one projection for queries and keys.
      ...(local ? {} : { sharedQueryKey: true }),
    });
    return {
      mixers: [attention],
      ffns: [{ kind: "dense", width, gated: false, activation: readActivation(config), bias: true }],
      norm,
      normPlacement: "pre",
    };
  });
  return {
    hiddenSize: hidden,
    vocabularySize,
    contextLength: places,
    embedding: { rows: vocabularySize, width: hidden, scale: null },
    head: {
      kind: purposeOf(config) === "bare" ? "none" : "lm",
      tied: false,
      bias: true,
      softcap: null,
      inWidth: 2 * hidden,
    },
    stacks: [
      {
        kind: "encoder",
        length: { kind: "new" },
        layers: shareEqual(layers),
        finalNorm: null,
        extras: { weights: [...positions, { name: "final_norm", shape: [2, 2 * hidden] }] },
      },
    ],
    dtypes: readDtypes(config),
  };
};

/** models/funnel: blocks of layers on ever shorter sequences, then a decoder at full length. */
const readFunnel: Reader = (config) => {
  const hidden = config.size("d_model");
  const heads = config.size("n_head");
  const headDim = config.size("d_head");
  const width = config.size("d_inner");
  const blocks = config.read("block_sizes", listOf(size));
  const repeats = config.optional("block_repeats", listOf(integer));
  const last = config.sizeOrZero("num_decoder_layers");
  const norm: Norm = { kind: "layer", bias: true, epsilon: 1e-9, offset: false };
  const vocabularySize = config.read("vocab_size", tokenCount);
  config.ignore("pooling_type", "attention_type", "separate_cls", "truncate_seq", "pool_q_only", "num_hidden_layers");
  if (repeats !== null && repeats.some((times) => times !== 1)) {
    throw config.bad("block_repeats", repeats, "only 1 for every block is understood yet");
  }
  const layer = (pooling: 1 | 2): Layer => ({
    mixers: [{ kind: "relative", heads, headDim, bias: true, pooling }],
    ffns: [{ kind: "dense", width, gated: false, activation: "gelu", bias: true }],
    norm,
    normPlacement: "post-residual",
  });
  const stacks = blocks.map(
    (count, block): Stack => ({
      kind: "encoder",
      name: `block${block}`,
      length: block === 0 ? { kind: "new" } : { kind: "pooled", by: 2 ** block },
      layers: shareEqual(listLayers(count, (index) => layer(block > 0 && index === 0 ? 2 : 1))),
      finalNorm: null,
    }),
  );
  const bare = purposeOf(config) === "bare";
  return {
    hiddenSize: hidden,
    vocabularySize,
    contextLength: config.optional("max_position_embeddings", tokenCount),
    embedding: { rows: vocabularySize, width: hidden, scale: null, norm },
    head: { kind: bare ? "none" : "lm", tied: true, bias: true, softcap: null },
    stacks: [
      ...stacks,
      {
        kind: "encoder",
        name: "decoder",
        length: { kind: "new" },
        layers: shareEqual(listLayers(last, () => layer(1))),
        finalNorm: null,
      },
    ],
    dtypes: readDtypes(config),
  };
};

/** models/xlnet: Transformer-XL's relative positions looking both ways; no table of positions, no norm in front. */
const readXlnet: Reader = (config) => {
  const hidden = config.size("d_model");
  const heads = config.size("n_head");
  const headDim = config.derived("d_head", size, "d_model / n_head", () => hidden / heads);
  const norm: Norm = { kind: "layer", bias: true, epsilon: 1e-12, offset: false };
  const vocabularySize = config.read("vocab_size", tokenCount);
  const layer: Layer = {
    mixers: [{ kind: "relative", heads, headDim, bias: false, pooling: 1 }],
    ffns: [
      {
        kind: "dense",
        width: config.size("d_inner"),
        gated: false,
        activation: readActivation(config, "ff_activation"),
        bias: true,
      },
    ],
    norm,
    normPlacement: "post-residual",
  };
  config.ignore("attn_type", "mem_len", "reuse_len", "use_mems_eval", "use_mems_train", "bi_data", "clamp_len");
  config.ignore("same_length", "start_n_top", "end_n_top", "untie_r");
  config.note("the second stream of permutation training and memories of earlier segments are not counted");
  return {
    hiddenSize: hidden,
    vocabularySize,
    contextLength: null,
    embedding: { rows: vocabularySize, width: hidden, scale: null },
    head: { kind: purposeOf(config) === "bare" ? "none" : "lm", tied: true, bias: true, softcap: null },
    stacks: [
      {
        kind: "encoder",
        length: { kind: "new" },
        layers: shareEqual(listLayers(config.size("n_layer"), () => layer)),
        finalNorm: null,
        extras: { weights: [{ name: "mask", shape: [hidden] }] },
      },
    ],
    dtypes: readDtypes(config),
  };
};

export const xformerReaders: Readonly<Record<string, Reader>> = {
  longformer: readLongformer,
  squeezebert: readSqueezeBert,
  big_bird: readBigBird,
  yoso: readYoso,
  mra: readMra,
  nystromformer: readNystromformer,
  fnet: readFnet,
  reformer: readReformer,
  funnel: readFunnel,
  xlnet: readXlnet,
};
