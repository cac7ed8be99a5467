import { buildGraph } from "../graph/build.js";
import { fileTypeBits } from "../graph/storage/file-type.js";
import type { Weight } from "../graph/types.js";
import type { FileType } from "../model/storage.js";
import type { ModelDescription } from "../model/types.js";
import { distinctWeights, elementCount, predictionWeights, storedBytesPerElement } from "./parameters.js";

export interface QuantisedWeights {
  readonly parameters: number;
  readonly bytes: number;
}

/**
 * What the language model's tensors take in a GGUF file of this type, layers for prediction and unused projections
 * included, which are no part of what is run.
 */
export function quantisedWeights(model: ModelDescription, type: FileType): QuantisedWeights {
  const stacks = model.stacks.filter(({ kind }) => kind !== "vision" && kind !== "audio");
  const text = { ...model, stacks, storage: { kind: "file-type", type } as const };
  const graph = buildGraph(text);
  const bitsOf = fileTypeBits(type, graph.instances, text);
  const unrun = (model.unrun?.weights ?? []).map(({ name, shape }): Weight => {
    const [, scope = "", local = ""] = /^(.*layers\.\d+)\.(.*)$/.exec(name) ?? [];
    const weight = { shape, dtype: "float32", init: "zero" } as const;
    // Projections that shared keys leave unused are matrices like those in use.
    const role = local.replace(/^unused_(key|value)$/, "mixer.$1.weight");
    return { ...weight, bits: bitsOf(scope, role, weight) ?? 32 };
  });
  const weights = [...distinctWeights(graph).values(), ...predictionWeights(text).values(), ...unrun];
  return {
    parameters: weights.reduce((sum, weight) => sum + elementCount(weight), 0),
    bytes: weights.reduce((sum, weight) => sum + elementCount(weight) * storedBytesPerElement(weight), 0),
  };
}
