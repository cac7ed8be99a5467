import type {
  Attention,
  Biases,
  ExtraConvolution,
  ExtraProduct,
  ExtraWeight,
  Extras,
  Ffn,
  Head,
  Layer,
  Norm,
  Stack,
  StackLength,
} from "../types.js";
import { purposeOf } from "./architecture.js";
import { layerCount, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readActivation, shareEqual } from "./decoder.js";
import { encoderLength, halves, shared } from "./halves.js";
import { attentionWindows, globalProjections } from "./longformer.js";
import { allBias, flagOr, listLayers, noBias, softmax } from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

interface BartTraits {
  readonly placement: Layer["normPlacement"];
  /** Rows of each half's table of learned positions; null where sinusoids are worked out. */
  readonly positions: number | null;
  /** The row, or the number, of the first position: 2 where those before stand for padding. */
  readonly firstPosition?: number;
  readonly embeddingNorm: boolean;
  readonly finalNorm: boolean;
  readonly keyBias: boolean;
  /** Attention without biases (BigBird-Pegasus, Pegasus-X). */
  readonly bare?: boolean;
  /** A head of its own (BigBird-Pegasus). */
  readonly untied?: boolean;
  /** A norm of the kind that the encoder's convolutions feed; whisper's stem. */
  readonly encoder: {
    readonly length: StackLength;
    readonly weights: readonly ExtraWeight[];
    readonly convolutions: readonly ExtraConvolution[];
  } | null;
  readonly encoderAttention: (layer: number) => Partial<Attention>;
  /** Parameters that each encoder layer has beside. */
  readonly encoderWeights: readonly ExtraWeight[];
  /** Products that each encoder layer has beside. */
  readonly encoderProducts?: readonly ExtraProduct[];
  /** Rows of the decoder's table of positions where they differ. */
  readonly decoderPositions?: number | null;
}

/** models/bart and its kin: layer norms, biases everywhere. */
function readBart(config: ConfigReader, traits: BartTraits): ReaderResult {
  const hidden = config.size("d_model");
  const norm: Norm = { kind: "layer", bias: true, epsilon: 1e-5, offset: false };
  const activation = readActivation(config, "activation_function");
  const bias: Biases = traits.bare === true ? noBias : { ...allBias, key: traits.keyBias };
  const half = (side: "encoder" | "decoder") => {
    const heads = config.size(`${side}_attention_heads`);
    if (hidden % heads !== 0)
      throw config.bad(`${side}_attention_heads`, heads, `expected a divisor of d_model (${hidden})`);
    return {
      count: config.read(`${side}_layers`, layerCount),
      attention: softmax({ heads, kvHeads: heads, headDim: hidden / heads }, null, {
        bias,
        causal: side === "decoder",
      }),
      ffn: { kind: "dense", width: config.size(`${side}_ffn_dim`), gated: false, activation, bias: true } as const,
    };
  };
  config.ignore(
    "num_hidden_layers",
    "normalize_before",
    "normalize_embedding",
    "add_final_layer_norm",
    "add_bias_logits",
    "static_position_embeddings",
    "extra_pos_embeddings",
    "share_encoder_decoder_embeddings",
    "decoder_vocab_size",
  );
  const only = halves(config);
  const decoder = half("decoder");
  const across: Attention = { ...decoder.attention, source: "encoder", causal: false };
  const crossWeights: ExtraWeight[] = [
    { name: "unused_cross_attention", shape: [4, hidden, hidden] },
    ...(traits.bare === true ? [] : [{ name: "unused_cross_bias", shape: [traits.keyBias ? 4 : 3, hidden] }]),
    { name: "unused_cross_norm", shape: [2, hidden] },
  ];
  const layer = (
    parts: { attention: Attention; ffn: Ffn },
    mixers: readonly Attention[],
    weights: readonly ExtraWeight[] = [],
    products: readonly ExtraProduct[] = [],
  ): Layer => ({
    mixers,
    ffns: [parts.ffn],
    norm,
    normPlacement: traits.placement,
    ...(weights.length === 0 ? {} : { extras: { weights, ...(products.length === 0 ? {} : { products }) } }),
  });
  const positions = (rows: number | null, norms: boolean): ExtraWeight[] => [
    ...(rows === null ? [] : [{ name: "positions", shape: [rows, hidden], ...firstRowOf(traits) }]),
    ...(norms ? [{ name: "embedding_norm", shape: [2, hidden] }] : []),
  ];
  const decoderStack: Stack = {
    kind: "decoder",
    layers: shareEqual(
      listLayers(decoder.count, () =>
        only === "decoder"
          ? layer(decoder, [decoder.attention], crossWeights)
          : layer(decoder, [decoder.attention, across]),
      ),
    ),
    finalNorm: traits.finalNorm ? norm : null,
    extras: {
      weights: positions(targetPositions(config, traits), traits.embeddingNorm),
      ...sinusoidsOf(targetPositions(config, traits), traits),
    },
  };
  const head: Head = {
    kind: purposeOf(config) === "bare" ? "none" : "lm",
    tied: traits.untied !== true,
    bias: false,
    softcap: null,
  };
  const plain = shared(config, hidden);
  const scale = flagOr(config, "scale_embedding", false) ? Math.sqrt(hidden) : null;
  const result = {
    ...plain,
    embedding: { ...plain.embedding, scale },
    contextLength: config.optional(["max_position_embeddings", "max_target_positions"], tokenCount),
    head,
  };
  config.ignore("tie_word_embeddings");
  if (only === "decoder") {
    config.ignore("encoder_layers", "encoder_ffn_dim", "encoder_attention_heads");
    return { ...result, stacks: [decoderStack] };
  }
  const encoder = half("encoder");
  const encoderStack: Stack = {
    kind: "encoder",
    length: traits.encoder?.length ?? encoderLength,
    layers: shareEqual(
      listLayers(encoder.count, (index) =>
        layer(
          encoder,
          [{ ...encoder.attention, ...traits.encoderAttention(index) }],
          traits.encoderWeights,
          traits.encoderProducts,
        ),
      ),
    ),
    finalNorm: traits.finalNorm ? norm : null,
    extras: {
      weights: traits.encoder?.weights ?? positions(traits.positions, traits.embeddingNorm),
      convolutions: traits.encoder?.convolutions ?? [],
      ...((traits.encoder?.convolutions ?? []).length > 0 ? {} : sinusoidsOf(traits.positions, traits)),
    },
  };
  return { ...result, stacks: [encoderStack, decoderStack] };
}

