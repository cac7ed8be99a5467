import { fisherUpperTail } from "../math/distributions.js";
import type { LengthGroup } from "./points.js";

/** Scatter of repeats about their own length, as a share of the time. */
export interface Noise {
  /** Standard deviation of log seconds: 0.02 is 2 %. */
  readonly relative: number;
  /** True where it was not measured but assumed. */
  readonly assumed: boolean;
  /** Degrees of freedom behind it; infinite where assumed. */
  readonly degreesOfFreedom: number;
}

/** A length with the robust centre of its repeats. */
export interface Centre {
  readonly n: number;
  readonly logSeconds: number;
  /** Repeats that count; an outlier counts for little. */
  readonly weight: number;
  readonly count: number;
}

/** A sample that is hardly explained by the noise of the others. */
export interface Outlier {
  readonly n: number;
  readonly seconds: number;
  /** Seconds over the centre of its length. */
  readonly ratio: number;
}

/** The whole curve moved up and down between blocks: all lengths of a block are slow together. */
export interface Drift {
  /** Standard deviation of a block's level, relative. */
  readonly relative: number;
  readonly blocks: number;
}

export interface Pooled {
  readonly centres: readonly Centre[];
  readonly noise: Noise;
  readonly outliers: readonly Outlier[];
  /** Log residuals from the centre of their length, of lengths with repeats. */
  readonly residuals: readonly number[];
  /** Null where the blocks agree, or are not known. */
  readonly drift: Drift | null;
}

/** Assumed share of outliers, and how far late they come: an exponential in log seconds. A few come early. */
const outlierShare = 0.03;
const lateMean = 0.5;
const earlyShare = 0.1;
/** No clock and no machine is steadier than this. */
const leastNoise = 1e-4;
/** With fewer degrees of freedom a measured scatter says too little to build intervals on. */
const fewestDegrees = 3;

const rootTwoPi = Math.sqrt(2 * Math.PI);

function outlierDensity(residual: number): number {
  const side = residual >= 0 ? 1 - earlyShare : earlyShare;
  return (outlierShare * side * Math.exp(-Math.abs(residual) / lateMean)) / lateMean;
}

function inlierDensity(residual: number, sigma: number): number {
  return ((1 - outlierShare) * Math.exp(-0.5 * (residual / sigma) ** 2)) / (sigma * rootTwoPi);
}

/** Probability that a residual belongs to the noise and not to the outliers. */
function inlierWeight(residual: number, sigma: number): number {
  const inlier = inlierDensity(residual, sigma);
  return inlier / (inlier + outlierDensity(residual));
}

interface Located {
  centre: number;
  weight: number;
  squares: number;
  logLikelihood: number;
}

/** The centre of one length for a given noise: expectation and maximisation from one start. */
function locateFrom(values: readonly number[], start: number, sigma: number): Located {
  let centre = start;
  for (let step = 0; step < 12; step += 1) {
    let weights = 0;
    let sum = 0;
    for (const value of values) {
      const weight = inlierWeight(value - centre, sigma);
      weights += weight;
      sum += weight * (value - start);
    }
    if (weights === 0) break;
    const next = start + sum / weights;
    const moved = Math.abs(next - centre);
    centre = next;
    if (moved < 1e-4 * sigma) break;
  }
  let weight = 0;
  let squares = 0;
  let logLikelihood = 0;
  for (const value of values) {
    const residual = value - centre;
    const inlier = inlierDensity(residual, sigma);
    const whole = inlier + outlierDensity(residual);
    weight += inlier / whole;
    squares += (inlier / whole) * residual * residual;
    logLikelihood += Math.log(whole);
  }
  return { centre, weight, squares, logLikelihood };
}

/** Samples of one length beyond which more say nothing new: evenly spaced order statistics stand for them. */
const mostPerLength = 20_000;

function thinned(sorted: Float64Array): number[] {
  if (sorted.length <= mostPerLength) return Array.from(sorted);
  const stride = sorted.length / mostPerLength;
  return Array.from({ length: mostPerLength }, (_, i) => sorted[Math.floor((i + 0.5) * stride)] ?? 0);
}

/** Starts from low order statistics: outliers are late, so where repeats disagree the earlier ones are believed. */
function locate(sorted: readonly number[], sigma: number): Located {
  const middle = (sorted.length - 1) >> 1;
  const starts = new Set([sorted[0] ?? 0, sorted[middle] ?? 0, sorted[middle >> 1] ?? 0]);
  let best: Located | undefined;
  for (const start of starts) {
    const candidate = locateFrom(sorted, start, sigma);
    if (best === undefined || candidate.logLikelihood > best.logLikelihood) best = candidate;
  }
  return best ?? { centre: 0, weight: 0, squares: 0, logLikelihood: 0 };
}

