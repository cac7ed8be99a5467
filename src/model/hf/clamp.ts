import type { Clamp } from "../types.js";
import { real } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";

/** What is made of bounded gates and values: DeepSeek-V4's plain SiLU, and gpt-oss's (openai/gpt-oss, `swiglu`). */
const forms = {
  silu: { slope: 1, shift: 0 },
  "gpt-oss": { slope: 1.702, shift: 1 },
} as const;

/** Bounds of gated networks by `swiglu_limit`; none where it is not positive, `otherwise` where it is not there. */
export function clampOf(
  config: ConfigReader,
  form: keyof typeof forms,
  otherwise?: { readonly limit: number; readonly from: string },
): { readonly clamp?: Clamp } {
  const key = "swiglu_limit";
  const limit =
    otherwise === undefined
      ? (config.optional(key, real) ?? 0)
      : config.derived(key, real, otherwise.from, () => otherwise.limit);
  return limit > 0 ? { clamp: { limit, ...forms[form] } } : {};
}

/** The classes of gpt-oss and its kin have the limit fixed; OpenAI's own files name it. */
export function clampOfGptOss(config: ConfigReader): { readonly clamp?: Clamp } {
  return clampOf(config, "gpt-oss", { limit: 7, from: "reference code" });
}