function firstRowOf({ firstPosition }: BartTraits): Pick<ExtraWeight, "firstRow"> {
  return firstPosition === undefined ? {} : { firstRow: firstPosition };
}

function sinusoidsOf(rows: number | null, { firstPosition = 0 }: BartTraits): Pick<Extras, "sinusoids"> {
  return rows === null ? { sinusoids: { first: firstPosition } } : {};
}

function targetPositions(config: ConfigReader, traits: BartTraits): number | null {
  if (traits.decoderPositions !== undefined) return traits.decoderPositions;
  return traits.encoder === null ? traits.positions : config.read("max_target_positions", tokenCount);
}

const bart: BartTraits = {
  placement: "post-residual",
  positions: null,
  embeddingNorm: false,
  finalNorm: false,
  keyBias: true,
  encoder: null,
  encoderAttention: () => ({}),
  encoderWeights: [],
};

/** models/nllb_moe: M2M-100 whose every n-th network is one of experts, of which each token passes two. */
const readNllbMoe: Reader = (config) => {
  const routerBias = config.flag("router_bias");
  const experts = config.size("num_experts");
  const sparse = (side: "encoder" | "decoder"): ((layer: Layer, index: number) => Layer) => {
    const step = config.sizeOrZero(`${side}_sparse_step`);
    const ffn: Ffn = {
      kind: "moe",
      experts,
      chosen: Math.min(2, experts),
      width: config.size(`${side}_ffn_dim`),
      gated: false,
      activation: readActivation(config, "activation_function"),
      bias: true,
      routerBias,
    };
    return (layer, index) => (step > 0 && (index + 1) % step === 0 ? { ...layer, ffns: [ffn] } : layer);
  };
  config.ignore("batch_prioritized_routing", "expert_capacity", "moe_eval_capacity_token_fraction", "router_dtype");
  config.ignore("moe_token_dropout", "normalize_router_prob_before_dropping", "router_ignore_padding_tokens");
  config.ignore("second_expert_policy");
  const result = readBart(config, { ...bart, placement: "pre", finalNorm: true, firstPosition: 2 });
  return {
    ...result,
    stacks: result.stacks.map((stack) => ({
      ...stack,
      layers: shareEqual(stack.layers.map(sparse(stack.kind === "encoder" ? "encoder" : "decoder"))),
    })),
  };
};

const positionRows = (config: ConfigReader): number => config.read("max_position_embeddings", tokenCount);

/** Two convolutions over mel frames; the second halves the length. */
const readWhisper: Reader = (config) => {
  const hidden = config.size("d_model");
  const frames = config.read("max_source_positions", tokenCount);
  const bins = config.size("num_mel_bins");
  return readBart(config, {
    ...bart,
    placement: "pre",
    finalNorm: true,
    keyBias: false,
    encoder: {
      length: { kind: "constant", tokens: frames },
      weights: [{ name: "positions", shape: [frames, hidden] }],
      convolutions: [
        { name: "stem0", inWidth: bins, outWidth: hidden, kernel: 3, bias: true, positions: 2 * frames },
        { name: "stem1", inWidth: hidden, outWidth: hidden, kernel: 3, bias: true, positions: frames },
      ],
    },
  });
};

