import { type Dtype, bytesPerElement } from "../base/units.js";
import type { AttentionFit, DecodeFit, GemmFit } from "./kernels.js";
import type { DeviceClass } from "./record.js";

/** Bits of the operands that are multiplied. */
export type Bits = "16" | "8" | "4";

export function bitsOf(dtype: Dtype): Bits {
  const bytes = bytesPerElement(dtype);
  return bytes >= 2 ? "16" : bytes >= 1 ? "8" : "4";
}

export interface Fits {
  readonly gemm: GemmFit;
  readonly attention: AttentionFit;
  readonly decode: DecodeFit;
}
export type KernelKind = keyof Fits;

/** Parameters as a row has them: overheads in microseconds, in the order of the interfaces of kernels.ts. */
export type Parameters = readonly [overhead: number, ...rest: number[]];
export type DeviceRow = readonly [
  kind: KernelKind,
  bits: Bits,
  device: string,
  engine: string,
  longest: number,
  spread: number,
  parameters: Parameters,
];
export type PooledRow = readonly [
  kind: KernelKind,
  bits: Bits,
  devices: DeviceClass | "any",
  spread: number,
  parameters: Parameters,
];
