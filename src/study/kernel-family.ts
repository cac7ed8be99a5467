import type { FittedKernel } from "../hardware/fitted.js";
import { type NamedParameters, fitParameters, kernelSeconds } from "../hardware/kernel-fitting.js";
import type { Found } from "../hardware/kernel-lookup.js";
import type { Fits, KernelKind } from "../hardware/kernel-rows.js";
import type { DeviceRecord } from "../hardware/record.js";
import { median } from "../math/median.js";
import type { KernelTiming } from "./kernel-row.js";
import { kernelFormat, timedKernel } from "./timed-kernel.js";

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

/** Timings of one kind and format, about what is known before them. */
export function fitFamily(members: readonly KernelTiming[], device: DeviceRecord, prior: Prior): KernelReport {
  const [first] = members;
  if (first === undefined) throw new Error("no family is empty");
  const { kind } = first;
  const known: NamedParameters = { ...prior.fit };
  const timed = members.map((timing) => timedKernel(timing, device));
  const errors = (parameters: NamedParameters): number[] =>
    timed.map((one) => Math.abs(Math.log(kernelSeconds(kind, parameters, one) / one.seconds)));
  const { parameters, open } = fitParameters(kind, timed, known);
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

/** The median of a normal distribution's absolute values is 0.6745 standard deviations. */
function robustDeviation(absolute: readonly number[]): number {
  return median(absolute) / 0.6745;
}

function lengthOf(timing: KernelTiming): number {
  return timing.kind === "gemm" ? timing.m : timing.keys;
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
