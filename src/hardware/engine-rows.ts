import type { OperatorClass } from "./efficiency.js";
import type { Bits } from "./kernel-formats.js";
import type { DeviceRecord } from "./record.js";

/** What published runs of an engine show beyond its kernels; perStep in microseconds, factors in the order of `factored`. */
export type EngineRow = readonly [
  engine: string,
  /** A device's name, its class, or `any`. */
  devices: string,
  bits: Bits | "any",
  runs: number,
  /** Of prefill and of decode: the spread common to all classes, and the share of the classes' own that counts. */
  spreads: readonly [prefill: readonly [number, number], decode: readonly [number, number]],
  perStep: number,
  factors: readonly number[],
];

/** Devices and bits whose rows speak for a device, the most particular first: its own, its class's, those of these bits, the engine's at all. */
export function rowsFor(
  device: Pick<DeviceRecord, "name" | "class">,
  bits: Bits,
): readonly (readonly [devices: string, bits: Bits | "any"])[] {
  return [
    [device.name, bits],
    [device.class, bits],
    ["any", bits],
    [device.class, "any"],
    ["any", "any"],
  ];
}

/** Classes that a row has factors of; copies go with the vectors. */
export const factored = [
  "gemm",
  "attention",
  "gemv",
  "decode-attention",
  "vector",
  "overhead",
  "network",
] as const satisfies readonly OperatorClass[];
