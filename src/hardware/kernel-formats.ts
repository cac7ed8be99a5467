import { type Dtype, bytesPerElement } from "../base/units.js";

/** Bits of the operands that are multiplied. */
export type Bits = "16" | "8" | "4";

export function bitsOf(dtype: Dtype): Bits {
  const bytes = bytesPerElement(dtype);
  return bytes >= 2 ? "16" : bytes >= 1 ? "8" : "4";
}

/**
 * Operands that kernels of their own multiply: `8` is float8 with a scale per tensor or row, `block8` float8 with a scale per
 * block, `int8` integers.
 */
export const kernelFormats = ["16", "8", "block8", "int8", "4"] as const;
export type KernelFormat = (typeof kernelFormats)[number];

export function formatOf(dtype: Dtype): KernelFormat {
  return dtype === "int8" ? "int8" : bitsOf(dtype);
}

/** Formats whose kernels stand for one that was not timed. */
export const nearestFormats: Readonly<Record<KernelFormat, readonly KernelFormat[]>> = {
  "16": ["16"],
  "8": ["8", "block8", "int8"],
  block8: ["block8", "8"],
  int8: ["int8", "8", "block8"],
  "4": ["4"],
};
