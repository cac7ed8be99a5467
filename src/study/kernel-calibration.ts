import type { FittedKernel } from "../hardware/fitted.js";
import { kernelOn } from "../hardware/kernel-lookup.js";
import type { KernelFormat } from "../hardware/kernel-formats.js";
import type { DeviceRecord } from "../hardware/record.js";
import { computeDtype } from "../hardware/roofline.js";
import { type KernelReport, fitFamily } from "./kernel-family.js";
import type { KernelTiming } from "./kernel-row.js";
import { kernelFormat } from "./timed-kernel.js";

/**
 * Parameters of kernels.ts for each kind of kernel and format of operands, fitted to timings. What is known of the device or
 * its class is the prior, so that three timings are enough for a start.
 *
 * @param engine whose kernels are the prior
 */
export function fitKernels(timings: readonly KernelTiming[], device: DeviceRecord, engine: string): KernelReport[] {
  const families = new Map<string, KernelTiming[]>();
  for (const timing of timings) {
    const key = `${timing.kind} ${kernelFormat(timing, device)}`;
    const known = families.get(key);
    if (known === undefined) families.set(key, [timing]);
    else known.push(timing);
  }
  return [...families.values()].flatMap((members) => {
    const [first] = members;
    if (first === undefined) return [];
    const prior = kernelOn(first.kind, device, engine, computeDtype(device, first.dtype));
    return [fitFamily(members, device, prior)];
  });
}

const operandNames: Readonly<Record<KernelFormat, string>> = {
  "16": "16 bits",
  "8": "8 bits",
  block8: "8 bits in scaled blocks",
  int8: "8-bit integers",
  "4": "4 bits",
};

/** What a fitted kernel multiplies, in words. */
export function operandsNamed({ format }: Pick<FittedKernel, "format">): string {
  return operandNames[format];
}
