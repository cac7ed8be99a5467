import type { StackLength } from "../types.js";
import { className } from "./architecture.js";
import { tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readDtypes } from "./decoder.js";
import type { ReaderResult } from "./reader.js";

/** Encoder–decoders: the encoder looks at m positions, the decoder at n and across at m. */

export const encoderLength: StackLength = { kind: "encoder" };

/** Which halves the class in `architectures` has. */
export function halves(config: ConfigReader): "both" | "encoder" | "decoder" {
  const name = className(config) ?? "";
  if (/EncoderModel$|EncoderOnly/.test(name)) return "encoder";
  return name.endsWith("ForCausalLM") ? "decoder" : "both";
}

/** What both halves share: one table of tokens. */
export function shared(
  config: ConfigReader,
  hidden: number,
): Pick<ReaderResult, "hiddenSize" | "vocabularySize" | "embedding" | "dtypes"> {
  const vocabularySize = config.read("vocab_size", tokenCount);
  return {
    hiddenSize: hidden,
    vocabularySize,
    embedding: { rows: vocabularySize, width: hidden, scale: null },
    dtypes: readDtypes(config),
  };
}
