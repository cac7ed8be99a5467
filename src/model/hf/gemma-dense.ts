import type { Layer, Span } from "../types.js";
import { purposeOf } from "./architecture.js";
import { real, size } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readDtypes, readLayerCount, shareEqual } from "./decoder.js";
import { classDefaults } from "./defaults/all.js";
import { type DenseFamily, attentionBias, readDense } from "./dense.js";
import { encoderLength, lookingBothWays } from "./halves.js";
import { everyFull, rmsNorm, spans } from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";
import { siglipVision } from "./vision-siglip.js";

/** Gemma 1 to 3 and what was made of them: norm weights stored as w, embeddings scaled by √hidden_size. */

/** models/gemma: norm weights stored as w and applied as 1 + w, embeddings scaled by √hidden_size. */
const readGemma: Reader = (config) => {
  config.ignore("hidden_activation");
  return readDense(config, {
    bias: attentionBias(config),
    norm: { ...rmsNorm(config), offset: true },
    scale: Math.sqrt(config.size("hidden_size")),
  });
};

/** models/gemma2: every other layer slides; norms before and after each branch. */
const readGemma2: Reader = (config) => {
  const layers = readLayerCount(config);
  return readDense(config, {
    ...gemmaSandwich(config),
    spans: spans(config, layers, (layer) => (layer % 2 === 0 ? "sliding_attention" : "full_attention")),
  });
};

/** models/gemma3: five sliding layers to one full layer, norms of queries and keys. */
function gemma3(config: ConfigReader): ReaderResult {
  const layers = readLayerCount(config);
  const given = config.peek(["sliding_window_pattern", "_sliding_window_pattern"], size);
  const common = gemmaSandwich(config);
  config.ignore("rope_local_base_freq", "cache_implementation", "use_bidirectional_attention");
  return readDense(config, {
    ...common,
    attention: { ...common.attention, queryKeyNorm: "per-head" },
    spans: spans(config, layers, everyFull(given ?? 6)),
  });
}

/** An encoder of Gemma 3's layers, whose windows are as wide as the file says and have the query in their middle. */
function gemma3Encoder(config: ConfigReader): ReaderResult {
  const result = lookingBothWays(gemma3(config));
  const centred = (span: Span): Span =>
    span.kind === "window" ? { ...span, size: Math.floor(span.size / 2) + 1 } : span;
  return {
    ...result,
    stacks: result.stacks.map((stack) => ({
      ...stack,
      layers: shareEqual(
        stack.layers.map((layer) => ({
          ...layer,
          mixers: layer.mixers.map((mixer) =>
            mixer.kind === "attention" ? { ...mixer, span: centred(mixer.span) } : mixer,
          ),
        })),
      ),
    })),
  };
}

/** EmbeddingGemma is Gemma 3 looking both ways. */
const readGemma3: Reader = (config) =>
  config.raw("use_bidirectional_attention") === true ? gemma3Encoder(config) : gemma3(config);

/** The encoder of models/t5gemma2, with one more embedding for the end of an image. */
const readT5Gemma2Encoder: Reader = (config) => {
  const result = gemma3Encoder(config);
  config.note("windows of an even width reach one position less to the left; both sides are taken as the right one");
  const weights = [{ name: "end_of_image", shape: [result.hiddenSize] }];
  return {
    ...result,
    head: { ...result.head, kind: "none" },
    stacks: result.stacks.map((stack) => ({ ...stack, extras: { weights } })),
  };
};

/**
 * models/t5gemma2: Gemma 3's layers in both halves, and a tower for images. A layer of the decoder attends to its own
 * sequence and to the encoder's output in one softmax, with one set of projections; both halves have one table.
 */
const readT5Gemma2: Reader = (config) => {
  const wrapped = config.child("encoder");
  const defaults = classDefaults["gemma3_text"] ?? {};
  const encoder = readT5Gemma2Encoder(wrapped.child("text_config", defaults, "t5gemma2_text"));
  const own = config.child("decoder", defaults, "t5gemma2_decoder");
  const decoder = gemma3(own);
  if (encoder.hiddenSize !== decoder.hiddenSize || encoder.vocabularySize !== decoder.vocabularySize) {
    throw own.bad("hidden_size", decoder.hiddenSize, `expected the encoder's (${encoder.hiddenSize})`);
  }
  if (config.raw("tie_word_embeddings") === false) {
    throw config.bad("tie_word_embeddings", false, "only true is understood: both halves and the head have one table");
  }
  const tower = siglipVision.gemma(
    wrapped.child("vision_config", {}, "siglip_vision_model"),
    encoder.hiddenSize,
    wrapped,
  );
  const joined = (layer: Layer): Layer => ({
    ...layer,
    mixers: layer.mixers.map((mixer) => (mixer.kind === "attention" ? { ...mixer, joinsEncoder: true } : mixer)),
  });
  wrapped.ignoreRest();
  config.ignore("vocab_size", "is_encoder_decoder");
  config.note("towers for images or sound are counted as parameters; text does not run them");
  return {
    ...decoder,
    dtypes: readDtypes(config),
    head: { ...decoder.head, kind: purposeOf(config) === "bare" ? "none" : "lm", tied: true },
    stacks: [
      tower,
      ...encoder.stacks.map((stack) => ({ ...stack, length: encoderLength })),
      ...decoder.stacks.map((stack) => ({ ...stack, layers: shareEqual(stack.layers.map(joined)) })),
    ],
  };
};

/** models/vaultgemma: Gemma 2 without the norms behind each branch. */
const readVaultGemma: Reader = (config) =>
  readDense(config, {
    ...gemmaSandwich(config),
    normPlacement: "pre",
    spans: spans(config, readLayerCount(config), (layer) => (layer % 2 === 0 ? "sliding_attention" : "full_attention")),
  });

function gemmaSandwich(config: ConfigReader): Partial<DenseFamily> {
  const scalar = config.optional("query_pre_attn_scalar", real);
  return {
    bias: attentionBias(config),
    norm: { ...rmsNorm(config), offset: true },
    normPlacement: "sandwich",
    scale: Math.sqrt(config.size("hidden_size")),
    softcap: config.optional("final_logit_softcapping", real),
    attention: {
      softcap: config.optional("attn_logit_softcapping", real),
      ...(scalar === null ? {} : { scale: scalar ** -0.5 }),
    },
  };
}

export const gemmaDenseReaders: Readonly<Record<string, Reader>> = {
  gemma: readGemma,
  gemma2: readGemma2,
  gemma3_text: readGemma3,
  vaultgemma: readVaultGemma,
  t5gemma2: readT5Gemma2,
  t5gemma2_text: readT5Gemma2Encoder,
};
