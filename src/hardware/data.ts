import { tokens } from "../base/format.js";
import type { Dtype } from "../base/units.js";
import type { Engine } from "./engine.js";
import { kernelOn } from "./kernel-lookup.js";
import { formatOf } from "./kernel-formats.js";
import type { DeviceRecord } from "./record.js";
import { computeDtype } from "./roofline.js";

/**
 * What predicted seconds rest on. `calibrated`: kernels measured on this very machine. `kernels`: published kernel timings
 * of this device. `end-to-end`: those of its class, corrected by published runs of the engine. `class`: its class alone.
 */
export const dataBases = ["calibrated", "kernels", "end-to-end", "class"] as const;
export type DataBasis = (typeof dataBases)[number];

/** What seconds rest on, and the lengths that were measured for it; null for a data sheet. */
export interface Data {
  readonly basis: DataBasis;
  readonly range: { readonly from: number; readonly to: number } | null;
}

export function dataOf(device: DeviceRecord, engine: Engine, dtype: Dtype): Data {
  const { calibration } = device;
  if (calibration !== null && engine.basis === "calibrated") {
    return { basis: "calibrated", range: { from: 1, to: calibration.longest } };
  }
  const runs = computeDtype(device, dtype);
  const sampled = device.fitted?.engines.find((one) => one.engine === engine.name);
  if (sampled !== undefined) return { basis: "end-to-end", range: sampled.range };
  const timed = device.fitted?.kernels.filter((one) => one.format === formatOf(runs)) ?? [];
  if (timed.length > 0) {
    return { basis: "kernels", range: { from: 1, to: Math.max(...timed.map((one) => one.longest)) } };
  }
  const products = kernelOn("gemm", device, engine.kernels, runs);
  const attention = kernelOn("attention", device, engine.kernels, runs);
  if (products.basis === "kernels" && attention.basis === "kernels") {
    return { basis: "kernels", range: { from: 1, to: attention.longest ?? 1 } };
  }
  return engine.basis === "end-to-end" ? { basis: "end-to-end", range: engine.range } : { basis: "class", range: null };
}

/** The same in words. */
export function dataText({ basis, range }: Data, device: string, engine: string): string {
  const to = range === null ? "" : ` up to ${tokens(range.to)} tokens`;
  const words: Readonly<Record<DataBasis, string>> = {
    calibrated: `calibrated on this machine${to}`,
    kernels: `calibrated on kernels of ${device}${to}`,
    "end-to-end": `calibrated on runs of ${engine}${to}`,
    class: "from its data sheet and what devices of its class reach",
  };
  return words[basis];
}
