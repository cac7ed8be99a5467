import type { Attention, Extras, ExtraWeight, Layer, Norm, Stack } from "../types.js";
import { purposeOf } from "./architecture.js";
import { layerCount, tokenCount } from "./checks.js";
import { readActivation } from "./decoder.js";
import { encoderLength, halves, shared } from "./halves.js";
import { allBias, flagOr, listLayers, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/** Stream s sees one key of its own and s fewer of the main ones: with more streams that is less in all, which is not taken off. */
const mostExactStreams = 3;

/**
 * models/prophetnet (arXiv:2001.04063): the decoder predicts several tokens ahead. Each token passes it once in the main
 * stream and once in every predicting stream.
 */
const readProphetNet: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const streams = config.size("ngram");
  const rows = config.read("max_position_embeddings", tokenCount);
  const norm: Norm = { kind: "layer", bias: true, epsilon: 1e-5, offset: false };
  const activation = readActivation(config, "activation_function");
  const half = (side: "encoder" | "decoder") => {
    const key = `num_${side}_attention_heads`;
    const heads = config.size(key);
    if (hidden % heads !== 0) throw config.bad(key, heads, `expected a divisor of hidden_size (${hidden})`);
    const width = config.size(`${side}_ffn_dim`);
    return {
      count: config.read(`num_${side}_layers`, layerCount),
      heads,
      width,
      attention: softmax({ heads, kvHeads: heads, headDim: hidden / heads }, null, {
        bias: allBias,
        causal: side === "decoder",
      }),
      ffn: { kind: "dense", width, gated: false, activation, bias: true } as const,
    };
  };
  const only = halves(config);
  const across = flagOr(config, "add_cross_attention", true);
  const decoder = half("decoder");
  const offsets = config.size("num_buckets") * decoder.heads;
  const perStream = (name: string, inner: number, columns: number) => ({ name, rows: streams, inner, columns });
  const unused: ExtraWeight[] = [
    { name: "unused_cross_attention", shape: [4, hidden, hidden] },
    { name: "unused_cross_bias", shape: [4, hidden] },
    { name: "unused_cross_norm", shape: [2, hidden] },
  ];
  const own: Attention = {
    ...decoder.attention,
    streams,
    projectedPositions: {
      buckets: config.size("num_buckets"),
      reach: config.size("relative_max_distance"),
    },
  };
  const crossing: Attention = { ...decoder.attention, streams, source: "encoder", causal: false };
  const crosses = only !== "decoder" && across;
  const decoderLayer: Layer = {
    mixers: crosses ? [own, crossing] : [own],
    ffns: [decoder.ffn],
    norm,
    normPlacement: "post-residual",
    extras: {
      linears: [{ name: "relative_positions", inWidth: hidden, outWidth: offsets, bias: true }],
      products: [
        ...["query", "key", "value", "output"].map((part) => perStream(`stream_${part}`, hidden, hidden)),
        ...(crosses ? ["query", "output"].map((part) => perStream(`stream_cross_${part}`, hidden, hidden)) : []),
        perStream("stream_positions", hidden, offsets),
        perStream("stream_up", hidden, decoder.width),
        perStream("stream_down", decoder.width, hidden),
      ],
      weights: only === "decoder" && across ? unused : [],
    },
  };
  const table = (more: readonly ExtraWeight[] = []): Extras => ({
    weights: [
      { name: "positions", shape: [rows, hidden], firstRow: 1 },
      { name: "embedding_norm", shape: [2, hidden] },
      ...more,
    ],
  });
  config.note(
    `${streams} predicting streams pass every layer with the tokens; only the first one's logits choose a token`,
  );
  if (streams > mostExactStreams) {
    config.note(
      `keys that more than ${mostExactStreams} streams do not see are counted: attention costs a little less`,
    );
  }
  if (streams > mostExactStreams) {
    config.note(
      `of more than ${mostExactStreams} streams some keys are counted that they do not see: a little too much`,
    );
  }
  config.ignore("disable_ngram_loss", "eps");
  const result = {
    ...shared(config, hidden),
    contextLength: rows,
    head: {
      kind: purposeOf(config) === "bare" ? "none" : "lm",
      tied: true,
      bias: false,
      softcap: null,
      streams,
    } as const,
  };
  config.ignore("tie_word_embeddings");
  const decoderStack: Stack = {
    kind: "decoder",
    layers: listLayers(decoder.count, () => decoderLayer),
    finalNorm: null,
    extras: table([{ name: "stream_embeddings", shape: [streams, hidden] }]),
  };
  if (only === "decoder") {
    config.ignore("num_encoder_layers", "encoder_ffn_dim", "num_encoder_attention_heads");
    return { ...result, stacks: [decoderStack] };
  }
  const encoder = half("encoder");
  const encoderLayer: Layer = {
    mixers: [encoder.attention],
    ffns: [encoder.ffn],
    norm,
    normPlacement: "post-residual",
  };
  const encoderStack: Stack = {
    kind: "encoder",
    length: encoderLength,
    layers: listLayers(encoder.count, () => encoderLayer),
    finalNorm: null,
    extras: table(),
  };
  return { ...result, stacks: [encoderStack, decoderStack] };
};

export const prophetNetReaders: Readonly<Record<string, Reader>> = { prophetnet: readProphetNet };
