import type { Bytes } from "../base/units.js";
import type { Block, Cache, Graph } from "../graph/types.js";
import { type LoweredModel, lowerGraph } from "./lower.js";
import { type LoweringOptions, keptBy, keptTokens } from "./scope.js";

/** What one forward pass is asked to do. */
export interface PassSize {
  readonly batch: number;
  readonly n: number;
  readonly depth: number;
  /** Tokens of an encoder's input; as many as n, or in decode as came before, where absent. */
  readonly encoder?: number;
}

const floatBytes = 4;
/** A mask entry is a float32, and two booleans while it is made. */
const maskBytes = floatBytes + 2;

/**
 * Bytes of a model's parameters in the format that they are stored in for a provider, without tables for positions.
 *
 * @throws NsquaredError as `lowerGraph` does
 */
export function parameterBytesOf(graph: Graph, options: Pick<LoweringOptions, "weights" | "provider"> = {}): Bytes {
  return lowerGraph(graph, { positions: 1, ...options }).parameterBytes;
}

/**
 * ONNX Runtime's peak while it opens a model, in multiples of the parameters: the files, its own copy, and the packed
 * copy of what matrix products multiply by. Between 2.3 and 3.0 in trials with 0.5 and 1.9 GB of float32 parameters.
 */
const openingFactor = 3;

/** Bytes that opening the model takes at its peak. */
export function openingBytes(lowered: Pick<LoweredModel, "parameterBytes">): Bytes {
  return openingFactor * lowered.parameterBytes;
}

/**
 * What stays once a model is open, in multiples of the parameters: between 1.3 and 1.9 in the same trials. This guards against
 * running out of memory, so that it lies above them all; predictions say their middle (`onnxMemory` of hardware/engine.ts).
 */
const residentFactor = 2;

/** Bytes that the model takes once it is open. */
export function residentBytes(lowered: Pick<LoweredModel, "parameterBytes">): Bytes {
  return residentFactor * lowered.parameterBytes;
}

/**
 * Bytes that a forward pass takes beside the parameters, in float32: the caches as they are handed in and as the runtime makes
 * them, each as long as its span keeps it, once where a token meets its cache in place; and everything that the largest block makes, as if it were all alive at once.
 */
export function passBytes(graph: Graph, size: PassSize): Bytes {
  // The encoder runs in the first pass only.
  const running = graph.instances.filter(({ encodes }) => encodes !== true || size.depth === 0);
  const blocks = new Set(running.map(({ block }) => block));
  let activations = 0;
  for (const block of blocks) activations = Math.max(activations, blockBytes(block, size));
  let caches = 0;
  for (const { block } of graph.instances) {
    const inPlace = meetsInPlace(block, graph, size);
    for (const cache of block.caches.values()) caches += cacheElements(cache, size, inPlace);
  }
  return activations + caches * floatBytes;
}

/** Whether one new token meets a full cache where it is: fused attention without a bias for each distance. */
function meetsInPlace({ modules }: Block, { options }: Graph, { n }: PassSize): boolean {
  const biased = modules.some(
    ({ description }) => description.kind === "attention" && description.relativePositions !== undefined,
  );
  return n === 1 && options.attention === "fused" && !biased;
}

/** Keys and values as they are handed in and as they are handed on: the new ones alone where the others stay in place. */
function cacheElements({ key, value, span, fixed }: Cache, size: PassSize, inPlace: boolean): number {
  const point = pointOf(size);
  const both = [key, value].map(({ shape }) => shape.map((dimension) => dimension.at(point)));
  // What the encoder left is read where it is.
  if (fixed === true)
    return both.reduce((sum, shape) => sum + shape.reduce((product, length) => product * length, 1), 0);
  const kept = keptBy(span ?? { kind: "full" });
  // Latents, indexers' keys and whatever has values of another size are joined to what is new.
  const alone = inPlace && kept.kind === "all" && span?.kind === "full" && both[0]?.at(-1) === both[1]?.at(-1);
  const tokens = keptTokens(kept, size.depth) + (alone ? size.n : keptTokens(kept, size.depth + size.n));
  return both.reduce((sum, [batch = 0, heads = 0, , dim = 0]) => sum + batch * heads * dim * tokens, 0);
}

/** Unless it is stated, an encoder's input is as long as everything that the decoder has seen after the pass, or before it in decode. */
function pointOf({ batch, n, depth, encoder }: PassSize): Readonly<Record<"b" | "n" | "c" | "m", number>> {
  return { b: batch, n, c: depth, m: encoder ?? (depth === 0 ? n : depth) };
}

function blockBytes(block: Block, size: PassSize): Bytes {
  const { batch, n, depth } = size;
  const point = pointOf(size);
  const appended = new Set(block.operators.flatMap(({ kind, output }) => (kind === "append" ? [output] : [])));
  let bytes = 0;
  for (const [name, { shape }] of block.values) {
    if (appended.has(name)) continue;
    bytes += shape.reduce((product, dimension) => product * dimension.at(point), 1) * floatBytes;
  }
  for (const operator of block.operators) {
    if (operator.kind === "scores") bytes += n * (depth + n) * maskBytes;
    // GroupQueryAttention's kernel without scores in memory knows no softcap.
    if (operator.kind === "attention" && operator.softcap !== null) {
      bytes += batch * operator.heads * n * (depth + n) * floatBytes;
    }
  }
  return bytes;
}
