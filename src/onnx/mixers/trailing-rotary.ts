import type { Rotary } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { rotaryTables } from "../rotary-embedding.js";

/** Cosines and sines for some positions, [positions, 1, dims / 2] each. */
export interface Angles {
  readonly dims: number;
  readonly cos: string;
  readonly sin: string;
}

/** @param places positions, int64 [t] */
export function anglesAt(e: Emitter, rotary: Rotary, places: string): Angles {
  const [cos = "", sin = ""] = rotaryTables(rotary, e.scope).map((table) =>
    e.node("Unsqueeze", [e.node("Gather", [table, places]), e.list([1])]),
  );
  return { dims: rotary.dims, cos, sin };
}

/** The last dimensions of every head rotated by pairs of neighbours, or back: [b, t, heads·dim] → the same. */
export function turnLast(
  e: Emitter,
  x: string,
  [heads, dim]: readonly [number, number],
  { dims, cos, sin }: Angles,
  back = false,
): string {
  const [still = "", turning = ""] =
    dims === dim
      ? ["", e.reshape(x, [0, 0, heads, dim])]
      : e.split(e.reshape(x, [0, 0, heads, dim]), [dim - dims, dims]);
  const pairs = e.reshape(turning, [0, 0, heads, dims / 2, 2]);
  const [first = "", second = ""] = e.split(pairs, [1, 1]).map((part) => e.node("Squeeze", [part, e.list([4])]));
  const across = (to: string): string => e.multiply(to, sin);
  const [a, b] = back
    ? [e.add(e.multiply(first, cos), across(second)), e.subtract(e.multiply(second, cos), across(first))]
    : [e.subtract(e.multiply(first, cos), across(second)), e.add(e.multiply(second, cos), across(first))];
  const beside = [a, b].map((part) => e.node("Unsqueeze", [part, e.list([4])]));
  const turned = e.reshape(e.concat(beside, 4), [0, 0, heads, dims]);
  return e.reshape(still === "" ? turned : e.concat([still, turned], 3), [0, 0, heads * dim]);
}
