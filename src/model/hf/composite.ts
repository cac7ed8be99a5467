import type { Norm, Stack } from "../types.js";
import { size, sizeOrZero } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { shareEqual } from "./decoder.js";
import { noBias, softmax } from "./parts.js";
import { step3Vision } from "./step3.js";
import { visionReaders } from "./vision.js";
import { wrappedAudio, wrappedVision } from "./vision-wrapped.js";
import type { VisionReader } from "./vision-tower.js";

/** A model of several parts: a language model in `text_config`, or on the top level, and towers beside it. */
export interface Composite {
  /** Type of the language model where the nested object names none, or another wrapper's. */
  readonly text: string;
  /** Keys under which the language model's config may lie; the top level where none of them is there. */
  readonly nested: readonly string[];
  readonly vision: VisionReader | null;
  readonly audio?: (config: ConfigReader, textHidden: number) => Stack;
}

const nested = ["text_config", "language_config", "llm_config"] as const;

export const composites: Readonly<Record<string, Composite>> = {
  qwen2_vl: { text: "qwen2", nested, vision: visionReaders.qwen2 },
  qwen2_5_vl: { text: "qwen2", nested, vision: visionReaders.qwen25 },
  qwen3_vl: { text: "qwen3", nested, vision: visionReaders.qwen3 },
  qwen3_vl_moe: { text: "qwen3_moe", nested, vision: visionReaders.qwen3 },
  qwen3_5: { text: "qwen3_5_text", nested, vision: visionReaders.qwen3 },
  qwen3_5_moe: { text: "qwen3_5_moe_text", nested, vision: visionReaders.qwen3 },
  qwen4_exp: { text: "qwen4_exp_text", nested, vision: visionReaders.qwen3 },
  clip: { text: "clip_text_model", nested, vision: wrappedVision.both },
  siglip: { text: "siglip_text_model", nested, vision: wrappedVision.siglip },
  siglip2: { text: "siglip2_text_model", nested, vision: wrappedVision.siglip2 },
  llava: { text: "llama", nested, vision: wrappedVision.llava },
  llava_next: { text: "llama", nested, vision: wrappedVision.llavaNext },
  llava_next_video: { text: "llama", nested, vision: wrappedVision.llavaNext },
  llava_onevision: { text: "qwen2", nested, vision: wrappedVision.llavaNext },
  paligemma: { text: "gemma", nested, vision: wrappedVision.paligemma },
  idefics3: { text: "llama", nested, vision: wrappedVision.idefics3 },
  smolvlm: { text: "llama", nested, vision: wrappedVision.idefics3 },
  aya_vision: { text: "cohere2", nested, vision: wrappedVision.aya },
  internvl_chat: { text: "internlm2", nested, vision: wrappedVision.intern },
  internvl: { text: "qwen2", nested, vision: wrappedVision.intern },
  glm4v: { text: "glm4", nested, vision: wrappedVision.glm4v },
  glm4v_moe: { text: "glm4_moe", nested, vision: wrappedVision.glm4v },
  kimi_vl: { text: "deepseek_v3", nested, vision: visionReaders.moonVit },
  phi3_v: { text: "phi3", nested, vision: wrappedVision.phi3 },
  qwen2_audio: { text: "qwen2", nested, vision: null, audio: wrappedAudio.qwen2Audio },
  qwen2_5_omni: { text: "qwen2", nested, vision: visionReaders.qwen25, audio: wrappedAudio.qwen25Omni },
  qwen3_omni_moe: { text: "qwen3_moe", nested, vision: visionReaders.qwen3 },
  voxtral: { text: "llama", nested, vision: null, audio: wrappedAudio.voxtral },
  idefics2: { text: "mistral", nested, vision: null },
  janus: { text: "llama", nested, vision: null },
  granite_speech: { text: "granite", nested, vision: null },
  phi4mm: { text: "phi3", nested, vision: null },
  gemma3: { text: "gemma3_text", nested, vision: wrappedVision.gemma },
  shieldgemma2: { text: "gemma3_text", nested, vision: wrappedVision.gemma },
  gemma4: { text: "gemma4_text", nested, vision: visionReaders.gemma4, audio: conformer },
  llama4: { text: "llama4_text", nested, vision: visionReaders.llama4 },
  diffusion_gemma: { text: "diffusion_gemma_text", nested, vision: visionReaders.gemma4 },
  t5gemma2_encoder: { text: "t5gemma2_text", nested, vision: wrappedVision.gemma },
  mllama: { text: "mllama_text_model", nested, vision: visionReaders.mllama },
  kimi_k25: { text: "deepseek_v3", nested, vision: visionReaders.moonVit },
  kimi_k3: { text: "kimi_linear", nested, vision: visionReaders.moonVit },
  minimax_m3_vl: { text: "minimax_m3", nested, vision: visionReaders.minimax },
  step3p7: { text: "step3p5", nested, vision: visionReaders.step },
  step3_vl: { text: "step3_text", nested, vision: step3Vision },
  inkling_mm_model: { text: "inkling_text", nested, vision: null },
  muse_glimmer: { text: "muse_glimmer_text", nested, vision: visionReaders.muse },
  glm5_next: { text: "glm5_next_text", nested, vision: visionReaders.glm5 },
  deepseek_vl_v2: { text: "deepseek_v2", nested, vision: null },
  gemma4_unified: { text: "gemma4_unified_text", nested, vision: null },
  aria: { text: "aria_text", nested, vision: null },
  gemma3n: { text: "gemma3n_text", nested, vision: null },
  mistral3: { text: "ministral3", nested, vision: wrappedVision.mistral3 },
};

