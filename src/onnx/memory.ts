import type { Bytes } from "../base/units.js";
import type { Block, Graph } from "../graph/types.js";
import type { LoweredModel } from "./lower.js";

/** What one forward pass is asked to do. */
export interface PassSize {
  readonly batch: number;
  readonly n: number;
  readonly depth: number;
}

const floatBytes = 4;
/** A mask entry is a float32, and two booleans while it is made. */
const maskBytes = floatBytes + 2;

/**
 * ONNX Runtime's peak while it opens a model, in multiples of the parameters: the files, its own copy, and the packed
 * copy of what matrix products multiply by. Between 2.3 and 3.0 in trials with 0.5 and 1.9 GB of float32 parameters.
 */
const openingFactor = 3;

/** Bytes that opening the model takes at its peak. */
export function openingBytes(lowered: Pick<LoweredModel, "parameterBytes">): Bytes {
  return openingFactor * lowered.parameterBytes;
}

/** What stays once a model is open, in multiples of the parameters: between 1.3 and 1.9 in the same trials. */
const residentFactor = 2;

/** Bytes that the model takes once it is open. */
export function residentBytes(lowered: Pick<LoweredModel, "parameterBytes">): Bytes {
  return residentFactor * lowered.parameterBytes;
}

/**
 * Bytes that a forward pass takes beside the parameters, in float32: the caches as they are handed in and, c + n long,
 * as the runtime makes them; and everything that the largest block makes, as if it were all alive at once.
 */
export function passBytes(graph: Graph, size: PassSize): Bytes {
  const point = pointOf(size);
  // The encoder runs in the first pass only.
  const running = graph.instances.filter(({ encodes }) => encodes !== true || size.depth === 0);
  const blocks = new Set(running.map(({ block }) => block));
  let activations = 0;
  for (const block of blocks) activations = Math.max(activations, blockBytes(block, size));
  let caches = 0;
  for (const { block } of graph.instances) {
    for (const { key, value, fixed } of block.caches.values()) {
      for (const { shape } of [key, value]) {
        const elements = shape.reduce((product, dimension) => product * dimension.at(point), 1);
        // What the encoder left is read where it is.
        caches += fixed === true ? elements : elements * (1 + size.depth / (size.depth + size.n));
      }
    }
  }
  return activations + caches * floatBytes;
}

/** An encoder's input is as long as everything that the decoder has seen after the pass, or before it in decode. */
function pointOf({ batch, n, depth }: PassSize): Readonly<Record<"b" | "n" | "c" | "m", number>> {
  return { b: batch, n, c: depth, m: depth === 0 ? n : depth };
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
