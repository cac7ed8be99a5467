import { type AttentionRates, grownBy } from "./calibration.js";

/** Sizes of one call of fused attention. */
export interface AttentionSizes {
  readonly heads: number;
  readonly kvHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly batch: number;
  /** Whether a row sees no later keys; else each sees all. */
  readonly causal: boolean;
  readonly newTokens: number;
  readonly totalTokens: number;
}

/** Σ over the first x rows of the keys in whole tiles up to the row's own, none beyond the last key. */
function pairsUpTo(x: number, totalTokens: number, tile: number): number {
  if (tile < 1) return (x * (x + 1)) / 2;
  const whole = tile * Math.floor(totalTokens / tile);
  const inTiles = Math.min(x, whole);
  const full = Math.floor(inTiles / tile);
  const tiled = (tile * tile * full * (full + 1)) / 2 + (inTiles - full * tile) * tile * (full + 1);
  return tiled + (x - inTiles) * totalTokens;
}

/**
 * Pairs of one head that a causal kernel works on when it leaves out only whole tiles of keys: the row at position i sees
 * min(c + n, tile·⌈i / tile⌉) of them. One tile for all is the whole rectangle, no tiles (0) the exact triangle.
 */
export function workedPairs(newTokens: number, totalTokens: number, tile: number): number {
  return pairsUpTo(totalTokens, totalTokens, tile) - pairsUpTo(totalTokens - newTokens, totalTokens, tile);
}

/**
 * Pairs that all threads together could work on while the slowest of them works on its own: the rows of all heads, one
 * head after the other, are dealt in as many equal runs as there are threads, and the later rows of a head see more keys.
 * Nine heads on two threads take 1.06 times as long as nine times one head does, since the first thread gets the early
 * rows of the fifth; an even number takes no longer. Of a block of rows, which is dealt whole, it takes the part.
 */
function dealtPairs(sizes: AttentionSizes, tile: number, threads: number): number {
  const { heads, batch, causal, newTokens, totalTokens } = sizes;
  const all = batch * heads;
  if (!causal) return all * newTokens * totalTokens;
  const cached = totalTokens - newTokens;
  const before = pairsUpTo(cached, totalTokens, tile);
  const ofHead = pairsUpTo(totalTokens, totalTokens, tile) - before;
  if (all % threads === 0) return all * ofHead;
  const upTo = (head: number): number => {
    const whole = Math.floor(head);
    return whole * ofHead + pairsUpTo(cached + (head - whole) * newTokens, totalTokens, tile) - before;
  };
  let slowest = 0;
  for (let thread = 0; thread < threads; thread += 1) {
    slowest = Math.max(slowest, upTo((all * (thread + 1)) / threads) - upTo((all * thread) / threads));
  }
  return threads * slowest;
}

/** The features whose weighted sum is the seconds of fused attention, in the order of `attentionCoefficients`. */
export function attentionFeatures(
  sizes: AttentionSizes,
  { tileElements, threads, growth }: Pick<AttentionRates, "tileElements" | "threads" | "growth">,
): number[] {
  const { heads, kvHeads, batch, newTokens, totalTokens } = sizes;
  const dims = sizes.keyDim + sizes.valueDim;
  const worked = grownBy(totalTokens, growth) * dealtPairs(sizes, tileElements / dims, threads);
  return [worked * dims, worked, batch * heads * newTokens * dims, batch * kvHeads * totalTokens * dims, 1];
}

export function attentionCoefficients(rates: AttentionRates): readonly number[] {
  return [rates.perPairDim, rates.perPair, rates.perNewDim, rates.perCachedDim, rates.perCall];
}
