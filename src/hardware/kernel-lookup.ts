import type { Dtype } from "../base/units.js";
import { type Efficiency, type OperatorClass, classEfficiency } from "./efficiency.js";
import { engineSpreads } from "./kernel-fits.js";
import { type KernelFormat, formatOf, nearestFormats } from "./kernel-formats.js";
import { type Fits, type KernelKind } from "./kernel-rows.js";
import { type PooledFit, kernelFits, otherVendorSpread, tabledVendor } from "./kernel-tables.js";
import type { AttentionFit, GemmFit } from "./kernels.js";
import type { DeviceRecord } from "./record.js";

/** A kernel's parameters on a device, how sure they are, and what they rest on. */
export interface Found<Fit> {
  readonly fit: Fit;
  /** Standard deviation of log seconds. */
  readonly spread: number;
  /** `kernels`: this device's own tables. `class`: other devices'. */
  readonly basis: "kernels" | "class";
  /** Most tokens, or rows of a product, among this device's own timings. */
  readonly longest?: number;
}

/** Tables of other engines are taken where an engine has none of its own, in this order. */
const engines = ["vllm", "tensorrt-llm", "sglang", "other"] as const;

/**
 * Standard deviation of log seconds between engines' kernels on one and the same device, as `npm run fit-kernels` finds it where
 * tables have several. Of linear mixers there is one engine's table: attention's spread stands for theirs.
 */
const otherEngineSpread: Readonly<Record<KernelKind, number>> = {
  ...engineSpreads,
  "delta-heads": engineSpreads.attention,
  "delta-channels": engineSpreads.attention,
  decay: engineSpreads.attention,
};
/** So do those of operands of the same width in another format. */
const otherFormatSpread = 0.1;

const known = new Map<string, Found<Fits[KernelKind]>>();

/**
 * Products of llama.cpp on GPUs: integers in blocks (mmq), or 16 bits with 16-bit sums. No tables of them are published, and
 * those of other engines' kernels say little of them. How near they come to the peaks is in llama.cpp's factors. Casting reads
 * 32 bits of each input and writes 9 (quantize_mmq_q8_1): 2.5 times its bytes in 16 bits.
 */
export const ggmlKernels = "ggml";
const ggmlProducts: Found<GemmFit> = {
  fit: { overhead: 6e-6, compute: 0.75, bandwidth: 0.85, small: 0.1, cast: 2.5, sustained: 0 },
  spread: 0.2,
  basis: "class",
};

/**
 * Its fused attention: tiles of few queries that pack the heads of a group (fattn-mma-f16), so that batches of 512 lose little.
 * The share of the peak is the middle of what sweeps over length and depth show of five NVIDIA devices (0.5 to 0.9 with heads 128
 * wide, 0.3 to 0.5 with 64: a pair's exponential weighs as much as its products there).
 */
const ggmlAttention: Found<AttentionFit> = {
  fit: { overhead: 6e-6, compute: 0.7, small: 0.25, few: 0.3, softmax: 0.8 },
  spread: 0.25,
  basis: "class",
};

/** Parameters of a kind of kernel on a device under an engine's kernels. */
export function kernelOn<Kind extends KernelKind>(
  kind: Kind,
  device: DeviceRecord,
  engine: string,
  dtype: Dtype,
): Found<Fits[Kind]> {
  const format = formatOf(dtype);
  const fitted = device.fitted?.kernels.find((one) => one.kind === kind && one.format === format);
  if (fitted !== undefined)
    return { fit: fitted.fit as Fits[Kind], spread: fitted.spread, basis: "kernels", longest: fitted.longest };
  if (engine === ggmlKernels && kind === "gemm") return ggmlProducts as Found<Fits[Kind]>;
  if (engine === ggmlKernels && kind === "attention") return ggmlAttention as Found<Fits[Kind]>;
  const key = `${kind} ${device.name} ${device.class} ${engine} ${format}`;
  const found = known.get(key) ?? lookUp(kind, device, engine, format, dtype);
  if (known.size > mostKnown) known.clear();
  known.set(key, found);
  return found as Found<Fits[Kind]>;
}

/** Records of users come and go. */
const mostKnown = 5000;

function lookUp(
  kind: KernelKind,
  device: DeviceRecord,
  engine: string,
  format: KernelFormat,
  dtype: Dtype,
): Found<Fits[KernelKind]> {
  const order = [engine, ...engines.filter((name) => name !== engine)];
  for (const near of nearestFormats[format]) {
    const own = kernelFits.devices.filter(
      (one) => one.kind === kind && one.format === near && one.device === device.name,
    );
    for (const name of order) {
      const exact = own.find((one) => one.engine === name);
      if (exact === undefined) continue;
      const more = Math.hypot(name === engine ? 0 : otherEngineSpread[kind], near === format ? 0 : otherFormatSpread);
      return { fit: exact.fit, spread: Math.hypot(exact.spread, more), basis: "kernels", longest: exact.longest };
    }
  }
  return pooledFor(kind, device, engine, format) ?? { ...assumed(kind, device, dtype), basis: "class" };
}

/**
 * The middle of other devices under the same engine, of its class if there are two, in this format or the nearest; then under
 * any engine: another format's kernels of one engine are nearer than other vendors' of the same. Null where GPUs say nothing
 * of it.
 */
function pooledFor(
  kind: KernelKind,
  device: DeviceRecord,
  engine: string,
  format: KernelFormat,
): Found<Fits[KernelKind]> | null {
  if (device.class === "apple-gpu" || device.class === "cpu" || device.class === "accelerator") return null;
  const all = kernelFits.pooled.filter((one) => one.kind === kind);
  for (const kernels of [engine, "any"]) {
    // Twice as many bits say less than other vendors' kernels do: they come last.
    const formats = kernels === "any" ? new Set([...nearestFormats[format], "16"]) : nearestFormats[format];
    for (const near of formats) {
      const of = (name: string): PooledFit | undefined =>
        all.find((one) => one.format === near && one.engine === kernels && one.class === name);
      const found = of(device.class) ?? of("any");
      if (found === undefined) continue;
      const vendor = kernels === "any" && device.vendor !== tabledVendor ? otherVendorSpread : 0;
      const spread = Math.hypot(found.spread, near === format ? 0 : otherFormatSpread, vendor);
      return { fit: found.fit, spread, basis: "class" };
    }
  }
  return null;
}

/** Parameters where no kernel tables exist: the class's percentiles over the roofline, and the device's own launches. */
function assumed(
  kind: KernelKind,
  device: DeviceRecord,
  dtype: Dtype,
): { readonly fit: Fits[KernelKind]; readonly spread: number } {
  const overhead = device.launch.value;
  const of = (operators: OperatorClass): Efficiency => classEfficiency(operators, device.class, dtype);
  switch (kind) {
    case "gemm": {
      const { compute, bandwidth, logSpread: spread } = of("gemm");
      return { fit: { overhead, compute, bandwidth, small: 0, cast: 0, sustained: 0 }, spread };
    }
    case "attention": {
      const { compute, logSpread: spread } = of("attention");
      return { fit: { overhead, compute, small: 0, few: 0, softmax: 0 }, spread };
    }
    case "decode": {
      const { bandwidth, logSpread: spread } = of("decode-attention");
      return { fit: { overhead, bandwidth, few: 0 }, spread };
    }
    case "delta-heads":
    case "delta-channels":
    case "decay": {
      const { bandwidth, logSpread: spread } = of("vector");
      return { fit: { overhead, slow: 1 / bandwidth, chain: 0 }, spread };
    }
  }
}