/** Names that wrappers give their language models, and the reader that fits. */
export const textAliases: Readonly<Record<string, string>> = {
  qwen3_vl_text: "qwen3",
  qwen3_vl_moe_text: "qwen3_moe",
  qwen2_vl_text: "qwen2",
  qwen2_5_vl_text: "qwen2",
  minimax_m3_vl_text: "minimax_m3",
  glm4v_text: "glm4",
  glm4v_moe_text: "glm4_moe",
  qwen2_5_omni_text: "qwen2",
  qwen3_omni_moe_text: "qwen3_moe",
  VLlama3: "llama",
};

const rms: Norm = { kind: "rms", bias: false, epsilon: 1e-6, offset: false };

/** Gemma 4's audio tower: conformer layers behind two convolutions. */
function conformer(config: ConfigReader, textHidden: number): Stack {
  const from = "class default of gemma4_audio";
  const hidden = config.derived("hidden_size", size, from, () => 1024);
  const layers = config.derived("num_hidden_layers", sizeOrZero, from, () => 12);
  const heads = config.derived("num_attention_heads", size, from, () => 8);
  const kernel = config.derived("conv_kernel_size", size, from, () => 5);
  const out = config.derived("output_proj_dims", size, from, () => textHidden);
  config.ignoreRest();
  const bare = { gated: false, activation: "silu", bias: false } as const;
  const ffn = { kind: "dense", width: 4 * hidden, ...bare } as const;
  const layer = {
    mixers: [softmax({ heads, kvHeads: heads, headDim: hidden / heads }, null, { causal: false, bias: noBias })],
    ffns: [ffn, ffn],
    norm: rms,
    normPlacement: "sandwich",
    extras: {
      linears: [
        { name: "relative_key", inWidth: hidden, outWidth: hidden, bias: false },
        { name: "convolution_in", inWidth: hidden, outWidth: 2 * hidden, bias: false },
        { name: "convolution_out", inWidth: hidden, outWidth: hidden, bias: false },
      ],
      weights: [
        { name: "convolution", shape: [hidden, 1, kernel] },
        { name: "norms", shape: [3, hidden] },
        { name: "scale", shape: [hidden / heads] },
      ],
    },
  } as const;
  return {
    kind: "audio",
    hiddenSize: hidden,
    length: { kind: "absent" },
    layers: shareEqual(Array.from({ length: layers }, () => layer)),
    finalNorm: null,
    extras: {
      linears: [
        { name: "subsample", inWidth: 1024, outWidth: hidden, bias: false },
        { name: "output", inWidth: hidden, outWidth: out, bias: true },
        { name: "project", inWidth: out, outWidth: textHidden, bias: false },
      ],
      weights: [
        { name: "convolution0", shape: [128, 1, 3, 3] },
        { name: "convolution1", shape: [32, 128, 3, 3] },
        { name: "convolution_norms", shape: [128 + 32] },
      ],
    },
  };
}
