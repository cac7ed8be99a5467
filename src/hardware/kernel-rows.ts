import type { KernelFormat } from "./kernel-formats.js";
import type { AttentionFit, DecodeFit, GemmFit, MixerFit } from "./kernels.js";
import type { DeviceClass } from "./record.js";

export interface Fits {
  readonly gemm: GemmFit;
  readonly attention: AttentionFit;
  readonly decode: DecodeFit;
  /** Chunked mixers: delta rules with a decay per head and per channel, and those without (Mamba 2, linear attention). */
  readonly "delta-heads": MixerFit;
  readonly "delta-channels": MixerFit;
  readonly decay: MixerFit;
}
export type KernelKind = keyof Fits;
export const mixerKinds = ["delta-heads", "delta-channels", "decay"] as const satisfies readonly KernelKind[];
export type MixerKind = (typeof mixerKinds)[number];

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
  "delta-heads": ["overhead", "slow", "chain"],
  "delta-channels": ["overhead", "slow", "chain"],
  decay: ["overhead", "slow", "chain"],
} as const satisfies { readonly [Kind in KernelKind]: readonly (keyof Fits[Kind])[] };
