import type { Seconds } from "../base/units.js";

/*
 * Times of kernels as few-parameter functions of their shape, fitted to published tables (npm run fit-kernels). Every
 * function is a floor of a data sheet (FLOPs over the peak, bytes over the bandwidth) divided by a utilisation that only
 * falls where shapes get small, so that times grow with every size and larger shapes keep the last utilisation.
 */

/** A matrix product [m, k] × [k, n]. */
export interface GemmFit {
  /** Seconds of a kernel beside its work. */
  readonly overhead: Seconds;
  /** Share of the peak FLOP/s that large products reach. */
  readonly compute: number;
  /** Share of the bandwidth that thin products reach. */
  readonly bandwidth: number;
  /** How much slower a product of 1024-wide sides is than a large one: 0.1 is 30 %. */
  readonly small: number;
  /** Times that inputs pass the memory to be cast to a narrower format. */
  readonly cast: number;
}

/** Fused attention over many queries. */
export interface AttentionFit {
  readonly overhead: Seconds;
  readonly compute: number;
  /** How much slower 128 queries are than many: 1 is twice. */
  readonly small: number;
  /** Power of head_dim / 128 that the time per FLOP goes with. */
  readonly width: number;
}

/** Fused attention of single queries over a cache. */
export interface DecodeFit {
  readonly overhead: Seconds;
  readonly bandwidth: number;
  /** How much slower one key-value head alone is than many. */
  readonly few: number;
}

/** Sides beyond which a product is large. */
const largestSide = 4096;
const side = 1024;

/**
 * Seconds of a matrix product beside its overhead.
 *
 * @param peak seconds of its FLOPs at the peak @param memory seconds of its bytes at the full bandwidth
 * @param cast seconds of its input's bytes in 16 bits, at the full bandwidth; 0 where nothing is cast
 */
export function gemmSeconds(
  fit: GemmFit,
  peak: Seconds,
  memory: Seconds,
  cast: Seconds,
  shape: { readonly m: number; readonly n: number; readonly k: number },
): Seconds {
  const sides =
    side / Math.min(largestSide, shape.m) +
    side / Math.min(largestSide, shape.n) +
    side / Math.min(largestSide, shape.k);
  const compute = (peak / fit.compute) * (1 + fit.small * Math.min(sides, largestLoss));
  return rounded(compute, memory / fit.bandwidth) + fit.cast * cast;
}

/** The larger of two times, with a corner that is rounded: the fourth root of the sum of their fourth powers. */
function rounded(left: Seconds, right: Seconds): Seconds {
  const [a, b] = [left * left, right * right];
  return Math.sqrt(Math.sqrt(a * a + b * b));
}

/** Where a side is a handful of rows the weights' bytes decide, not how well the product fills the machine. */
const largestLoss = 24;

/** Seconds of fused attention over `queries` of each sequence, beside its overhead. */
export function attentionSeconds(
  fit: AttentionFit,
  peak: Seconds,
  memory: Seconds,
  shape: { readonly queries: number; readonly keyDim: number },
): Seconds {
  const loss = 1 + fit.small * (side / 8 / Math.max(1, shape.queries));
  return (peak / fit.compute) * loss * (shape.keyDim / (side / 8)) ** fit.width + memory;
}

/** Seconds of fused attention of one query per sequence, beside its overhead; `readers` is batch · key-value heads. */
export function decodeSeconds(fit: DecodeFit, memory: Seconds, readers: number): Seconds {
  return (memory / fit.bandwidth) * (1 + fit.few / Math.max(1, readers));
}
