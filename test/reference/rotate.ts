import type { Rotary } from "../../src/model/types.js";
import { type Vector, at } from "./vectors.js";

/** Turns pairs of the first `dims` dimensions by position·theta^(−2i/dims). */
export function rotate(head: Vector, position: number, rotary: Rotary | null): Vector {
  if (rotary === null) return head;
  const result = head.slice();
  const half = rotary.dims / 2;
  for (let i = 0; i < half; i += 1) {
    const [first, second] = rotary.interleaved ? [2 * i, 2 * i + 1] : [i, i + half];
    const angle = position * rotary.theta ** ((-2 * i) / rotary.dims);
    result[first] = at(head, first) * Math.cos(angle) - at(head, second) * Math.sin(angle);
    result[second] = at(head, second) * Math.cos(angle) + at(head, first) * Math.sin(angle);
  }
  return result;
}
