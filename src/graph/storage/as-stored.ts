import type { ModelDescription } from "../../model/types.js";
import type { Block, BlockInstance, Weight } from "../types.js";
import type { BitsOf, StoredAs } from "./bits-of.js";
import { fileTypeBits } from "./file-type.js";
import { ggufBits } from "./gguf-names.js";
import { asQuantised } from "./quantised.js";

/**
 * The instances with weights of the bits that they are stored in. Layers that were equal part where their tensors have
 * different types; those that stay equal go on sharing one block.
 */
export function asStored(instances: readonly BlockInstance[], model: ModelDescription): readonly BlockInstance[] {
  const { storage } = model;
  if (storage === undefined) return instances;
  const storedAs =
    storage.kind === "quantised"
      ? asQuantised(storage, model)
      : inBits(storage.kind === "file-type" ? fileTypeBits(storage.type, instances, model) : ggufBits(storage.tensors));
  const made = new Map<Block, Map<string | readonly StoredAs[], Block>>();
  return instances.map((instance) => {
    const { block } = instance;
    const weights = storedAs(instance);
    const variants = made.get(block) ?? new Map<string | readonly StoredAs[], Block>();
    made.set(block, variants);
    // Equal layers are mostly told the very same formats.
    const stored = variants.get(weights) ?? variant(block, weights, variants);
    variants.set(weights, stored);
    return stored === block ? instance : { ...instance, block: stored };
  });
}

function variant(
  block: Block,
  weights: readonly StoredAs[],
  variants: Map<string | readonly StoredAs[], Block>,
): Block {
  if (weights.every((found) => found === null)) return block;
  const key = weights.map((found) => `${found?.format} ${found?.bits} ${found?.operands}`).join(" ");
  const stored = variants.get(key) ?? { ...block, weights: withBits(block.weights, weights) };
  variants.set(key, stored);
  return stored;
}

function inBits(bitsOf: BitsOf): (instance: BlockInstance) => StoredAs[] {
  return ({ block, scope }) =>
    [...block.weights].map(([name, weight]) => {
      const bits = bitsOf(scope, name, weight);
      return bits === null ? null : { bits };
    });
}

function withBits(weights: Block["weights"], stored: readonly StoredAs[]): Block["weights"] {
  return new Map(
    [...weights].map(([name, weight], index): [string, Weight] => [name, { ...weight, ...stored[index] }]),
  );
}
