import { type Dtype, bytesPerElement } from "../base/units.js";
import type { OperatorCost } from "../cost/table.js";

/** Elements of the quantised weights of a product, and their bytes; 0 where they have 16 bits or more. */
function quantised({ operator, block }: OperatorCost): { readonly elements: number; readonly bytes: number } {
  const names = operator.kind === "linear" ? [operator.weight] : operator.kind === "experts" ? operator.weights : [];
  let [elements, bytes] = [0, 0];
  for (const name of names) {
    const weight = block.weights.get(name);
    const bits = weight === undefined ? 16 : (weight.bits ?? 8 * bytesPerElement(weight.dtype));
    if (weight === undefined || bits >= 16) continue;
    const own = weight.shape.reduce((product, size) => product * size, 1);
    elements += own;
    bytes += (own * bits) / 8;
  }
  return { elements, bytes };
}

/** llama.cpp on GPUs multiplies quantised weights by activations that it casts to 8 bits (ggml-cuda, mmq). */
export function quantisedToInt8(row: OperatorCost): Dtype | null {
  return quantised(row).elements > 0 ? "int8" : null;
}

/** Unpacked weights are written and read in 16 bits. */
export function unpackedTo16(row: OperatorCost): number {
  return 4 * quantised(row).elements;
}

/**
 * Its kernels for quantised weights (ggml-cuda/mmq.cuh) fetch a tile of weights, wait, then multiply it by a tile of 128 rows,
 * with one block on each multiprocessor, so that nothing hides the fetch.
 */
export function tiledQuantised(row: OperatorCost): number {
  return quantised(row).bytes;
}
