import type { ExtraWeight, Stack } from "../types.js";
import { className } from "./architecture.js";
import { bartReaders } from "./bart.js";
import { linear, norm2, weight } from "./beside.js";
import { flag, layerCount, oneOf, sizeOrZero } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import type { Reader } from "./reader.js";
import { layerNormed, tower } from "./vision-tower.js";

/**
 * models/seamless_m4t, seamless_m4t_v2 (arXiv:2308.11596, arXiv:2312.05187): M2M-100's encoder and decoder of text, a
 * conformer for speech beside them. What makes speech of text stands behind and is left out.
 */
const readSeamless: Reader = (config) => {
  const { m2m_100: textToText } = bartReaders;
  if (textToText === undefined) throw new Error("m2m_100 is of BART's kin");
  const name = className(config) ?? "";
  if (name.includes("ForSpeechTo")) {
    throw config.bad("architectures", name, "expected a class that reads text: speech as input is not priced");
  }
  const hidden = config.size("hidden_size");
  const half = (side: "encoder" | "decoder") => ({
    [`${side}_layers`]: config.read(`${side}_layers`, layerCount),
    [`${side}_ffn_dim`]: config.size(`${side}_ffn_dim`),
    [`${side}_attention_heads`]: config.size(`${side}_attention_heads`),
  });
  const text = config.with({
    d_model: hidden,
    vocab_size: config.size("vocab_size"),
    activation_function: config.text("activation_function"),
    ...half("encoder"),
    ...half("decoder"),
    architectures: ["ForConditionalGeneration"],
  });
  const speaks = !name.endsWith("TextToText");
  if (speaks) config.note("what makes units, and sound, of the text is left out, its parameters too");
  config.ignore("max_position_embeddings", "is_encoder_decoder", "scale_embedding", "tie_word_embeddings");
  const reads = speaks && !name.includes("TextTo");
  const result = textToText(text);
  const stacks: Stack[] = reads ? [speechTower(config, hidden)] : [];
  ignoreSpeech(config);
  return { ...result, stacks: [...stacks, ...result.stacks] };
};

/** Conformer layers: two halves of a network around attention and a convolution; an adapter that shortens behind them. */
function speechTower(config: ConfigReader, hidden: number): Stack {
  const second = config.family === "seamless_m4t_v2";
  const heads = config.size("speech_encoder_attention_heads");
  if (hidden % heads !== 0)
    throw config.bad("speech_encoder_attention_heads", heads, `expected a divisor of ${hidden}`);
  const width = config.size("speech_encoder_intermediate_size");
  const kernel = config.size("conv_depthwise_kernel_size");
  const features = config.size("feature_projection_input_dim");
  const positions = config.read("position_embeddings_type", oneOf([second ? "relative_key" : "relative"]));
  const places: ExtraWeight[] =
    positions === "relative_key"
      ? [
          weight(
            "distances",
            config.size("left_max_position_embeddings") + config.size("right_max_position_embeddings") + 1,
            hidden / heads,
          ),
        ]
      : [weight("places", hidden, hidden), weight("place_biases", 2, hidden)];
  const ffn = 2 * hidden * width + width + hidden;
  const reach = config.size("adaptor_kernel_size");
  const shortened = 2 * hidden * hidden * reach + 2 * hidden;
  const adapter = 2 * shortened + 4 * (hidden * hidden + hidden) + ffn + 6 * hidden;
  const adapters = config.read("add_adapter", flag) ? config.sizeOrZero("num_adapter_layers") : 0;
  const plain = { kind: "dense", width, gated: false, activation: "silu", bias: true } as const;
  const stack = tower({
    hidden,
    count: config.read("speech_encoder_layers", sizeOrZero),
    heads,
    width,
    norm: layerNormed,
    layer: {
      ffns: [plain, plain],
      extras: {
        weights: [
          ...places,
          norm2("convolution_norm", hidden),
          weight("convolution_in", 2 * hidden, hidden),
          weight("convolution", hidden, kernel),
          norm2("convolved_norm", hidden),
          weight("convolution_out", hidden, hidden),
          norm2("final_norm", hidden),
        ],
      },
    },
    finalNorm: layerNormed,
    linears: [linear("project", features, hidden)],
    weights: [
      norm2("feature_norm", features),
      weight("middle_network", ffn),
      norm2("inner_norm", hidden),
      ...(adapters > 0 ? [weight("adapters", adapters, adapter)] : []),
    ],
  });
  return { ...stack, kind: "audio" };
}

/** Keys of the speech encoder, of text to units and of the vocoder. */
function ignoreSpeech(config: ConfigReader): void {
  config.ignore("speech_encoder_layers", "speech_encoder_attention_heads", "speech_encoder_intermediate_size");
  config.ignore("speech_encoder_hidden_act", "speech_encoder_dropout", "speech_encoder_layerdrop", "add_adapter");
  config.ignore("feature_projection_input_dim", "adaptor_kernel_size", "adaptor_stride", "adaptor_dropout");
  config.ignore("num_adapter_layers", "position_embeddings_type", "rotary_embedding_base", "max_source_positions");
  config.ignore("conv_depthwise_kernel_size", "num_conv_pos_embeddings", "num_conv_pos_embedding_groups");
  config.ignore("left_max_position_embeddings", "right_max_position_embeddings", "speech_encoder_chunk_size");
  config.ignore("speech_encoder_left_chunk_num", "char_vocab_size", "variance_predictor_embed_dim");
  config.ignore("variance_predictor_hidden_dim", "variance_predictor_kernel_size", "variance_pred_dropout");
  config.ignore("var_pred_dropout", "sampling_rate", "leaky_relu_slope", "lang_embed_dim", "spkr_embed_dim");
  config.ignore("upsample_initial_channel", "upsample_rates", "upsample_kernel_sizes", "resblock_kernel_sizes");
  config.ignore("resblock_dilation_sizes", "unit_hifi_gan_vocab_size", "unit_embed_dim", "vocoder_num_langs");
  config.ignore("vocoder_num_spkrs", "vocoder_offset", "max_new_tokens", "adaptor_layer_norm");
  for (const key of ["vocab_size", "encoder_layers", "encoder_ffn_dim", "encoder_attention_heads"]) {
    config.ignore(`t2u_${key}`);
  }
  config.ignore("t2u_decoder_layers", "t2u_decoder_ffn_dim", "t2u_decoder_attention_heads", "t2u_max_new_tokens");
  config.ignore("t2u_max_position_embeddings", "t2u_variance_predictor_embed_dim", "t2u_variance_pred_dropout");
  config.ignore("t2u_variance_predictor_hidden_dim", "t2u_variance_predictor_kernel_size", "t2u_num_langs");
  config.ignore("t2u_pad_token_id", "t2u_bos_token_id", "t2u_eos_token_id", "t2u_offset_tgt_lang");
}

export const seamlessReaders: Readonly<Record<string, Reader>> = {
  seamless_m4t: readSeamless,
  seamless_m4t_v2: readSeamless,
};
