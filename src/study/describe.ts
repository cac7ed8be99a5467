import { cacheBytes, stateBytes } from "../cost/cache.js";
import { type Dtype, bytesPerElement } from "../base/units.js";
import { countParameters, countUnrun, weightBytes } from "../cost/parameters.js";
import { checkpointWeights, quantisedWeights } from "../cost/quantised.js";
import { buildGraph } from "../graph/build.js";
import type { Graph } from "../graph/types.js";
import { describeLayer } from "../model/describe-layer.js";
import { type LoadedModel, describeStored } from "../model/stored.js";
import type { ModelDescription, Stack } from "../model/types.js";
import { type Formats, inFormats } from "../variants/dtype.js";
import type { DescribeDocument } from "./documents/describe.js";
import { lawDocument } from "./law-document.js";

export interface DescribeOptions extends Formats {
  /** `transformers`: parameters as the reference implementation's classes have them, without what is never run. */
  readonly preset?: "transformers";
}

/** What a model is: parameters, layers, cache, as one plain document. */
export function describeModel(loaded: LoadedModel, options: DescribeOptions = {}): DescribeDocument {
  const model = inFormats(loaded, options);
  const graph = buildGraph(model);
  const counted = countParameters(graph);
  const unrun = countUnrun(model);
  const published = options.preset === "transformers" ? 0 : unrun.prediction + unrun.buffers;
  const parameters = { ...counted, total: counted.total + published };
  const quantised = quantisedDocument(model);
  return {
    schema: "nsquared/describe@1",
    name: model.name,
    modelType: model.modelType,
    source: model.source,
    parameters,
    unrun,
    contextLength: model.contextLength,
    hiddenSize: model.hiddenSize,
    vocabularySize: model.vocabularySize,
    layers: model.stacks.reduce((sum, stack) => sum + stack.layers.length, 0),
    dtypes: model.dtypes,
    weightBytes:
      model.stored?.bytes ?? quantised?.bytes ?? weightBytes(graph) + published * bytesPerElement(model.dtypes.weights),
    ...(quantised === null ? {} : { quantised }),
    cache: cacheDocument(graph, model.dtypes.kv),
    state: { bytes: stateBytes(graph).at({ b: 1 }), dtypes: stateDtypes(graph) },
    layerKinds: layerKinds(model),
    filled: model.filled.map((fill) => ({ ...fill })),
    notes: [...model.notes, ...storedNotes(model, parameters.total)],
  };
}

/** The checkpoint priced as a GGUF file type, or as its own `quantization_config` has it; null where neither is. */
function quantisedDocument(model: ModelDescription): DescribeDocument["quantised"] | null {
  const { storage } = model;
  if (storage === undefined || storage.kind === "gguf") return null;
  const named =
    storage.kind === "file-type"
      ? { type: storage.type, ...quantisedWeights(model, storage.type) }
      : { type: storage.method, ...checkpoint(model) };
  return { ...named, bitsPerWeight: (8 * named.bytes) / named.parameters };
}

function checkpoint(model: ModelDescription) {
  const { formats, ...total } = checkpointWeights(model);
  return { ...total, formats: [...formats] };
}

function cacheDocument(graph: Graph, dtype: Dtype): DescribeDocument["cache"] {
  const all = cacheBytes(graph);
  const kept = all.fix("n", { c: 0, b: 1 });
  const keysAndValues = all.minus(stateBytes(graph)).fix("n", { c: 0, b: 1 });
  return {
    // An encoder of fixed length leaves the same keys and values for every token.
    bytesPerToken: keysAndValues.at({ n: 1 }) - keysAndValues.at({}),
    expression: kept.toString(),
    keysAndValues: lawDocument(keysAndValues, "n"),
    dtype,
    encoderBytesPerToken: all.at({ m: 1 }) - all.at({}),
  };
}

function stateDtypes(graph: Graph): string[] {
  const found = graph.instances.flatMap(({ block }) => [...block.states.values()].map((state) => state.dtype));
  return [...new Set(found)].sort();
}

/** What the weight files hold, and by how much that differs from the description. */
function storedNotes({ stored }: LoadedModel, described: number): string[] {
  if (stored === undefined) return [];
  const more = stored.parameters - described;
  const difference = `the file holds ${Math.abs(more)} parameters ${more > 0 ? "more" : "fewer"} than the description`;
  return [`weights in ${stored.source}: ${describeStored(stored)}`, ...(more === 0 ? [] : [difference])];
}

function layerKinds(model: ModelDescription): DescribeDocument["layerKinds"] {
  const kinds = new Map<string, { count: number; first: number; stack: Stack["kind"]; description: string }>();
  let index = 0;
  for (const { kind: stack, layers } of model.stacks) {
    for (const layer of layers) {
      const description = describeLayer(layer);
      const key = `${stack} ${description}`;
      const known = kinds.get(key);
      if (known === undefined) kinds.set(key, { count: 1, first: index, stack, description });
      else known.count += 1;
      index += 1;
    }
  }
  return [...kinds.values()];
}
