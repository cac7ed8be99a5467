import { cacheBytes } from "../cost/cache.js";
import { countParameters, weightBytes } from "../cost/parameters.js";
import { buildGraph } from "../graph/build.js";
import { describeLayer } from "../model/describe-layer.js";
import type { ModelDescription } from "../model/types.js";
import type { DescribeDocument } from "./documents/describe.js";

/** What a model is: parameters, layers, cache, as one plain document. */
export function describeModel(model: ModelDescription): DescribeDocument {
  const graph = buildGraph(model);
  const cache = cacheBytes(graph).fix("n", { c: 0, b: 1 });
  return {
    schema: "nsquared/describe@1",
    name: model.name,
    modelType: model.modelType,
    source: model.source,
    parameters: countParameters(graph),
    contextLength: model.contextLength,
    hiddenSize: model.hiddenSize,
    vocabularySize: model.vocabularySize,
    layers: model.stacks.reduce((sum, stack) => sum + stack.layers.length, 0),
    dtypes: model.dtypes,
    weightBytes: weightBytes(graph),
    cache: { bytesPerToken: cache.at({ n: 1 }), expression: cache.toString() },
    layerKinds: layerKinds(model),
    filled: model.filled.map((fill) => ({ ...fill })),
    notes: [...model.notes],
  };
}

function layerKinds(model: ModelDescription): DescribeDocument["layerKinds"] {
  const kinds = new Map<string, { count: number; first: number; description: string }>();
  let index = 0;
  for (const stack of model.stacks) {
    for (const layer of stack.layers) {
      const description = describeLayer(layer);
      const known = kinds.get(description);
      if (known === undefined) kinds.set(description, { count: 1, first: index, description });
      else known.count += 1;
      index += 1;
    }
  }
  return [...kinds.values()];
}
