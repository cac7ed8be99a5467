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
  readonly vision: VisionReader | null;
  readonly audio?: AudioReader;
  /** Without a vision_config there is no tower; others' classes then take the one that they have by default. */
  readonly visionIfNamed?: true;
}

export const composites: Readonly<Record<string, Composite>> = {
  ...textComposites,
  qwen2_vl: { text: "qwen2", vision: visionReaders.qwen2 },
  qwen2_5_vl: { text: "qwen2", vision: visionReaders.qwen25 },
  qwen3_vl: { text: "qwen3", vision: visionReaders.qwen3 },
  qwen3_vl_moe: { text: "qwen3_moe", vision: visionReaders.qwen3 },
  qwen3_5: { text: "qwen3_5_text", vision: visionReaders.qwen3 },
  qwen3_5_moe: { text: "qwen3_5_moe_text", vision: visionReaders.qwen3 },
  qwen4_exp: { text: "qwen4_exp_text", vision: visionReaders.qwen3 },
  clip: { text: "clip_text_model", vision: wrappedVision.both },
  siglip: { text: "siglip_text_model", vision: siglipVision.alone },
  siglip2: { text: "siglip2_text_model", vision: siglipVision.second },
  llava: { text: "llama", vision: wrappedVision.llava },
  llava_next: { text: "llama", vision: wrappedVision.llavaNext },
  llava_next_video: { text: "llama", vision: wrappedVision.llavaNext },
  llava_onevision: { text: "qwen2", vision: wrappedVision.llavaNext },
  paligemma: { text: "gemma", vision: siglipVision.paligemma },
  idefics3: { text: "llama", vision: siglipVision.idefics3 },
  smolvlm: { text: "llama", vision: siglipVision.idefics3 },
  aya_vision: { text: "cohere2", vision: siglipVision.aya },
  internvl_chat: { text: "internlm2", vision: wrappedVision.intern },
  internvl: { text: "qwen2", vision: wrappedVision.intern },
  glm4v: { text: "glm4", vision: wrappedVision.glm4v },
  glm4v_moe: { text: "glm4_moe", vision: wrappedVision.glm4v },
  kimi_vl: { text: "deepseek_v3", vision: visionReaders.moonVit },
  phi3_v: { text: "phi3", vision: wrappedVision.phi3 },
  qwen2_audio: { text: "qwen2", vision: null, audio: wrappedAudio.qwen2Audio },
  qwen2_5_omni: { text: "qwen2", vision: visionReaders.qwen25, audio: wrappedAudio.qwen25Omni },
  qwen3_omni_moe: { text: "qwen3_moe", vision: visionReaders.qwen3 },
  voxtral: { text: "llama", vision: null, audio: wrappedAudio.voxtral },
  idefics2: { text: "mistral", vision: siglipVision.idefics2 },
  janus: { text: "llama", vision: siglipVision.janus },
  florence2: { text: "bart", vision: convolvedVision.daVit },
  lfm2_vl: { text: "lfm2", vision: siglipVision.lfm2 },
  cohere2_vision: { text: "cohere2", vision: siglipVision.cohere2 },
  ovis2: { text: "qwen2", vision: wrappedVision.ovis2 },
  granite_speech: { text: "granite", vision: null },
  phi4mm: { text: "phi3", vision: null },
  gemma3: { text: "gemma3_text", vision: siglipVision.gemma },
  shieldgemma2: { text: "gemma3_text", vision: siglipVision.gemma },
  gemma4: { text: "gemma4_text", vision: visionReaders.gemma4, visionIfNamed: true, audio: wrappedAudio.gemma4 },
  llama4: { text: "llama4_text", vision: visionReaders.llama4 },
  diffusion_gemma: { text: "diffusion_gemma_text", vision: visionReaders.gemma4, visionIfNamed: true },
  t5gemma2_encoder: { text: "t5gemma2_text", vision: siglipVision.gemma },
  mllama: { text: "mllama_text_model", vision: visionReaders.mllama },
  kimi_k25: { text: "deepseek_v3", vision: visionReaders.moonVit },
  kimi_k3: { text: "kimi_linear", vision: visionReaders.moonVit },
  minimax_m3_vl: { text: "minimax_m3", vision: visionReaders.minimax },
  step3p7: { text: "step3p5", vision: visionReaders.step },
  step3_vl: { text: "step3_text", vision: step3Vision },
  inkling_mm_model: { text: "inkling_text", vision: null },
  molmo2: { text: "molmo2_text", vision: molmo2Vision },
  muse_glimmer: { text: "muse_glimmer_text", vision: visionReaders.muse },
  glm5_next: { text: "glm5_next_text", vision: visionReaders.glm5 },
  deepseek_vl_v2: { text: "deepseek_v2", vision: null },
  gemma4_unified: { text: "gemma4_unified_text", vision: null },
  aria: { text: "aria_text", vision: siglipVision.aria },
  gemma3n: { text: "gemma3n_text", vision: convolvedVision.mobileNet, audio: wrappedAudio.gemma3n },
  mistral3: { text: "ministral3", vision: wrappedVision.mistral3 },
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
