import type { Layer, Mixer, StackLength } from "../types.js";
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

/** A decoder's layers looking both ways: an encoder, which has no cache. */
export function lookingBothWays(result: ReaderResult): ReaderResult {
  const turned = (mixer: Mixer): Mixer => (mixer.kind === "attention" ? { ...mixer, causal: false } : mixer);
  const known = new Map<Layer, Layer>();
  const turn = (layer: Layer): Layer => {
    const own = known.get(layer) ?? { ...layer, mixers: layer.mixers.map(turned) };
    known.set(layer, own);
    return own;
  };
  return {
    ...result,
    stacks: result.stacks.map((stack) => ({
      ...stack,
      kind: "encoder",
      length: { kind: "new" },
      layers: stack.layers.map(turn),
    })),
  };
}
