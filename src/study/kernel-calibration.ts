import type { Seconds } from "../base/units.js";
import type { FittedKernel } from "../hardware/fitted.js";
import { kernelOn } from "../hardware/kernel-lookup.js";
import { type Bits, bitsOf } from "../hardware/kernel-rows.js";
import { attentionSeconds, decodeSeconds, gemmSeconds } from "../hardware/kernels.js";
import type { DeviceRecord } from "../hardware/record.js";
import { computeDtype, peakOf } from "../hardware/roofline.js";
import { median } from "../math/median.js";
import { posteriorSpread, robustFit } from "../math/robust-fit.js";
import type { AttentionTiming, GemmTiming, KernelTiming } from "./kernel-samples.js";

/** A fit with what it improved: medians of |log(predicted / timed)|. */
export interface KernelReport {
  readonly kernel: FittedKernel;
  readonly before: number;
  readonly after: number;
}

type Parameters = Readonly<Record<string, number>>;

interface Form {
  readonly names: readonly string[];
  /** Standard deviation of each parameter about what is known of the device or its class: in logarithms, but for `width`. */
  readonly spread: readonly number[];
  /** Where what is known has none, so that it has no logarithm. */
  readonly usual: readonly number[];
}

const forms: Readonly<Record<FittedKernel["kind"], Form>> = {
  gemm: {
    names: ["overhead", "compute", "bandwidth", "small", "cast"],
    spread: [0.7, 0.3, 0.2, 1, 0.7],
    usual: [6e-6, 0.75, 0.8, 0.03, 1.5],
  },
  attention: {
    names: ["overhead", "compute", "small", "width"],
    spread: [0.7, 0.4, 1, 0.2],
    usual: [12e-6, 0.6, 2, -0.2],
  },
  decode: { names: ["overhead", "bandwidth", "few"], spread: [0.7, 0.25, 1], usual: [10e-6, 0.85, 1] },
};
const linear = new Set(["width"]);
const shares = new Set(["compute", "bandwidth"]);
/** No kernel passes the data sheet: what seems to is a table made with warm caches. */
const largestShare = 0.99;
/** Timings of one shape vary by a few percent from driver to driver. */
const leastSpread = 0.03;

/**
 * Parameters of kernels.ts for each kind of kernel and width of operands, fitted to timings. What is known of the device or
 * its class is the prior, so that three timings are enough for a start.
 *
 * @param engine whose kernels are the prior
 */
export function fitKernels(timings: readonly KernelTiming[], device: DeviceRecord, engine: string): KernelReport[] {
  const families = new Map<string, KernelTiming[]>();
  for (const timing of timings) {
    const key = `${timing.kind} ${bitsOf(computeDtype(device, timing.dtype))}`;
    const known = families.get(key);
    if (known === undefined) families.set(key, [timing]);
    else known.push(timing);
  }
  return [...families.values()].map((members) => fitFamily(members, device, engine));
}

function fitFamily(members: readonly KernelTiming[], device: DeviceRecord, engine: string): KernelReport {
  const [first] = members;
  if (first === undefined) throw new Error("no family is empty");
  const { kind } = first;
  const dtype = computeDtype(device, first.dtype);
  const { names, spread, usual } = forms[kind];
  const prior = kernelOn(kind, device, engine, dtype);
  const known: Parameters = { ...prior.fit };
  const start = names.map((name, i) => {
    const value = known[name] ?? 0;
    if (linear.has(name)) return value;
    return Math.log(value > 0 ? value : (usual[i] ?? 1));
  });
  const parametersOf = (theta: readonly number[]): Parameters =>
    Object.fromEntries(names.map((name, i) => [name, parameter(name, theta[i] ?? 0)]));
  const residuals = (theta: readonly number[]): number[] => {
    const fit = parametersOf(theta);
    return members.map((timing) => Math.log(kernelSeconds(timing, fit, device) / timing.seconds));
  };
  const options = { start, spread };
  const theta = robustFit(residuals, options);
  const fit = parametersOf(theta);
  const after = residuals(theta).map(Math.abs);
  // What the timings leave open of the rates stays in the interval: one of the shares is what large kernels rest on.
  const open = posteriorSpread(residuals, theta, options);
  const undecided = Math.min(
    ...names.flatMap((name, i) => (shares.has(name) ? [Math.min(open[i] ?? 1, prior.spread)] : [])),
  );
  const about = {
    bits: bitsOf(dtype),
    rows: members.length,
    spread: Math.max(leastSpread, Math.hypot(robustDeviation(after), undecided)),
    longest: Math.max(...members.map(lengthOf)),
  };
  return {
    kernel: fittedKernel(kind, about, fit),
    before: median(members.map((timing) => Math.abs(Math.log(kernelSeconds(timing, known, device) / timing.seconds)))),
    after: median(after),
  };
}

