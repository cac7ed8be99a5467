import type { OperatorClass } from "./efficiency.js";
import type { Bits } from "./kernel-formats.js";
import type { DeviceClass, DeviceRecord } from "./record.js";

type Stated = readonly [common: number, classes: number];

/** What published runs of an engine show beyond its kernels; perStep in microseconds, factors in the order of `factored`. */
export type EngineRow = readonly [
  engine: string,
  /** A device's name, its class, or `any`. */
  devices: string,
  bits: Bits | "any",
  runs: number,
  /** New tokens of the shortest run, and the longest context of any. */
  lengths: readonly [from: number, to: number],
  /** Of prefill, and of decode of one sequence and of several: the spread common to all classes, and the share of the classes' own that counts. */
  spreads: readonly [prefill: Stated, decode: Stated, batched: Stated],
  perStep: number,
  factors: readonly number[],
  /** Tera-operations per joule that products reach (power.ts); 0 where runs do not say. */
  sustained: number,
];

/** Bytes/s beyond which memory is stacked on the chip. */
const stacked = 0.9e12;

/**
 * The class whose rows speak for a device: cards for datacenters with GDDR memory (A40, L40S) are the chips of workstation
 * cards, and run as those do.
 */
export function kinOf({ class: own, bandwidth }: Pick<DeviceRecord, "class" | "bandwidth">): DeviceClass {
  return own === "datacenter-gpu" && bandwidth.value < stacked ? "workstation-gpu" : own;
}

/** Devices and bits whose rows speak for a device, the most particular first: its own, its class's, those of these bits, the engine's at all. */
export function rowsFor(
  device: Pick<DeviceRecord, "name" | "class" | "bandwidth">,
  bits: Bits,
): readonly (readonly [devices: string, bits: Bits | "any"])[] {
  const kin = kinOf(device);
  return [
    [device.name, bits],
    [kin, bits],
    ["any", bits],
    [kin, "any"],
    ["any", "any"],
  ];
}

/**
 * What runs of other formats say of one that an engine has no runs of is less sure by this much: profiles of vLLM's and
 * TensorRT-LLM's runs at 16 bits are 20 to 40 % off at 8 and 4.
 */
export const otherBitsSpread = 0.35;

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
