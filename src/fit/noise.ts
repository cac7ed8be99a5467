import { type Drift, driftOf } from "./drift.js";
import { inlierWeight, type Located, locate } from "./mixture.js";
import type { LengthGroup } from "./points.js";

/** Scatter of repeats about their own length, as a share of the time. */
export interface Noise {
  /** Standard deviation of log seconds at the reference length: 0.02 is 2 %. */
  readonly relative: number;
  /** The noise goes with (n / reference)^growth: below 0 where short lengths are noisier. 0 unless the samples show it. */
  readonly growth: number;
  /** Geometric mean of the lengths. */
  readonly reference: number;
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
  /** Variance of logSeconds from noise alone. */
  readonly variance: number;
}

/** A sample that is hardly explained by the noise of the others. */
export interface Outlier {
  readonly n: number;
  readonly seconds: number;
  /** Seconds over the centre of its length. */
  readonly ratio: number;
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

/** No clock and no machine is steadier than this. */
const leastNoise = 1e-4;
/** With fewer degrees of freedom a measured scatter says too little to build intervals on. */
const fewestDegrees = 3;

/** Samples of one length beyond which more say nothing new: evenly spaced order statistics stand for them. */
const mostPerLength = 20_000;

function thinned(sorted: Float64Array): number[] {
  if (sorted.length <= mostPerLength) return Array.from(sorted);
  const stride = sorted.length / mostPerLength;
  return Array.from({ length: mostPerLength }, (_, i) => sorted[Math.floor((i + 0.5) * stride)] ?? 0);
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

interface Scale {
  readonly sigma: number;
  readonly located: readonly Located[];
  readonly degreesOfFreedom: number;
  readonly logLikelihood: number;
  /**
   * Log likelihood of the noise with the centres integrated out (Laplace): a smaller noise is not more likely for passing
   * through one sample of each length and calling the others outliers.
   */
  readonly evidence: number;
}

function total(values: readonly Located[], of: (one: Located) => number): number {
  return values.reduce((sum, one) => sum + of(one), 0);
}

/** Noises that are started from, over the first scale, which one outlier of three repeats may have made far too large. */
const starts = [1, 0.25];

/** Noise and centres of lengths that are equally noisy: of what is found from each start the most likely. */
function evenScale(repeated: readonly (readonly number[])[], first: number): Scale {
  const factors = repeated.map(() => 1);
  const found = starts.map((part) => scaleFrom(repeated, factors, Math.max(leastNoise, part * first)));
  return found.reduce((best, one) => (one.evidence > best.evidence ? one : best));
}

/**
 * Noise and centres together, each from the other in turn.
 *
 * @param factors noise of each length over the common one
 */
function scaleFrom(repeated: readonly (readonly number[])[], factors: readonly number[], start: number): Scale {
  const factor = (index: number) => factors[index] ?? 1;
  const locateAll = (sigma: number) => repeated.map((values, i) => locate(values, sigma * factor(i)));
  let sigma = start;
  let located = locateAll(sigma);
  for (let step = 0; step < 40 && repeated.length > 0; step += 1) {
    const degrees = total(located, (one) => one.weight - 1);
    const squares = located.reduce((sum, one, i) => sum + one.squares / factor(i) ** 2, 0);
    const next = Math.max(leastNoise, Math.sqrt(squares / Math.max(degrees, 0.5)));
    const change = Math.abs(next / sigma - 1);
    sigma = next;
    located = locateAll(sigma);
    if (change < 1e-4) break;
  }
  const degreesOfFreedom = Math.max(
    0,
    total(located, (one) => one.weight - 1),
  );
  const logLikelihood = total(located, (one) => one.logLikelihood);
  const integrated = located.reduce(
    (sum, { weight }, i) => sum + Math.log((sigma * factor(i)) / Math.sqrt(Math.max(1, weight))),
    0,
  );
  return { sigma, located, degreesOfFreedom, logLikelihood, evidence: logLikelihood + integrated };
}

/** Growths that are tried beside 0, and how much better one must explain the samples: p < 0.01 for one parameter. */
const firstGrowths = [-0.5, 0.5];
const furtherGrowths = [-1, -0.75, -0.25, 0.25, 0.75, 1];
const clearlyBetter = 6.63;
/** Without at least this gain at a middling growth no other is tried. */
const hopeful = 1;
const fewestLengths = 3;

/** Noise that goes with a power of the length, where the samples clearly show it. */
function growthOf(
  repeated: readonly (readonly number[])[],
  ratios: readonly number[],
  even: Scale,
): { growth: number; scale: Scale } {
  let best = { growth: 0, scale: even };
  if (repeated.length < fewestLengths || even.degreesOfFreedom < fewestDegrees) return best;
  // Centres fitted to their own samples take part of the likelihood with them.
  const share = even.degreesOfFreedom / total(even.located, (one) => one.weight);
  let promising = false;
  const attempt = (growth: number) => {
    const factors = ratios.map((ratio) => ratio ** growth);
    const scale = scaleFrom(repeated, factors, even.sigma);
    const gain = 2 * share * (scale.logLikelihood - even.logLikelihood);
    promising ||= gain > hopeful;
    if (gain > clearlyBetter && scale.logLikelihood > best.scale.logLikelihood) best = { growth, scale };
  };
  firstGrowths.forEach(attempt);
  if (promising) furtherGrowths.forEach(attempt);
  return best;
}

/** The noise at a length, clamped to the lengths it was measured at. */
export function noiseAt(noise: Noise, n: number, from: number, to: number): number {
  return noise.relative * (Math.min(Math.max(n, from), to) / noise.reference) ** noise.growth;
}

/**
 * Robust centre of every length and the noise within lengths, pooled over them. A late sample gets hardly any weight and its
 * length keeps the others. Lengths are centred on their own repeats, never on a law: a law that fits badly makes no
 * outliers.
 *
 * @param assumedNoise relative noise where repeats are missing
 */
export function poolNoise(groups: readonly LengthGroup[], assumedNoise: number): Pooled {
  const arrays = groups.map((group) => thinned(Float64Array.from(group.logSeconds).sort()));
  const repeated = arrays.filter((values) => values.length > 1);
  const reference = Math.exp(groups.reduce((sum, group) => sum + Math.log(group.n), 0) / groups.length);
  const ratios = groups.filter((group) => group.logSeconds.length > 1).map((group) => group.n / reference);
  const even = evenScale(repeated, firstScale(repeated));
  const { growth, scale } = growthOf(repeated, ratios, even);
  const { sigma, located, degreesOfFreedom } = scale;
  const noise: Noise =
    degreesOfFreedom >= fewestDegrees
      ? { relative: sigma, growth, reference, assumed: false, degreesOfFreedom }
      : {
          relative: Math.max(assumedNoise, repeated.length > 0 ? sigma : 0),
          growth: 0,
          reference,
          assumed: true,
          degreesOfFreedom: Infinity,
        };
  const outliers: Outlier[] = [];
  const residuals: number[] = [];
  let nextLocated = 0;
  const centres = groups.map((group, index): Centre & { sigma: number } => {
    const values = arrays[index] ?? [];
    const local = noise.relative * (group.n / reference) ** growth;
    if (values.length < 2) {
      return { n: group.n, logSeconds: values[0] ?? 0, weight: 1, count: 1, variance: local ** 2, sigma: local };
    }
    const found = located[nextLocated];
    nextLocated += 1;
    const centre = found?.centre ?? 0;
    const measured = sigma * (group.n / reference) ** growth;
    for (const value of values) {
      residuals.push(value - centre);
      if (inlierWeight(value - centre, measured) < 0.5) {
        outliers.push({ n: group.n, seconds: Math.exp(value), ratio: Math.exp(value - centre) });
      }
    }
    const weight = Math.max(found?.weight ?? 0, 0.1);
    const count = group.logSeconds.length;
    return { n: group.n, logSeconds: centre, weight, count, variance: local ** 2 / weight, sigma: measured };
  });
  return { centres, noise, outliers, residuals, drift: driftOf(groups, centres) };
}
