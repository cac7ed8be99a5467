import type { Centre } from "./noise.js";

/**
 * The quadratic law with what is known of Transformers before any sample: constant + linear + quadratic with a prior on its
 * shape. For few single samples the priors decide what the samples leave open.
 */

/**
 * Crossover, tokens: over 91 shapes of open models the FLOPs of attention equal the rest at 63k tokens (geometric mean, standard
 * deviation of the logarithm 0.9), and published attention kernels take 1.4 times as long per FLOP as matrix products
 * (bench/crossovers.mjs), which puts it at 44k. The median lies a little lower and the spread is wider, for caches and
 * kernels that nobody knows: at 48k the published sweeps of docs/accuracy.md are covered in 88 % and not in 92.
 */
const crossoverPrior = { median: 32_000, logSpread: 1.5 };
/** The constant, in tokens that take as long: reading the weights once and launching, some tens to thousands of tokens. */
const constantPrior = { median: 100, logSpread: 2 };

const constantSteps = 40;
const constantReach = 3;
const crossoverSteps = 80;
const crossoverReach = 4;
/** Shapes less likely than the best by this factor add nothing. */
const leastLikely = 1e-5;
/** Parameters that the samples alone decide: the scale. The shape's are paid for by their prior. */
const freeParameters = 1;

/** A shape of the law that the samples allow. */
export interface WeightedShape {
  readonly weight: number;
  readonly logSeconds: (n: number) => number;
}

export interface InformedLaw {
  /** On the scale of Akaike's criterion with known noise, the prior's penalty included. */
  readonly aicc: number;
  /** Their weights add up to one. */
  readonly shapes: readonly WeightedShape[];
  /** Standard error of the curve's level, relative. */
  readonly levelError: number;
  /** Relative error granted to the law per doubling beyond the data. */
  readonly perDoubling: number;
}

/**
 * Posterior of the shape on a grid; the level of the curve is solved for. No law is exact: as much misfit per length as the
 * noise is granted beside it, and where the best shape misses the lengths by more, that much.
 *
 * @param centres at least two lengths
 * @param noise relative noise of one sample, assumed
 */
export function informedLaw(centres: readonly Centre[], noise: number): InformedLaw {
  const precisions = centres.map(({ variance }) => noise ** 2 / variance);
  const total = precisions.reduce((sum, value) => sum + value, 0);
  const grid: { log: number; level: number; constant: number; crossover: number; misfit: number }[] = [];
  for (let i = 0; i <= constantSteps; i += 1) {
    const z = i === 0 ? 0 : constantReach * ((2 * (i - 0.5)) / constantSteps - 1);
    const constant = i === 0 ? 0 : constantPrior.median * Math.exp(constantPrior.logSpread * z);
    for (let j = 0; j <= crossoverSteps; j += 1) {
      const x = crossoverReach * ((2 * j) / crossoverSteps - 1);
      const crossover = crossoverPrior.median * Math.exp(crossoverPrior.logSpread * x);
      const distances = centres.map(({ n, logSeconds }) => logSeconds - Math.log(constant + n + (n * n) / crossover));
      const level = distances.reduce((sum, value, k) => sum + (precisions[k] ?? 0) * value, 0) / total;
      const misfit = distances.reduce((sum, value, k) => sum + (precisions[k] ?? 0) * (value - level) ** 2, 0);
      grid.push({ log: (-z * z - x * x) / 2, level, constant, crossover, misfit });
    }
  }
  const least = Math.min(...grid.map(({ misfit }) => misfit));
  const variance = Math.max(2 * noise ** 2, least / Math.max(1, centres.length - 2));
  const logs = grid.map(({ log, misfit }) => log - misfit / (2 * variance));
  const best = Math.max(...logs);
  const likely = grid.flatMap((one, i) => {
    const weight = Math.exp((logs[i] ?? 0) - best);
    return weight < leastLikely ? [] : [{ ...one, weight }];
  });
  const weights = likely.reduce((sum, { weight }) => sum + weight, 0);
  return {
    aicc: -2 * best + 2 * freeParameters,
    shapes: likely.map(({ weight, level, constant, crossover }) => ({
      weight: weight / weights,
      logSeconds: (n) => level + Math.log(constant + n + (n * n) / crossover),
    })),
    levelError: Math.sqrt(variance / total),
    perDoubling: Math.sqrt(variance),
  };
}
