import type { TimedKernel } from "../hardware/kernel-fitting.js";
import { type KernelFormat, formatOf } from "../hardware/kernel-formats.js";
import type { DeviceRecord } from "../hardware/record.js";
import { computeDtype, peakOf } from "../hardware/roofline.js";
import type { AttentionTiming, GemmTiming, KernelTiming } from "./kernel-row.js";

/** Operands that the kernels multiply on a device. */
export function kernelFormat(timing: KernelTiming, device: DeviceRecord): KernelFormat {
  const runs = computeDtype(device, timing.dtype);
  return timing.kind === "gemm" && timing.blocked && runs === "float8" ? "block8" : formatOf(runs);
}

/** A timing beside what the data sheet says of it, as `rooflineTime` has it. */
export function timedKernel(timing: KernelTiming, device: DeviceRecord): TimedKernel {
  return timing.kind === "gemm" ? timedProduct(timing, device) : timedAttention(timing, device);
}

function timedProduct({ m, n, k, dtype, elementBytes, seconds }: GemmTiming, device: DeviceRecord): TimedKernel {
  const runs = computeDtype(device, dtype);
  const bandwidth = device.bandwidth.value;
  return {
    kind: "gemm",
    seconds,
    peak: (2 * m * n * k) / peakOf(device, runs).value,
    memory: (elementBytes * (m * k + n * k) + 2 * m * n) / bandwidth,
    cast: formatOf(runs) === "16" ? 0 : (2 * m * k) / bandwidth,
    m,
    n,
    k,
    queries: 0,
    heads: 0,
    readers: 0,
    width: 0,
  };
}

function timedAttention(timing: AttentionTiming, device: DeviceRecord): TimedKernel {
  const { kind, seconds, batch, heads, kvHeads, keyDim, valueDim, queries, keys, causal, cacheBytes } = timing;
  const pairs = causal ? queries * (keys - queries) + (queries * (queries + 1)) / 2 : queries * keys;
  const width = keyDim + valueDim;
  const cached = batch * kvHeads * keys * width * cacheBytes;
  return {
    kind,
    seconds,
    peak: (2 * batch * heads * pairs * width) / peakOf(device, timing.dtype).value,
    memory: (cached + 2 * batch * queries * heads * width) / device.bandwidth.value,
    cast: 0,
    m: 0,
    n: 0,
    k: 0,
    queries,
    heads: batch * heads,
    readers: batch * kvHeads,
    width,
  };
}
