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

/** A checkpoint that was published quantised, and its parameters by the format that they are in. */
export interface CheckpointWeights extends QuantisedWeights {
  readonly formats: readonly (QuantisedWeights & { readonly name: string })[];
}

/** What the tensors of a checkpoint take that was published quantised, its layers for prediction and towers included. */
export function checkpointWeights(model: ModelDescription): CheckpointWeights {
  const plain = (model.unrun?.weights ?? []).map(
    ({ shape }): Weight => ({ shape, dtype: model.dtypes.weights, init: "zero" }),
  );
  const weights = [...distinctWeights(buildGraph(model)).values(), ...predictionWeights(model).values(), ...plain];
  const byFormat = new Map<string, Weight[]>();
  for (const weight of weights) {
    const name = weight.format ?? weight.dtype;
    const group = byFormat.get(name);
    if (group === undefined) byFormat.set(name, [weight]);
    else group.push(weight);
  }
  const formats = [...byFormat].map(([name, group]) => ({ name, ...totalOf(group) }));
  return { ...totalOf(weights), formats: formats.sort((one, other) => other.parameters - one.parameters) };
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
  return totalOf([...distinctWeights(graph).values(), ...predictionWeights(text).values(), ...unrun]);
}

function totalOf(weights: readonly Weight[]): QuantisedWeights {
  return {
    parameters: weights.reduce((sum, weight) => sum + elementCount(weight), 0),
    bytes: weights.reduce((sum, weight) => sum + elementCount(weight) * storedBytesPerElement(weight), 0),
  };
}
