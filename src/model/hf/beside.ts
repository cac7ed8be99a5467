import type { ExtraLinear, ExtraWeight } from "../types.js";

/** What layers and towers have beside their named parts, in short. */

export const linear = (name: string, inWidth: number, outWidth: number, bias = true): ExtraLinear => ({
  name,
  inWidth,
  outWidth,
  bias,
});
export const weight = (name: string, ...shape: number[]): ExtraWeight => ({ name, shape });
/** Weight and bias of a layer norm. */
export const norm2 = (name: string, width: number): ExtraWeight => weight(name, 2, width);
