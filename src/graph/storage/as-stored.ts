import type { ModelDescription } from "../../model/types.js";
import type { Block, BlockInstance, Weight } from "../types.js";
import { fileTypeBits } from "./file-type.js";
import { ggufBits } from "./gguf-names.js";

/**
 * The instances with weights of the bits that they are stored in. Layers that were equal part where their tensors have
 * different types; those that stay equal go on sharing one block.
 */
export function asStored(instances: readonly BlockInstance[], model: ModelDescription): readonly BlockInstance[] {
  const { storage } = model;
  if (storage === undefined) return instances;
  const bitsOf =
    storage.kind === "file-type" ? fileTypeBits(storage.type, instances, model) : ggufBits(storage.tensors);
  const made = new Map<Block, Map<string, Block>>();
  return instances.map((instance) => {
    const { block, scope } = instance;
    const bits = [...block.weights].map(([name, weight]) => bitsOf(scope, name, weight));
    if (bits.every((found) => found === null)) return instance;
    const variants = made.get(block) ?? new Map<string, Block>();
    made.set(block, variants);
    const key = bits.join(" ");
    const stored = variants.get(key) ?? { ...block, weights: withBits(block.weights, bits) };
    variants.set(key, stored);
    return { ...instance, block: stored };
  });
}

function withBits(weights: Block["weights"], bits: readonly (number | null)[]): Block["weights"] {
  return new Map(
    [...weights].map(([name, weight], index): [string, Weight] => {
      const found = bits[index] ?? null;
      return [name, found === null ? weight : { ...weight, bits: found }];
    }),
  );
}
