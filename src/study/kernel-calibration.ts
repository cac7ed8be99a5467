import {
  type FittedParameters,
  type NamedParameters,
  type TimedKernel,
  fitParameters,
  kernelSeconds,
} from "../hardware/kernel-fitting.js";
import type { FittedKernel } from "../hardware/fitted.js";
import { type Found, kernelOn } from "../hardware/kernel-lookup.js";
import { type Fits, type KernelFormat, type KernelKind, formatOf } from "../hardware/kernel-rows.js";
import type { DeviceRecord } from "../hardware/record.js";
import { computeDtype, peakOf } from "../hardware/roofline.js";
import { median } from "../math/median.js";
import type { AttentionTiming, GemmTiming, KernelTiming } from "./kernel-samples.js";

/** A fit with what it improved: medians of |log(predicted / timed)|. */
export interface KernelReport {
  readonly kernel: FittedKernel;
  readonly before: number;
  readonly after: number;
}

/** Timings of one shape vary by a few percent from driver to driver. */
const leastSpread = 0.03;

/** What is known of a kind of kernels before a device's own timings. */
export type Prior = Pick<Found<Fits[KernelKind]>, "fit" | "spread">;

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

/** Timings of one kind and format, about what is known before them. */
export function fitFamily(members: readonly KernelTiming[], device: DeviceRecord, prior: Prior): KernelReport {
  const [first] = members;
  if (first === undefined) throw new Error("no family is empty");
  const { kind } = first;
  const known: NamedParameters = { ...prior.fit };
  const timed = members.map((timing) => timedKernel(timing, device));
  const errors = (parameters: NamedParameters): number[] =>
    timed.map((one) => Math.abs(Math.log(kernelSeconds(kind, parameters, one) / one.seconds)));
  const { parameters, open }: FittedParameters = fitParameters(kind, timed, known);
  const after = errors(parameters);
  return {
    kernel: fittedKernel(
      kind,
      {
        format: kernelFormat(first, device),
        rows: members.length,
        // What the timings leave open of the rates stays in the interval: one of the shares is what large kernels rest on.
        spread: Math.max(leastSpread, Math.hypot(robustDeviation(after), Math.min(open, prior.spread))),
        longest: Math.max(...members.map(lengthOf)),
      },
      parameters,
    ),
    before: median(errors(known)),
    after: median(after),
  };
}

/** Operands that the kernels multiply on a device. */
export function kernelFormat(timing: KernelTiming, device: DeviceRecord): KernelFormat {
  const runs = computeDtype(device, timing.dtype);
  return timing.kind === "gemm" && timing.blocked && runs === "float8" ? "block8" : formatOf(runs);
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

/** The median of a normal distribution's absolute values is 0.6745 standard deviations. */
function robustDeviation(absolute: readonly number[]): number {
  return median(absolute) / 0.6745;
}

function lengthOf(timing: KernelTiming): number {
  return timing.kind === "gemm" ? timing.m : timing.keys;
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

function fittedKernel(
  kind: KernelKind,
  about: Pick<FittedKernel, "format" | "rows" | "spread" | "longest">,
  parameters: NamedParameters,
): FittedKernel {
  const fit: unknown = Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name, Number(value.toPrecision(4))]),
  );
  return { kind, ...about, fit } as FittedKernel;
}
