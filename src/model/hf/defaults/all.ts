import { defaultsAfmoe } from "./from-afmoe.js";
import { defaultsAriaText } from "./from-aria-text.js";
import { defaultsBamba } from "./from-bamba.js";
import { defaultsDbrx } from "./from-dbrx.js";
import { defaultsElectra } from "./from-electra.js";
import { defaultsGemma } from "./from-gemma.js";
import { defaultsGlm } from "./from-glm.js";
import { defaultsHrmText } from "./from-hrm-text.js";
import { defaultsLaguna } from "./from-laguna.js";
import { defaultsLayoutLm3 } from "./from-layoutlmv3.js";
import { defaultsM2m100 } from "./from-m2m-100.js";
import { defaultsMimoV2Flash } from "./from-mimo-v2-flash.js";
import { defaultsNanochat } from "./from-nanochat.js";
import { defaultsPegasus } from "./from-pegasus.js";
import { defaultsQwen2 } from "./from-qwen2.js";
import { defaultsRecurrentGemma } from "./from-recurrent-gemma.js";
import { defaultsT5 } from "./from-t5.js";
import { publishedDecoderDefaults } from "./published-decoders.js";
import type { ClassDefaults } from "./types.js";

/**
 * What Hugging Face transformers 5.18 fills in where a file leaves a key out: the default configuration of each model
 * type, and what classes that come with their checkpoints do. Null marks a value that the class works out from others.
 */
export const classDefaults: ClassDefaults = {
  ...defaultsAfmoe,
  ...defaultsAriaText,
  ...defaultsBamba,
  ...defaultsDbrx,
  ...defaultsElectra,
  ...defaultsGemma,
  ...defaultsGlm,
  ...defaultsHrmText,
  ...defaultsLaguna,
  ...defaultsLayoutLm3,
  ...defaultsM2m100,
  ...defaultsMimoV2Flash,
  ...defaultsNanochat,
  ...defaultsPegasus,
  ...defaultsQwen2,
  ...defaultsRecurrentGemma,
  ...defaultsT5,
  ...publishedDecoderDefaults,
};
