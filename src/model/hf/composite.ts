import { type AudioReader, wrappedAudio } from "./audio-tower.js";
import { molmo2Vision } from "./molmo.js";
import { step3Vision } from "./step3.js";
import { visionReaders } from "./vision.js";
import { convolvedVision } from "./vision-convolved.js";
import { siglipVision } from "./vision-siglip.js";
import type { VisionReader } from "./vision-tower.js";
import { wrappedVision } from "./vision-wrapped.js";
import { textComposites } from "./wrapped-text.js";

/** A model of several parts: a language model in `text_config`, or on the top level, and towers beside it. */
export interface Composite {
  /** Type of the language model where the nested object names none, or another wrapper's. */
  readonly text: string;
  /** Keys under which the language model's config may lie; the top level where none of them is there. */
  readonly nested: readonly string[];
  readonly vision: VisionReader | null;
  readonly audio?: AudioReader;
}

const nested = ["text_config", "language_config", "llm_config"] as const;

export const composites: Readonly<Record<string, Composite>> = {
  ...textComposites,
  qwen2_vl: { text: "qwen2", nested, vision: visionReaders.qwen2 },
  qwen2_5_vl: { text: "qwen2", nested, vision: visionReaders.qwen25 },
  qwen3_vl: { text: "qwen3", nested, vision: visionReaders.qwen3 },
  qwen3_vl_moe: { text: "qwen3_moe", nested, vision: visionReaders.qwen3 },
  qwen3_5: { text: "qwen3_5_text", nested, vision: visionReaders.qwen3 },
  qwen3_5_moe: { text: "qwen3_5_moe_text", nested, vision: visionReaders.qwen3 },
  qwen4_exp: { text: "qwen4_exp_text", nested, vision: visionReaders.qwen3 },
  clip: { text: "clip_text_model", nested, vision: wrappedVision.both },
  siglip: { text: "siglip_text_model", nested, vision: siglipVision.alone },
  siglip2: { text: "siglip2_text_model", nested, vision: siglipVision.second },
  llava: { text: "llama", nested, vision: wrappedVision.llava },
  llava_next: { text: "llama", nested, vision: wrappedVision.llavaNext },
  llava_next_video: { text: "llama", nested, vision: wrappedVision.llavaNext },
  llava_onevision: { text: "qwen2", nested, vision: wrappedVision.llavaNext },
  paligemma: { text: "gemma", nested, vision: siglipVision.paligemma },
  idefics3: { text: "llama", nested, vision: siglipVision.idefics3 },
  smolvlm: { text: "llama", nested, vision: siglipVision.idefics3 },
  aya_vision: { text: "cohere2", nested, vision: siglipVision.aya },
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
  idefics2: { text: "mistral", nested, vision: siglipVision.idefics2 },
  janus: { text: "llama", nested, vision: siglipVision.janus },
  florence2: { text: "bart", nested, vision: convolvedVision.daVit },
  lfm2_vl: { text: "lfm2", nested, vision: siglipVision.lfm2 },
  cohere2_vision: { text: "cohere2", nested, vision: siglipVision.cohere2 },
  ovis2: { text: "qwen2", nested, vision: wrappedVision.ovis2 },
  granite_speech: { text: "granite", nested, vision: null },
  phi4mm: { text: "phi3", nested, vision: null },
  gemma3: { text: "gemma3_text", nested, vision: siglipVision.gemma },
  shieldgemma2: { text: "gemma3_text", nested, vision: siglipVision.gemma },
  gemma4: { text: "gemma4_text", nested, vision: visionReaders.gemma4, audio: wrappedAudio.gemma4 },
  llama4: { text: "llama4_text", nested, vision: visionReaders.llama4 },
  diffusion_gemma: { text: "diffusion_gemma_text", nested, vision: visionReaders.gemma4 },
  t5gemma2_encoder: { text: "t5gemma2_text", nested, vision: siglipVision.gemma },
  mllama: { text: "mllama_text_model", nested, vision: visionReaders.mllama },
  kimi_k25: { text: "deepseek_v3", nested, vision: visionReaders.moonVit },
  kimi_k3: { text: "kimi_linear", nested, vision: visionReaders.moonVit },
  minimax_m3_vl: { text: "minimax_m3", nested, vision: visionReaders.minimax },
  step3p7: { text: "step3p5", nested, vision: visionReaders.step },
  step3_vl: { text: "step3_text", nested, vision: step3Vision },
  inkling_mm_model: { text: "inkling_text", nested, vision: null },
  molmo2: { text: "molmo2_text", nested, vision: molmo2Vision },
  muse_glimmer: { text: "muse_glimmer_text", nested, vision: visionReaders.muse },
  glm5_next: { text: "glm5_next_text", nested, vision: visionReaders.glm5 },
  deepseek_vl_v2: { text: "deepseek_v2", nested, vision: null },
  gemma4_unified: { text: "gemma4_unified_text", nested, vision: null },
  aria: { text: "aria_text", nested, vision: siglipVision.aria },
  gemma3n: { text: "gemma3n_text", nested, vision: convolvedVision.mobileNet, audio: wrappedAudio.gemma3n },
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