/** A first, generous scale: the median distance from the lower median of each length. */
function firstScale(groups: readonly (readonly number[])[]): number {
  const distances: number[] = [];
  for (const sorted of groups) {
    const middle = (sorted.length - 1) >> 1;
    sorted.forEach((value, index) => {
      if (index !== middle) distances.push(Math.abs(value - (sorted[middle] ?? 0)));
    });
  }
  distances.sort((left, right) => left - right);
  return 2 * (distances[distances.length >> 1] ?? 0);
}

/** Blocks differ when so large a difference has less than this probability by chance. */
const driftLevel = 0.01;

/**
 * Level of each block by a one-way analysis of variance of the residuals from their lengths, outliers left out.
 *
 * @param centres of the same groups
 */
function driftOf(groups: readonly LengthGroup[], centres: readonly Centre[], sigma: number): Drift | null {
  const blocks = new Map<number, { sum: number; count: number }>();
  let squares = 0;
  let count = 0;
  groups.forEach((group, index) => {
    if (group.logSeconds.length < 2) return;
    group.logSeconds.forEach((value, i) => {
      const block = group.blocks[i];
      const residual = value - (centres[index]?.logSeconds ?? 0);
      if (block === undefined || inlierWeight(residual, sigma) < 0.5) return;
      const cell = blocks.get(block) ?? { sum: 0, count: 0 };
      blocks.set(block, { sum: cell.sum + residual, count: cell.count + 1 });
      squares += residual * residual;
      count += 1;
    });
  });
  const freeBlocks = blocks.size - 1;
  const freeWithin = count - groups.length - freeBlocks;
  if (freeBlocks < 1 || freeWithin < 1) return null;
  const between = [...blocks.values()].reduce((total, cell) => total + cell.sum ** 2 / cell.count, 0);
  const within = Math.max(squares - between, 1e-12) / freeWithin;
  if (fisherUpperTail(between / freeBlocks / within, freeBlocks, freeWithin) >= driftLevel) return null;
  const variance = (between / freeBlocks - within) / (count / blocks.size);
  return { relative: Math.sqrt(Math.max(0, variance)), blocks: blocks.size };
}

/**
 * Robust centre of every length and the pooled noise within lengths. The noise is normal in log seconds with a small
 * share of late outliers (a mixture fitted by expectation and maximisation), so a late sample gets hardly any weight
 * and its length keeps the others. Lengths are centred on their own repeats, never on a law: a law that fits badly makes no
 * outliers.
 *
 * @param assumedNoise relative noise where repeats are missing
 */
export function poolNoise(groups: readonly LengthGroup[], assumedNoise: number): Pooled {
  const arrays = groups.map((group) => thinned(Float64Array.from(group.logSeconds).sort()));
  const repeated = arrays.filter((values) => values.length > 1);
  let sigma = Math.max(leastNoise, firstScale(repeated));
  let located = repeated.map((values) => locate(values, sigma));
  for (let step = 0; step < 40 && repeated.length > 0; step += 1) {
    const degrees = located.reduce((sum, group) => sum + group.weight - 1, 0);
    const squares = located.reduce((sum, group) => sum + group.squares, 0);
    const next = Math.max(leastNoise, Math.sqrt(squares / Math.max(degrees, 0.5)));
    const change = Math.abs(next / sigma - 1);
    sigma = next;
    located = repeated.map((values) => locate(values, sigma));
    if (change < 1e-4) break;
  }
  const degreesOfFreedom = Math.max(
    0,
    located.reduce((sum, group) => sum + group.weight - 1, 0),
  );
  const enough = degreesOfFreedom >= fewestDegrees;
  const noise: Noise = enough
    ? { relative: sigma, assumed: false, degreesOfFreedom }
    : { relative: Math.max(assumedNoise, repeated.length > 0 ? sigma : 0), assumed: true, degreesOfFreedom: Infinity };
  const outliers: Outlier[] = [];
  const residuals: number[] = [];
  let nextLocated = 0;
  const centres = groups.map((group, index): Centre => {
    const values = arrays[index] ?? [];
    if (values.length < 2) return { n: group.n, logSeconds: values[0] ?? 0, weight: 1, count: 1 };
    const found = located[nextLocated];
    nextLocated += 1;
    const centre = found?.centre ?? 0;
    for (const value of values) {
      residuals.push(value - centre);
      if (inlierWeight(value - centre, sigma) < 0.5) {
        outliers.push({ n: group.n, seconds: Math.exp(value), ratio: Math.exp(value - centre) });
      }
    }
    return { n: group.n, logSeconds: centre, weight: Math.max(found?.weight ?? 0, 0.1), count: group.logSeconds.length };
  });
  return { centres, noise, outliers, residuals, drift: driftOf(groups, centres, sigma) };
}
