import type { ConfigReader } from "./config-reader.js";
import { denseReaders } from "./dense.js";
import type { Reader } from "./reader.js";
import { linear } from "./beside.js";
import { type VisionReader, tower } from "./vision-tower.js";

/** Wrappers of which the language model alone is described: what they have beside it is named and not counted. */

interface Wrapper {
  readonly text: string;
  readonly vision: VisionReader | null;
}

function around(text: string): Wrapper {
  return { text, vision: null };
}

/** models/fuyu: patches of a picture are projected into the stream, without a tower. */
const fuyu: VisionReader = (unused, textHidden, whole) => {
  unused.ignoreRest();
  const patch = whole.size("patch_size");
  const area = patch * patch * whole.size("num_channels");
  return tower({ hidden: textHidden, count: 0, heads: 1, width: 1, linears: [linear("patches", area, textHidden)] });
};

export const textComposites: Readonly<Record<string, Wrapper>> = {
  got_ocr2: around("qwen2"),
  perception_lm: around("llama"),
  video_llama_3: around("qwen2"),
  video_llava: around("llama"),
  vipllava: around("llama"),
  glm46v: around("glm4"),
  exaone4_5: around("exaone4"),
  fast_vlm: around("qwen2"),
  lighton_ocr: around("qwen3"),
  audioflamingo3: around("qwen2"),
  musicflamingo: around("qwen2"),
  glmasr: around("llama"),
  deepseek_vl: around("llama"),
  deepseek_vl_hybrid: around("llama"),
  multi_modality: around("llama"),
  ovis: around("qwen2"),
  ovis2_5: around("qwen3"),
  interns1: around("qwen3"),
  h2ovl_chat: around("mistral"),
  NemotronH_Nano_VL_V2: around("nemotron_h"),
  fuyu: { text: "persimmon", vision: fuyu },
};

/** A language model whose wrapper has its keys on the top level. */
function flat(type: string): Reader {
  return (config) => readFlat(config, type);
}

function readFlat(config: ConfigReader, type: string): ReturnType<Reader> {
  const reader = denseReaders[type];
  if (reader === undefined) throw new Error(`${type} is a dense family`);
  const towers = ["vision_config", "audio_config", "tts_config", "vision_tower", "mm_vision_tower"];
  for (const key of towers) {
    if (!config.has(key)) continue;
    config.note(`only the language model is described: what ${key} names is left out, its parameters too`);
  }
  config.ignore(...towers);
  return reader(config);
}

/** Families of the language models that MiniCPM-V and MiniCPM-o were made with, by their version. */
const byVersion: Readonly<Record<string, string>> = { "2.5": "llama", "2.6": "qwen2", "4.0": "llama", "4.5": "qwen3" };

const readMiniCpmV: Reader = (config) => {
  const version = config.raw("version");
  const named = typeof version === "number" ? version.toFixed(1) : typeof version === "string" ? version : "";
  const type = byVersion[named];
  if (type === undefined) {
    throw config.bad("version", version, `expected one of ${Object.keys(byVersion).join(", ")}`);
  }
  config.ignore("version", "slice_config", "slice_mode", "query_num", "drop_vision_last_layer", "batch_vision_input");
  config.ignore("batch_3d_resampler", "use_image_id", "vision_batch_size", "patch_size", "image_size");
  return readFlat(config, type);
};

export const flatReaders: Readonly<Record<string, Reader>> = {
  dots_ocr: flat("qwen2"),
  llava_llama: flat("llama"),
  llava_mistral: flat("mistral"),
  llava_qwen: flat("qwen2"),
  llava_qwen2: flat("qwen2"),
  minicpmv: readMiniCpmV,
  minicpmo: readMiniCpmV,
};

/** Families whose class defaults fill what such files leave out. */
export const flatDefaults: Readonly<Record<string, string>> = {
  dots_ocr: "qwen2",
  llava_llama: "llama",
  llava_mistral: "mistral",
  llava_qwen: "qwen2",
  llava_qwen2: "qwen2",
  minicpmv: "qwen2",
  minicpmo: "qwen2",
};
