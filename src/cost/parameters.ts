import { bytesPerElement } from "../base/units.js";
import { buildGraph } from "../graph/build.js";
import type { Graph, Weight } from "../graph/types.js";
import type { ModelDescription } from "../model/types.js";

export interface ParameterCount {
  /** All parameters, shared ones once. */
  readonly total: number;
  /** Parameters that one token passes through. */
  readonly active: number;
  /** Rows of look-up tables. */
  readonly embedding: number;
}

/** Counting, bytes and formats of one model all ask for its weights. */
const distinct = new WeakMap<Graph, ReadonlyMap<string, Weight>>();

/** The model's distinct weights by full name: `scope.local`. Shared scopes give a weight once. */
export function distinctWeights(graph: Graph): ReadonlyMap<string, Weight> {
  const known = distinct.get(graph);
  if (known !== undefined) return known;
  const weights = new Map<string, Weight>();
  for (const { block, scope } of graph.instances) {
    for (const [name, weight] of block.weights) weights.set(`${scope}.${name}`, weight);
  }
  distinct.set(graph, weights);
  return weights;
}

export function elementCount(weight: Pick<Weight, "shape">): number {
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

/** Bytes that one element of a weight takes, its share of scales included. */
export function storedBytesPerElement(weight: Weight): number {
  return weight.bits === undefined ? bytesPerElement(weight.dtype) : weight.bits / 8;
}

/** What a published checkpoint holds beside the model that is run. */
export interface UnrunCount {
  /** Layers that predict tokens further ahead. */
  readonly prediction: number;
  /** Balancing biases of routers, tables of fixed routes, projections that nothing uses. */
  readonly buffers: number;
}

/** Parameters of the checkpoint that inference on text does not run through. */
export function countUnrun(model: ModelDescription): UnrunCount {
  const elements = (weights: readonly Pick<Weight, "shape">[]): number =>
    weights.reduce((sum, weight) => sum + elementCount(weight), 0);
  return {
    prediction: elements([...predictionWeights(model).values()]),
    buffers: elements(model.unrun?.weights ?? []),
  };
}

const predicting = new WeakMap<ModelDescription, ReadonlyMap<string, Weight>>();

/** Weights of the layers for prediction by name; none where the checkpoint has none. */
export function predictionWeights(model: ModelDescription): ReadonlyMap<string, Weight> {
  const known = predicting.get(model) ?? weightsOfPrediction(model);
  predicting.set(model, known);
  return known;
}

function weightsOfPrediction(model: ModelDescription): ReadonlyMap<string, Weight> {
  const stack = model.unrun?.prediction;
  if (stack === undefined) return new Map();
  const decoder = model.stacks.findLast(({ kind }) => kind === "decoder");
  const { storage } = model;
  const graph = buildGraph({
    ...model,
    stacks: [stack],
    head: { ...model.head, kind: "none" },
    ...(storage?.kind === "quantised" ? { storage: { ...storage, layersBefore: decoder?.layers.length ?? 0 } } : {}),
  });
  const layers = graph.instances.filter(({ layer }) => layer !== null);
  return new Map(
    [...distinctWeights({ ...graph, instances: layers })].map(([name, weight]) => [`prediction.${name}`, weight]),
  );
}

/** Bytes the weights take in memory, shared ones once. */
export function weightBytes(graph: Graph): number {
  let bytes = 0;
  for (const weight of distinctWeights(graph).values()) bytes += elementCount(weight) * storedBytesPerElement(weight);
  return bytes;
}
