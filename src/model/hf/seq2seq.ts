import type { Attention, ExtraConvolution, Ffn, Norm, Stack } from "../types.js";
import { purposeOf } from "./architecture.js";
import { flag, layerCount, real, size, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { full, readDtypes, readRotary, shareEqual } from "./decoder.js";
import { encoderLength, shared } from "./halves.js";
import { flagOr, listLayers, noBias, rmsNorm, softmax, spans } from "./parts.js";
import type { Reader } from "./reader.js";

/** Encoder–decoders with layers of other families. */

/** models/moonshine: raw audio through three convolutions, rotary positions, a gated decoder. */
const readMoonshine: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const width = config.size("intermediate_size");
  const norm: Norm = { kind: "layer", bias: false, epsilon: 1e-5, offset: false };
  const half = (side: "encoder" | "decoder", gated: boolean): { attention: Attention; ffn: Ffn; count: number } => {
    const heads = config.size(`${side}_num_attention_heads`);
    const kvHeads = config.derived(`${side}_num_key_value_heads`, size, `${side}_num_attention_heads`, () => heads);
    const headDim = Math.floor(hidden / heads);
    return {
      count: config.read(`${side}_num_hidden_layers`, layerCount),
      attention: softmax(
        { heads, kvHeads, headDim },
        { ...readRotary(config, headDim), interleaved: true },
        {
          causal: side === "decoder",
          bias: noBias,
        },
      ),
      ffn: { kind: "dense", width, gated, activation: gated ? "silu" : "gelu", bias: true },
    };
  };
  const encoder = half("encoder", false);
  const decoder = half("decoder", true);
  const across: Attention = { ...decoder.attention, source: "encoder", causal: false, rotary: null };
  config.ignore("pad_head_dim_to_multiple_of", "encoder_hidden_act", "decoder_hidden_act", "attention_bias");
  return {
    ...shared(config, hidden),
    contextLength: config.optional("max_position_embeddings", tokenCount),
    head: {
      kind: purposeOf(config) === "bare" ? "none" : "lm",
      tied: flagOr(config, "tie_word_embeddings", true),
      bias: false,
      softcap: null,
    },
    stacks: [
      {
        kind: "encoder",
        length: encoderLength,
        layers: shareEqual(
          listLayers(encoder.count, () => ({
            mixers: [encoder.attention],
            ffns: [encoder.ffn],
            norm,
            normPlacement: "pre",
          })),
        ),
        finalNorm: norm,
        extras: {
          convolutions: soundStem(hidden),
          weights: [{ name: "stem_norm", shape: [2, hidden] }],
        },
      },
      {
        kind: "decoder",
        layers: shareEqual(
          listLayers(decoder.count, () => ({
            mixers: [decoder.attention, across],
            ffns: [decoder.ffn],
            norm,
            normPlacement: "pre",
          })),
        ),
        finalNorm: norm,
      },
    ],
  };
};

/** Three convolutions over plain sound, each with a stride and nothing around: 384 samples for each token, and 511 more. */
function soundStem(hidden: number): ExtraConvolution[] {
  return [
    {
      name: "stem0",
      inWidth: 1,
      outWidth: hidden,
      kernel: 127,
      bias: false,
      stride: 64,
      activation: "tanh",
      positions: { each: 6, more: 7 },
    },
    {
      name: "stem1",
      inWidth: hidden,
      outWidth: 2 * hidden,
      kernel: 7,
      bias: true,
      stride: 3,
      positions: { each: 2, more: 1 },
    },
    {
      name: "stem2",
      inWidth: 2 * hidden,
      outWidth: hidden,
      kernel: 3,
      bias: true,
      stride: 2,
      positions: { each: 1, more: 0 },
    },
  ];
}

/** models/t5gemma: Gemma 2's layers in both halves. */
const readT5Gemma: Reader = (config) => {
  const encoder = config.child("encoder");
  const decoder = config.child("decoder");
  const half = (side: ConfigReader, across: number | null): Stack => {
    const count = side.read("num_hidden_layers", layerCount);
    const heads = side.size("num_attention_heads");
    const kvHeads = side.size("num_key_value_heads");
    const headDim = side.size("head_dim");
    const norm = { ...rmsNorm(side), offset: true };
    const spanOf = spans(side, count, (layer) => (layer % 2 === 0 ? "sliding_attention" : "full_attention"));
    const base = softmax({ heads, kvHeads, headDim }, readRotary(side, headDim), {
      causal: across !== null,
      softcap: side.optional("attn_logit_softcapping", real),
    });
    const ffn: Ffn = {
      kind: "dense",
      width: side.size("intermediate_size"),
      gated: true,
      activation: "gelu-tanh",
      bias: false,
    };
    return {
      kind: across === null ? "encoder" : "decoder",
      ...(across === null ? { length: encoderLength } : {}),
      hiddenSize: side.size("hidden_size"),
      layers: shareEqual(
        listLayers(count, (index) => ({
          mixers: [
            { ...base, span: spanOf[index] ?? full },
            ...(across === null
              ? []
              : [{ ...base, source: "encoder" as const, sourceWidth: across, causal: false, rotary: null }]),
          ],
          ffns: [ffn],
          norm,
          normPlacement: "sandwich",
        })),
      ),
      finalNorm: norm,
      ...(across === null
        ? {
            extras: {
              weights: [{ name: "embedding", shape: [side.read("vocab_size", tokenCount), side.size("hidden_size")] }],
            },
          }
        : {}),
    };
  };
  const encoderStack = half(encoder, null);
  const decoderStack = half(decoder, encoder.size("hidden_size"));
  const hidden = decoder.size("hidden_size");
  const vocabularySize = decoder.read("vocab_size", tokenCount);
  encoder.ignoreRest();
  decoder.ignoreRest();
  return {
    hiddenSize: hidden,
    vocabularySize,
    contextLength: decoder.optional("max_position_embeddings", tokenCount),
    embedding: { rows: vocabularySize, width: hidden, scale: Math.sqrt(hidden) },
    head: {
      kind: purposeOf(config) === "bare" ? "none" : "lm",
      tied: config.optional("tie_word_embeddings", flag) ?? true,
      bias: false,
      softcap: decoder.optional("final_logit_softcapping", real),
    },
    stacks: [encoderStack, decoderStack],
    dtypes: readDtypes(config),
  };
};

export const seq2seqReaders: Readonly<Record<string, Reader>> = {
  moonshine: readMoonshine,
  t5gemma: readT5Gemma,
};
