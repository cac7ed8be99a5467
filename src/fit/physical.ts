import { Matrix } from "ml-matrix";
import { percent, tokens } from "../base/format.js";
import { studentQuantile } from "../math/distributions.js";
import { defaultLevel, defaultNoise, widestUseful } from "./defaults.js";
import type { Drift } from "./drift.js";
import { exponentOf } from "./exponent.js";
import type { LawPrediction } from "./fit-law.js";
import { levelError } from "./judge.js";
import { type LengthAt, lengthAtOf } from "./length-at.js";
import { type Noise, type Outlier, noiseAt, poolNoise } from "./noise.js";
import {
  checkCurve,
  partsAt,
  type PhysicalCurve,
  scaledToSamples,
  slopesOf,
  spreadsOf,
  sum,
} from "./physical-curve.js";
import { discrepancyOf, solve, variancesOf } from "./physical-solve.js";
import { groupByLength, type Point } from "./points.js";
import { type Residual, residualsOf } from "./residual.js";

/** How much slower or faster a class is than predicted. */
export interface Efficiency {
  readonly name: string;
  /** θ: seconds over predicted seconds, or over the curve's share of them where its scale is free; above 1 is slower. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Share of the prior variance that the samples removed: 0 is the prior alone, 1 measured outright. */
  readonly informed: number;
}

export interface PhysicalPrediction extends LawPrediction {
  /** Seconds of each component, in the curve's order; they add up to `seconds`. */
  readonly components: readonly { readonly name: string; readonly seconds: number }[];
}

export type PhysicalWarningCode = "no-repeats" | "prior-dominated" | "lack-of-fit" | "far-from-prior";

export interface PhysicalFit {
  readonly law: { readonly kind: "physical"; readonly efficiencies: readonly Efficiency[] };
  readonly range: { readonly from: number; readonly to: number };
  readonly samples: number;
  readonly noise: Noise;
  /** How far the whole curve moved between blocks, where it did; it widens every interval. */
  readonly drift: Drift | null;
  /** Relative misfit per length beyond the noise. */
  readonly discrepancy: number;
  readonly residuals: readonly Residual[];
  readonly outliers: readonly Outlier[];
  readonly warnings: readonly { readonly code: PhysicalWarningCode; readonly message: string }[];
  readonly level: number;
  readonly predict: (n: number) => PhysicalPrediction;
  readonly exponent: (n: number) => number;
  /** The length at which the time passes `seconds`. */
  readonly lengthAt: (seconds: number) => LengthAt;
}

export interface PhysicalOptions {
  readonly assumedNoise?: number;
  readonly level?: number;
}

const weaklyInformed = 0.5;
const farFromPrior = 3;
/** Not knowing a factor better than this far is nothing to warn of. */
const tellingSpread = 0.02;

/** On a device that nobody has measured, what an operator costs per unit of work changes with its size by about this much. */
const freePerDoubling = 0.05;

/**
 * The physical law: a model's own components timed on a device, with one factor each that the samples correct. What the
 * samples do not decide stays with its prior, and its spread stays in every interval.
 *
 * The fit is the maximum a posteriori in log seconds; intervals are the posterior's normal approximation in log θ, carried
 * to T(n) by the shares of the components, with Student's quantile (Satterthwaite's degrees of freedom of noise and
 * discrepancy).
 *
 * @param points times in seconds, one length is enough
 * @throws NsquaredError on points that cannot be, and on components without seconds or spread
 */
