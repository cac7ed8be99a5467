import { type Dtype, bytesPerElement } from "../base/units.js";
import { networkSpread } from "./network.js";
import type { DeviceClass } from "./record.js";

/**
 * What time and its uncertainty are grouped by. `gemm`: matrix products over many rows. `gemv`: over so few that
 * fetching the weights takes the time. `vector`: norms, sums, activations, softmax. `lookup`: copies. `overhead`:
 * starting kernels. `network`: exchange between devices.
 */
export const operatorClasses = [
  "gemm",
  "gemv",
  "attention",
  "decode-attention",
  "vector",
  "lookup",
  "overhead",
  "network",
] as const;
export type OperatorClass = (typeof operatorClasses)[number];

/** Share of the device's peaks that a class of operators reaches, and how sure that is. */
export interface Efficiency {
  /** Of the peak FLOP/s. */
  readonly compute: number;
  /** Of the memory bandwidth. */
  readonly bandwidth: number;
  /** Standard deviation of the logarithm of its seconds. */
  readonly logSpread: number;
  readonly source: string;
}

/** Between the 10th and the 90th percentile of a normal distribution lie this many standard deviations. */
const deviationsFrom10To90 = 2.563;
/** log-sd of a quantity whose 10th and 90th percentiles are known. */
function spreadOf(p10: number, p90: number): number {
  return Math.log(p90 / p10) / deviationsFrom10To90;
}

/*
 * Medians (and 10th, 90th percentiles) of measured seconds over the naive roofline max(FLOPs/peak, bytes/bandwidth), from
 * 7,823 published GEMM and 7,159 attention timings on 25 devices (aiconfigurator systems data, ik_llama.cpp, aiter,
 * FlashAttention and llama.cpp benchmark tables).
 */
const gemm16 = { median: 1.37, spread: spreadOf(1.18, 1.65), of: "bf16 GEMM with m ≥ 2048: 1.18/1.37/1.65 × roofline" };
const gemm8 = { median: 1.99, spread: spreadOf(1.25, 4.5), of: "fp8 GEMM with m ≥ 2048: 1.25/1.99/4.5 × roofline" };
const thin = { median: 1.26, spread: spreadOf(1.14, 1.49), of: "GEMM with m ≤ 16: 1.14/1.26/1.49 × roofline" };
const prefillAttention = {
  median: 1.95,
  spread: spreadOf(1.5, 2.6),
  of: "attention prefill ≥ 4k tokens: 1.5/1.95/2.6 × roofline",
};
const decodeAttention = {
  median: 1.25,
  spread: spreadOf(1.11, 1.62),
  of: "decode attention > 50 µs: 1.11/1.25/1.62 × roofline",
};
/** Apple GPUs: whole prefills over the roofline of the whole model; no kernels were published. */
const apple = { median: 1.5, spread: spreadOf(1.16, 1.8), of: "prefill on Apple GPUs: 1.16/1.5/1.8 × roofline" };

/**
 * The efficiency of a class of operators on devices of a class, by the measured percentiles above; where a class has no
 * data of its own it borrows the nearest with twice the spread, and says so.
 */
export function classEfficiency(operators: OperatorClass, devices: DeviceClass, dtype: Dtype): Efficiency {
  const narrow = bytesPerElement(dtype) < 2;
  const compute = devices === "apple-gpu" ? apple : narrow ? gemm8 : gemm16;
  const borrowed = devices === "cpu" || devices === "accelerator" ? 2 : 1;
  const note = borrowed === 1 ? "" : " (GPUs; borrowed, spread doubled)";
  switch (operators) {
    case "gemm":
      return {
        compute: 1 / compute.median,
        bandwidth: 1 / thin.median,
        logSpread: compute.spread * borrowed,
        source: compute.of + note,
      };
    case "gemv":
      return {
        compute: 1 / compute.median,
        bandwidth: 1 / thin.median,
        logSpread: thin.spread * borrowed,
        source: thin.of + note,
      };
    case "attention":
      return {
        compute: 1 / prefillAttention.median,
        bandwidth: 1 / decodeAttention.median,
        logSpread: prefillAttention.spread * borrowed,
        source: prefillAttention.of + note,
      };
    case "decode-attention":
      return {
        compute: 1 / prefillAttention.median,
        bandwidth: 1 / decodeAttention.median,
        logSpread: decodeAttention.spread * borrowed,
        source: decodeAttention.of + note,
      };
    case "vector":
    case "lookup":
      return {
        compute: 1,
        bandwidth: 1 / decodeAttention.median,
        logSpread: decodeAttention.spread * 2,
        source: `${decodeAttention.of} (also streams memory; borrowed, spread doubled)`,
      };
    case "network":
      return { compute: 1, bandwidth: 1, logSpread: networkSpread, source: "collectives: see network.ts" };
    case "overhead":
      return { compute: 1, bandwidth: 1, logSpread: spreadOf(5, 20), source: "5 to 20 µs per kernel on GPUs" };
  }
}