/** models/led: Longformer's encoder, BART's decoder. */
const readLed: Reader = (config) => {
  const layers = config.read("encoder_layers", layerCount);
  const sizes = attentionWindows(config, layers);
  config.note("no global tokens are counted: each adds n pairs per head and layer");
  return readBart(config, {
    ...bart,
    embeddingNorm: true,
    positions: config.read("max_encoder_position_embeddings", tokenCount),
    decoderPositions: config.read("max_decoder_position_embeddings", tokenCount),
    encoderAttention: (layer) => ({ span: { kind: "window", size: Math.floor((sizes[layer] ?? 0) / 2) + 1 } }),
    encoderWeights: globalProjections(config.size("d_model")),
  });
};

/**
 * models/pegasus_x (arXiv:2208.04347): the encoder's tokens attend to their block and to global tokens, which attend to
 * everything and pass every layer as well.
 */
const readPegasusX: Reader = (config) => {
  const hidden = config.size("d_model");
  const width = config.size("encoder_ffn_dim");
  const block = config.read("block_size", tokenCount);
  const rows = config.size("num_global_tokens");
  const perSequence = (name: string, inner: number, columns: number): ExtraProduct => ({
    name,
    rows,
    inner,
    columns,
    perSequence: true,
  });
  const perToken = (name: string): ExtraProduct => ({ name, rows, inner: hidden, columns: 1 });
  const staggers = flagOr(config, "stagger_local_blocks", true);
  return readBart(config, {
    ...bart,
    placement: "pre",
    finalNorm: true,
    bare: true,
    encoder: { length: encoderLength, weights: [{ name: "global_tokens", shape: [rows, hidden] }], convolutions: [] },
    decoderPositions: null,
    encoderAttention: (layer) => ({
      span: { kind: "chunk", size: block },
      referenceBlocks: { block, keys: block },
      globals: rows,
      ...(staggers && layer % 2 === 1 ? { staggered: true } : {}),
    }),
    encoderWeights: [{ name: "global_norm", shape: [2, hidden] }],
    encoderProducts: [
      ...["query", "key", "value", "output"].map((part) => perSequence(`global_${part}`, hidden, hidden)),
      perSequence("global_up", hidden, width),
      perSequence("global_down", width, hidden),
      perSequence("global_scores", hidden, rows),
      perSequence("global_mix", rows, hidden),
      ...["tokens_to_global", "tokens_from_global", "global_to_tokens", "global_from_tokens"].map(perToken),
    ],
  });
};

/** models/fsmt: a vocabulary for each side, sinusoids that are counted as parameters. */
const readFsmt: Reader = (config) => {
  const source = config.read("src_vocab_size", tokenCount);
  const target = config.read("tgt_vocab_size", tokenCount);
  const rows = positionRows(config) + 2;
  config.ignore("langs", "src_vocab_size", "tgt_vocab_size");
  const result = readBart(config.with({ vocab_size: target }), { ...bart, positions: rows, firstPosition: 2 });
  const table = { name: "source_embedding", shape: [source, result.hiddenSize] };
  const tied = config.raw("tie_word_embeddings") !== false && config.flag("tie_word_embeddings");
  return {
    ...result,
    head: { ...result.head, tied },
    stacks: result.stacks.map((stack) =>
      stack.kind === "encoder"
        ? { ...stack, extras: { ...stack.extras, weights: [...(stack.extras?.weights ?? []), table] } }
        : stack,
    ),
  };
};

export const bartReaders: Readonly<Record<string, Reader>> = {
  bart: (config) =>
    readBart(config, { ...bart, positions: positionRows(config) + 2, firstPosition: 2, embeddingNorm: true }),
  mbart: (config) =>
    readBart(config, {
      ...bart,
      placement: "pre",
      positions: positionRows(config) + 2,
      firstPosition: 2,
      embeddingNorm: true,
      finalNorm: true,
    }),
  fsmt: readFsmt,
  mvp: (config) => {
    config.ignore("prompt_length", "prompt_mid_dim");
    if (config.flag("use_prompt"))
      throw config.bad("use_prompt", true, "only false is understood: prompts are not read");
    return readBart(config, { ...bart, positions: positionRows(config) + 2, firstPosition: 2, embeddingNorm: true });
  },
  plbart: (config) =>
    readBart(config, { ...bart, positions: positionRows(config) + 2, firstPosition: 2, embeddingNorm: true }),
  "blenderbot-small": (config) => readBart(config, { ...bart, positions: positionRows(config), embeddingNorm: true }),
  m2m_100: (config) => readBart(config, { ...bart, placement: "pre", finalNorm: true, firstPosition: 2 }),
  marian: (config) => readBart(config, { ...bart, positions: positionRows(config) }),
  pegasus: (config) =>
    readBart(config, { ...bart, placement: "pre", positions: positionRows(config), finalNorm: true }),
  blenderbot: (config) =>
    readBart(config, { ...bart, placement: "pre", positions: positionRows(config), finalNorm: true }),
  bigbird_pegasus: (config) =>
    readBart(config, {
      ...bart,
      placement: "pre",
      positions: positionRows(config),
      embeddingNorm: true,
      bare: true,
      untied: true,
    }),
  "nllb-moe": readNllbMoe,
  led: readLed,
  pegasus_x: readPegasusX,
  whisper: readWhisper,
};
