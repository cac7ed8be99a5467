import type { KernelFormat } from "./kernel-formats.js";
import type { AttentionFit, DecodeFit, GemmFit } from "./kernels.js";
import type { DeviceClass } from "./record.js";

export interface Fits {
  readonly gemm: GemmFit;
  readonly attention: AttentionFit;
  readonly decode: DecodeFit;
}
export type KernelKind = keyof Fits;

/** Parameters as a row has them: overheads in microseconds, in the order of `parameterNames`. */
export type Parameters = readonly [overhead: number, ...rest: number[]];
export type DeviceRow = readonly [
  kind: KernelKind,
  format: KernelFormat,
  device: string,
  engine: string,
  longest: number,
  spread: number,
  parameters: Parameters,
];
export type PooledRow = readonly [
  kind: KernelKind,
  format: KernelFormat,
  engine: string,
  devices: DeviceClass | "any",
  spread: number,
  parameters: Parameters,
];

export const parameterNames = {
  gemm: ["overhead", "compute", "bandwidth", "small", "cast", "sustained"],
  attention: ["overhead", "compute", "small", "few", "softmax"],
  decode: ["overhead", "bandwidth", "few"],
} as const satisfies { readonly [Kind in KernelKind]: readonly (keyof Fits[Kind])[] };
