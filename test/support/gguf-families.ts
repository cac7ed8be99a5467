import { type GgufTensorContent, type GgufValue, decoderMetadata, ggufHeader } from "./gguf.js";
import { denseFamilies } from "./gguf-families-dense.js";
import { encoderFamilies } from "./gguf-families-encoder.js";
import { expertsFamilies } from "./gguf-families-experts.js";
import { hybridFamilies } from "./gguf-families-hybrid.js";
import { type Case, hidden, layers, sizes, vocabulary } from "./gguf-shapes.js";

export const families: Readonly<Record<string, Case>> = {
  ...denseFamilies,
  ...expertsFamilies,
  ...hybridFamilies,
  ...encoderFamilies,
};

/** Types whose blocks hold one element, so that any shape will do. */
const types = [0, 1, 30, 24];

/** The header of one model; entries under `without` are left out. */
export function headerOf(arch: string, example: Case, without?: string): Uint8Array {
  const { layer, untied, outside, beside = {} } = example;
  const shapes: [string, readonly number[]][] = Object.entries({
    ...(outside ?? { "token_embd.weight": [hidden, vocabulary], "output_norm.weight": [hidden] }),
    ...beside,
    ...(untied === true ? { "output.weight": [hidden, vocabulary] } : {}),
  });
  for (let index = 0; index < layers; index += 1) {
    for (const [name, shape] of Object.entries(typeof layer === "function" ? layer(index) : layer)) {
      const [, half = ""] = /^(enc|dec)\./.exec(name) ?? [];
      shapes.push([half === "" ? `blk.${index}.${name}` : name.replace(`${half}.`, `${half}.blk.${index}.`), shape]);
    }
  }
  const tensors = shapes.map(([name, shape], index): GgufTensorContent => {
    const matrix = shape.filter((size) => size > 1).length > 1 && name.endsWith("weight") && !name.includes("norm");
    return { name, shape, type: matrix ? (types[index % types.length] ?? 0) : 0 };
  });
  const { [without ?? ""]: _left, ...metadata } = metadataOf(arch, example);
  return ggufHeader({ metadata, tensors });
}

/** Its entries by full key. */
export function metadataOf(arch: string, { keys = {} }: Case): Record<string, GgufValue> {
  const entries = Object.entries(keys).flatMap(([key, value]): [string, GgufValue][] =>
    Array.isArray(value) && value.length === 0 ? [] : [[`${arch}.${key}`, value]],
  );
  return { ...decoderMetadata(arch, sizes), ...Object.fromEntries(entries) };
}