function parameter(name: string, value: number): number {
  if (linear.has(name)) return value;
  return shares.has(name) ? Math.min(largestShare, Math.exp(value)) : Math.exp(value);
}

/** The median of a normal distribution's absolute values is 0.6745 standard deviations. */
function robustDeviation(absolute: readonly number[]): number {
  return median(absolute) / 0.6745;
}

function lengthOf(timing: KernelTiming): number {
  return timing.kind === "gemm" ? timing.m : timing.keys;
}

/** Seconds of a kernel of these parameters on a device, as `rooflineTime` has them. */
function kernelSeconds(timing: KernelTiming, fit: Parameters, device: DeviceRecord): Seconds {
  const value = (name: string): number => fit[name] ?? 0;
  const overhead = value("overhead");
  if (timing.kind === "gemm") {
    const { peak, memory, cast } = productAtPeaks(timing, device);
    const [compute, bandwidth, small] = [value("compute"), value("bandwidth"), value("small")];
    return (
      overhead + gemmSeconds({ overhead, compute, bandwidth, small, cast: value("cast") }, peak, memory, cast, timing)
    );
  }
  const { peak, memory } = attentionAtPeaks(timing, device);
  if (timing.kind === "decode") {
    const decode = { overhead, bandwidth: value("bandwidth"), few: value("few") };
    return overhead + Math.max(peak, decodeSeconds(decode, memory, timing.batch * timing.kvHeads));
  }
  const attention = { overhead, compute: value("compute"), small: value("small"), width: value("width") };
  return overhead + attentionSeconds(attention, peak, memory, timing);
}

function productAtPeaks({ m, n, k, dtype, elementBytes }: GemmTiming, device: DeviceRecord) {
  const runs = computeDtype(device, dtype);
  const bandwidth = device.bandwidth.value;
  return {
    peak: (2 * m * n * k) / peakOf(device, runs).value,
    memory: (elementBytes * (m * k + n * k) + 2 * m * n) / bandwidth,
    cast: bitsOf(runs) === "16" ? 0 : (2 * m * k) / bandwidth,
  };
}

function attentionAtPeaks(timing: AttentionTiming, device: DeviceRecord) {
  const { batch, heads, kvHeads, keyDim, valueDim, queries, keys, causal, cacheBytes } = timing;
  const pairs = causal ? queries * (keys - queries) + (queries * (queries + 1)) / 2 : queries * keys;
  const cached = batch * kvHeads * keys * (keyDim + valueDim) * cacheBytes;
  return {
    peak: (2 * batch * heads * pairs * (keyDim + valueDim)) / peakOf(device, timing.dtype).value,
    memory: (cached + 2 * batch * queries * heads * (keyDim + valueDim)) / device.bandwidth.value,
  };
}

interface About {
  readonly bits: Bits;
  readonly rows: number;
  readonly spread: number;
  readonly longest: number;
}

function fittedKernel(kind: FittedKernel["kind"], about: About, fit: Parameters): FittedKernel {
  const at = (name: string): number => Number((fit[name] ?? 0).toPrecision(4));
  switch (kind) {
    case "gemm":
      return {
        kind,
        ...about,
        fit: {
          overhead: at("overhead"),
          compute: at("compute"),
          bandwidth: at("bandwidth"),
          small: at("small"),
          cast: at("cast"),
        },
      };
    case "attention":
      return {
        kind,
        ...about,
        fit: { overhead: at("overhead"), compute: at("compute"), small: at("small"), width: at("width") },
      };
    case "decode":
      return {
        kind,
        ...about,
        fit: { overhead: at("overhead"), bandwidth: at("bandwidth"), few: at("few") },
      };
  }
}
