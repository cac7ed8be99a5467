import type { Dtype, Seconds } from "../base/units.js";
import { revisionOf, type CalibratedRuntime } from "../hardware/calibrated-runtime.js";
import type { DeviceRecord } from "../hardware/record.js";
import { deviation } from "../math/moments.js";
import type { Machine } from "../runs/schema.js";
import type { FittedRates } from "./calibration-fit.js";

/** One size that was timed. */
export interface TimedCell {
  /** In the words of its plan. */
  readonly what: string;
  /** Seconds of one operator, or of a step. */
  readonly seconds: Seconds;
  readonly times: readonly Seconds[];
}

export interface Calibrated {
  readonly name: string;
  readonly vendor: string;
  readonly class: "cpu" | "consumer-gpu";
  readonly machine: Machine;
  readonly runtime: CalibratedRuntime;
  readonly engine: string;
  readonly engineVersion: string;
  readonly threads: number;
  readonly dtype: Dtype;
  readonly date: Date;
  /** What it took. */
  readonly seconds: Seconds;
  /** Longest sequence, in tokens, that was timed. */
  readonly longest: number;
  /** What measured the figures, in words. */
  readonly source: string;
  readonly bytesPerSecond: number;
  readonly memory: DeviceRecord["memory"];
  readonly rates: FittedRates;
  readonly cells: readonly TimedCell[];
}

/** The record of a device that was measured. */
export function calibratedRecord(calibrated: Calibrated): DeviceRecord {
  const { name, vendor, machine, runtime, engine, engineVersion, threads, dtype, date, seconds, longest } = calibrated;
  const { source, bytesPerSecond, memory, rates, cells } = calibrated;
  const sourced = (value: number) => ({ value, source, uncertain: false });
  return {
    schema: "nsquared/device@1",
    name,
    aliases: [],
    vendor,
    class: calibrated.class,
    peaks: { [dtype]: sourced(2 / rates.gemm.perMac) },
    bandwidth: sourced(bytesPerSecond),
    memory,
    launch: sourced(Math.max(rates.perOperator, 1e-9)),
    caches: [],
    calibration: {
      engine,
      engineVersion,
      threads,
      dtype,
      cpu: machine.cpu,
      measured: date.toISOString(),
      seconds,
      plan: revisionOf(runtime, calibrated.class),
      longest,
      ...rates,
      measurements: cells.map(({ what, seconds: low, times }) => ({
        what,
        seconds: low,
        runs: times.length,
        spread: deviation(times.map((time) => Math.log(time))),
      })),
    },
  };
}
