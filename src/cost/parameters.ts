import { bytesPerElement } from "../base/units.js";
import type { Graph, Weight } from "../graph/types.js";

export interface ParameterCount {
  /** All parameters, shared ones once. */
  readonly total: number;
  /** Parameters that one token passes through. */
  readonly active: number;
  /** Rows of look-up tables. */
  readonly embedding: number;
}

/** The model's distinct weights by full name: `scope.local`. Shared scopes give a weight once. */
export function distinctWeights(graph: Graph): Map<string, Weight> {
  const weights = new Map<string, Weight>();
  for (const { block, scope } of graph.instances) {
    for (const [name, weight] of block.weights) weights.set(`${scope}.${name}`, weight);
  }
  return weights;
}

export function elementCount(weight: Weight): number {
  return weight.shape.reduce((product, size) => product * size, 1);
}

export function countParameters(graph: Graph): ParameterCount {
  const embedded = new Set<string>();
  /** Share of a weight that one token passes through: chosen of all experts. */
  const shares = new Map<string, number>();
  for (const { block, scope } of graph.instances) {
    // No token of a text passes a tower for images or sound.
    const passed = block.values.get(block.output)?.shape[1];
    if (passed?.isZero === true) for (const name of block.weights.keys()) shares.set(`${scope}.${name}`, 0);
    for (const operator of block.operators) {
      if (operator.kind === "embed") embedded.add(`${scope}.${operator.table}`);
      if (operator.kind !== "experts") continue;
      for (const name of [...operator.weights, ...operator.biases]) {
        shares.set(`${scope}.${name}`, operator.chosen / operator.experts);
      }
    }
  }
  let total = 0;
  let active = 0;
  let embedding = 0;
  for (const [name, weight] of distinctWeights(graph)) {
    const elements = elementCount(weight);
    total += elements;
    active += elements * (shares.get(name) ?? 1);
    if (embedded.has(name)) embedding += elements;
  }
  return { total, active: Math.round(active), embedding };
}

/** Bytes the weights take in memory, shared ones once. */
export function weightBytes(graph: Graph): number {
  let bytes = 0;
  for (const weight of distinctWeights(graph).values()) bytes += elementCount(weight) * bytesPerElement(weight.dtype);
  return bytes;
}