export function fitPhysical(
  unscaled: PhysicalCurve,
  points: readonly Point[],
  options: PhysicalOptions = {},
): PhysicalFit {
  const { assumedNoise = defaultNoise, level = defaultLevel } = options;
  const pooled = poolNoise(groupByLength(points), assumedNoise);
  const { centres, noise } = pooled;
  checkCurve(unscaled, centres);
  const curve = scaledToSamples(unscaled, centres);
  const from = centres[0]?.n ?? 0;
  const to = centres.at(-1)?.n ?? 0;
  const { discrepancy, spare } = discrepancyOf(curve, centres);
  const start = spreadsOf(curve).map(() => 0);
  const { perLength = 0 } = curve;
  const variances = variancesOf(centres, Math.max(discrepancy, perLength));
  const { logFactors, covariance, data } = solve(curve, centres, variances, start);
  const noiseVariance = centres.map((centre) => centre.variance).sort((a, b) => a - b)[centres.length >> 1] ?? 1;
  const degrees =
    (noiseVariance + discrepancy ** 2) ** 2 /
    (noiseVariance ** 2 / noise.degreesOfFreedom + discrepancy ** 4 / Math.max(1, spare));
  const carriedTo = (direction: Matrix) => direction.transpose().mmul(covariance).mmul(direction).get(0, 0);
  // Only the part of a variance that goes with the noise is as uncertain as the noise is: the prior is known.
  const quantileFor = (direction: Matrix): number => {
    const carried = covariance.mmul(direction);
    const noisy = discrepancy > 0 ? 1 : carried.transpose().mmul(data).mmul(carried).get(0, 0) / carriedTo(direction);
    return studentQuantile((1 + level) / 2, degrees / noisy ** 2);
  };
  const free = curve.scale === "free";
  const seconds = (n: number) => sum(partsAt(curve, logFactors, n));
  const predict = (n: number): PhysicalPrediction => {
    const parts = partsAt(curve, logFactors, n);
    const total = sum(parts);
    const shares = Matrix.columnVector(slopesOf(parts, curve));
    const variance = carriedTo(shares);
    const doublings = Math.max(0, Math.log2(n / to));
    const missed = Math.max(discrepancy * (1 + doublings), perLength * Math.min(1, doublings));
    const beyond = Math.hypot(missed, free ? freePerDoubling * doublings : 0);
    const quantile = quantileFor(shares);
    const width = quantile * Math.hypot(Math.sqrt(variance), beyond, levelError(pooled.drift, noise));
    const sampleWidth = Math.hypot(width, quantile * noiseAt(noise, n, from, to));
    return {
      n,
      seconds: total,
      low: total * Math.exp(-width),
      high: total * Math.exp(width),
      factor: n / to,
      sample: { low: total * Math.exp(-sampleWidth), high: total * Math.exp(sampleWidth) },
      canTell: 2 * width <= Math.log(widestUseful),
      components: curve.components.map(({ name }, k) => ({ name, seconds: parts[k] ?? 0 })),
    };
  };
  const known = typeof curve.scale === "object" ? curve.scale : null;
  const last = curve.components.length;
  /** Where the scale is known, all of what a class is slower by is in its factor; where it is free, only its share. */
  const factors = curve.components.map(({ name, logSpread }, k) => {
    const direction = Matrix.zeros(covariance.rows, 1).set(k, 0, 1);
    if (known === null) return { name, log: logFactors[k] ?? 0, direction, prior: logSpread };
    direction.set(last, 0, 1);
    const log = (logFactors[k] ?? 0) + (logFactors[last] ?? 0);
    return { name, log, direction, prior: Math.hypot(logSpread, known.logSpread) };
  });
  const efficiencies = factors.map(({ name, log, direction, prior }): Efficiency => {
    const variance = carriedTo(direction);
    const width = quantileFor(direction) * Math.sqrt(variance);
    return {
      name,
      value: Math.exp(log),
      low: Math.exp(log - width),
      high: Math.exp(log + width),
      informed: Math.max(0, 1 - variance / prior ** 2),
    };
  });
  return {
    law: { kind: "physical", efficiencies },
    range: { from, to },
    samples: points.length,
    noise,
    drift: pooled.drift,
    discrepancy,
    residuals: residualsOf(centres, seconds),
    outliers: pooled.outliers,
    warnings: warningsOf({ curve, noise, discrepancy, factors, efficiencies, to }),
    level,
    predict,
    exponent: (n) => exponentOf(seconds, n),
    lengthAt: (limit) => lengthAtOf(predict, limit),
  };
}

interface Doubted {
  readonly curve: PhysicalCurve;
  readonly noise: Noise;
  readonly discrepancy: number;
  readonly factors: readonly { readonly name: string; readonly log: number; readonly prior: number }[];
  readonly efficiencies: readonly Efficiency[];
  /** Longest length measured. */
  readonly to: number;
}

function warningsOf({ curve, noise, discrepancy, factors, efficiencies, to }: Doubted): PhysicalFit["warnings"] {
  const warnings: PhysicalFit["warnings"][number][] = [];
  const free = curve.scale === "free";
  const expected = free ? "the usual costs of the operators" : "the device model";
  if (noise.assumed) {
    const assumed = percent(noise.relative);
    warnings.push({ code: "no-repeats", message: `too few repeats to measure the noise: ${assumed} is assumed` });
  }
  const vague = efficiencies
    .filter((one, k) => one.informed < weaklyInformed && (curve.components[k]?.logSpread ?? 0) > tellingSpread)
    .map((one) => one.name);
  if (vague.length > 0) {
    const message = `lengths up to ${tokens(to)} say little of ${vague.join(", ")}: prediction there rests on ${expected}`;
    warnings.push({ code: "prior-dominated", message });
  }
  if (discrepancy > 3 * noise.relative) {
    const message = `${expected} ${free ? "miss" : "misses"} the measured lengths by ${percent(discrepancy)}, with noise of ${percent(noise.relative)}`;
    warnings.push({ code: "lack-of-fit", message });
  }
  for (const { name, log, prior } of factors) {
    if (Math.abs(log) <= farFromPrior * prior) continue;
    const times = Math.exp(log).toPrecision(2);
    const message = `${name} takes ${times} times what ${expected} ${free ? "say" : "says"}, more than the spread allows`;
    warnings.push({ code: "far-from-prior", message });
  }
  return warnings;
}
