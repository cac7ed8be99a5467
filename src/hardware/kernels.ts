import type { Seconds } from "../base/units.js";

/*
 * Times of kernels as few-parameter functions of their shape, fitted to published tables (npm run fit-kernels). Every
 * function is a floor of a data sheet (FLOPs over the peak, bytes over the bandwidth) divided by a utilisation that falls
 * where shapes get small, and for products where they last so long that clocks sink, so that times grow with every size
 * and shapes beyond those that were timed keep the last utilisation.
 */

/** A matrix product [m, k] × [k, n]. */
export interface GemmFit {
  /** Seconds of a kernel beside its work. */
  readonly overhead: Seconds;
  /** Share of the peak FLOP/s that large products reach before clocks sink. */
  readonly compute: number;
  /** Share of the bandwidth that thin products reach. */
  readonly bandwidth: number;
  /** How much slower a product of 1024-wide sides is than a large one: 0.1 is 30 %. */
  readonly small: number;
  /** Times that inputs pass the memory to be cast to a narrower format. */
  readonly cast: number;
  /** Logarithm of how much slower a product of `longest` seconds is than one of `shortest`: power and heat. */
  readonly sustained: number;
}

/** Fused attention over many queries. */
export interface AttentionFit {
  readonly overhead: Seconds;
  /** Share of the peak FLOP/s with keys and values 128 wide. */
  readonly compute: number;
  /** How much slower 128 queries are than many: 1 is twice. */
  readonly small: number;
  /** How much slower 128 queries of 32 heads are for not filling the device. */
  readonly few: number;
  /** Time of a pair's exponential over that of its products, with keys and values 128 wide. */
  readonly softmax: number;
}

/** Fused attention of single queries over a cache. */
export interface DecodeFit {
  readonly overhead: Seconds;
  readonly bandwidth: number;
  /** How much slower one key-value head alone is than many. */
  readonly few: number;
}

/** A mixer with a state of constant size over many tokens, in chunks. */
export interface MixerFit {
  readonly overhead: Seconds;
  /** Seconds over those of its operators at the data sheet, each by itself: below 1 where one kernel keeps chunks on chip. */
  readonly slow: number;
  /** Seconds that one token waits for the one before it, however few heads there are. */
  readonly chain: Seconds;
}

/** Sides beyond which a product is large. */
const largestSide = 4096;
const side = 1024;
/** Where a side is a handful of rows the weights' bytes decide, not how well the product fills the machine. */
const largestLoss = 24;
/** Seconds at the peak between which clocks sink. */
const shortest: Seconds = 5e-5;
const longest: Seconds = 5e-3;
const sinking = 1 / Math.log(longest / shortest);

/**
 * Seconds of a matrix product [m, k] × [k, n] beside its overhead.
 *
 * @param peak seconds of its FLOPs at the peak @param memory seconds of its bytes at the full bandwidth
 * @param cast seconds of its input's bytes in 16 bits, at the full bandwidth; 0 where nothing is cast
 */
export function gemmSeconds(
  fit: GemmFit,
  peak: Seconds,
  memory: Seconds,
  cast: Seconds,
  m: number,
  n: number,
  k: number,
): Seconds {
  const sides = side / Math.min(largestSide, m) + side / Math.min(largestSide, n) + side / Math.min(largestSide, k);
  let compute = (peak / fit.compute) * (1 + fit.small * Math.min(sides, largestLoss));
  if (peak > shortest && fit.sustained > 0) {
    compute *= Math.exp(fit.sustained * Math.min(1, Math.log(peak / shortest) * sinking));
  }
  return rounded(compute, memory / fit.bandwidth) + fit.cast * cast;
}

/** The larger of two times, with a corner that is rounded: the fourth root of the sum of their fourth powers. */
function rounded(left: Seconds, right: Seconds): Seconds {
  const [a, b] = [left * left, right * right];
  return Math.sqrt(Math.sqrt(a * a + b * b));
}

/** Queries of a tile, and heads that fill a device: what `small` and `few` are said of. */
const tile = 128;
const manyHeads = 32;
/** Width of keys and values together that `compute` and `softmax` are said of. */
const usualWidth = 256;

/**
 * Seconds of fused attention over `queries` of each sequence, beside its overhead.
 *
 * @param peak seconds of its FLOPs at the peak @param memory seconds of its bytes at the full bandwidth
 * @param heads of all sequences together @param width of keys and values together
 */
export function attentionSeconds(
  fit: AttentionFit,
  peak: Seconds,
  memory: Seconds,
  queries: number,
  heads: number,
  width: number,
): Seconds {
  const tiles = tile / Math.max(1, queries);
  const loss = 1 + tiles * (fit.small + (fit.few * manyHeads) / heads);
  const pairs = (1 + (fit.softmax * usualWidth) / width) / (1 + fit.softmax);
  return (peak / fit.compute) * loss * pairs + memory;
}

/** Seconds of fused attention of one query per sequence, beside its overhead; `readers` is batch · key-value heads. */
export function decodeSeconds(fit: DecodeFit, peak: Seconds, memory: Seconds, readers: number): Seconds {
  return Math.max(peak, (memory / fit.bandwidth) * (1 + fit.few / Math.max(1, readers)));
}

/** Seconds of a chunked mixer over `tokens` of each sequence, beside its overhead; `floor`: of its operators at the data sheet. */
export function mixerSeconds(fit: MixerFit, floor: Seconds, tokens: number): Seconds {
  return rounded(floor * fit.slow, tokens * fit.chain);
}
