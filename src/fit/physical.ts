import { CholeskyDecomposition, Matrix } from "ml-matrix";
import { badInput } from "../base/errors.js";
import { percent, tokens } from "../base/format.js";
import { studentQuantile } from "../math/distributions.js";
import type { Drift } from "./drift.js";
import { exponentOf } from "./exponent.js";
import type { LawPrediction, Residual } from "./fit-law.js";
import { levelError } from "./judge.js";
import { type LengthAt, lengthAtOf } from "./length-at.js";
import { type Centre, type Noise, type Outlier, noiseAt, poolNoise } from "./noise.js";
import { groupByLength, type Point } from "./points.js";

/** One class of operators on a device: its seconds over n, and how far off they may be. */
export interface PhysicalComponent {
  readonly name: string;
  /** Predicted seconds at length n, before any fit. */
  readonly seconds: (n: number) => number;
  /** Prior standard deviation of log(true seconds / predicted seconds): 0.2 is about ±20 %. */
  readonly logSpread: number;
}

/**
 * T(n) = s · Σ θₖ tₖ(n), with log θₖ ~ Normal(0, logSpreadₖ²). The scale s is 1 on a device that is known, give or take
 * what a machine's speed moves by (`log s ~ Normal(0, logSpread²)`); where it is `free`, nothing is known of it before
 * the samples, and components are seconds in any unit.
 */
export interface PhysicalCurve {
  readonly components: readonly PhysicalComponent[];
  readonly scale?: "free" | { readonly logSpread: number };
}

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

interface Solution {
  /** Of the components, then of the scale where it is not fixed. */
  readonly logFactors: readonly number[];
  /** Posterior covariance of the log factors. */
  readonly covariance: Matrix;
  /** What the samples alone say of them: the inverse of the covariance less the prior's part. */
  readonly data: Matrix;
  /** Lengths less the parameters that the samples, not the prior, decide. */
  readonly spare: number;
}

const widestUseful = 4;
const iterations = 60;
const weaklyInformed = 0.5;
const farFromPrior = 3;
/** Not knowing a factor better than this far is nothing to warn of. */
const tellingSpread = 0.02;

/** Prior spread of the logarithm of a free scale: none to speak of, once the curve goes through the samples. */
const freeSpread = 10;

/** On a device that nobody has measured, what an operator costs per unit of work changes with its size by about this much. */
const freePerDoubling = 0.05;

function spreadsOf({ components, scale }: PhysicalCurve): number[] {
  const own = components.map(({ logSpread }) => logSpread);
  return scale === undefined ? own : [...own, scale === "free" ? freeSpread : scale.logSpread];
}

function partsAt({ components }: PhysicalCurve, logFactors: readonly number[], n: number): number[] {
  const scale = logFactors[components.length] ?? 0;
  return components.map((component, k) => Math.exp((logFactors[k] ?? 0) + scale) * component.seconds(n));
}

/** d log T / d log θ: the share of each component, and 1 for the scale. */
function slopesOf(parts: readonly number[], { scale }: PhysicalCurve): number[] {
  const total = sum(parts);
  return [...parts.map((part) => part / total), ...(scale === undefined ? [] : [1])];
}

/** The curve, its scale where free such that it goes through the samples on average. */
function scaledToSamples(curve: PhysicalCurve, centres: readonly Centre[]): PhysicalCurve {
  if (curve.scale !== "free") return curve;
  const whole = (n: number) => sum(curve.components.map(({ seconds }) => seconds(n)));
  const level = sum(centres.map(({ n, logSeconds }) => logSeconds - Math.log(whole(n)))) / centres.length;
  const factor = Math.exp(level);
  const components = curve.components.map((one) => ({ ...one, seconds: (n: number) => factor * one.seconds(n) }));
  return { ...curve, components };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function variancesOf(centres: readonly Centre[], discrepancy: number): number[] {
  return centres.map(({ variance }) => variance + discrepancy ** 2);
}

function objective(
  curve: PhysicalCurve,
  centres: readonly Centre[],
  variances: readonly number[],
  u: readonly number[],
): number {
  const misfit = centres.reduce((total, centre, i) => {
    const residual = centre.logSeconds - Math.log(sum(partsAt(curve, u, centre.n)));
    return total + residual ** 2 / (variances[i] ?? 1);
  }, 0);
  return misfit + spreadsOf(curve).reduce((total, spread, k) => total + ((u[k] ?? 0) / spread) ** 2, 0);
}

/**
 * Maximum a posteriori of log θ by Levenberg and Marquardt's method. d log T / d log θₖ is the share of component k, so
 * each step is a least-squares problem in the shares, with the prior as one further row per factor.
 */
function solve(
  curve: PhysicalCurve,
  centres: readonly Centre[],
  variances: readonly number[],
  start: readonly number[],
): Solution {
  const spreads = spreadsOf(curve);
  const size = spreads.length;
  let u = [...start];
  let value = objective(curve, centres, variances, u);
  let damping = 1e-3;
  const system = (at: readonly number[]) => {
    const information = Matrix.zeros(size, size);
    const gradient = Matrix.zeros(size, 1);
    const data = Matrix.zeros(size, size);
    centres.forEach((centre, i) => {
      const parts = partsAt(curve, at, centre.n);
      const slopes = slopesOf(parts, curve);
      const residual = centre.logSeconds - Math.log(sum(parts));
      const precision = 1 / (variances[i] ?? 1);
      for (let row = 0; row < size; row += 1) {
        const left = slopes[row] ?? 0;
        gradient.set(row, 0, gradient.get(row, 0) + precision * left * residual);
        for (let column = 0; column < size; column += 1) {
          const cell = precision * (left * (slopes[column] ?? 0));
          data.set(row, column, data.get(row, column) + cell);
        }
      }
    });
    information.add(data);
    spreads.forEach((spread, k) => {
      information.set(k, k, information.get(k, k) + 1 / spread ** 2);
      gradient.set(k, 0, gradient.get(k, 0) - (at[k] ?? 0) / spread ** 2);
    });
    return { information, gradient, data };
  };
  for (let step = 0; step < iterations; step += 1) {
    const { information, gradient } = system(u);
    const damped = information.clone();
    for (let k = 0; k < size; k += 1) damped.set(k, k, damped.get(k, k) * (1 + damping));
    const move = new CholeskyDecomposition(damped).solve(gradient).to1DArray();
    const next = u.map((old, k) => old + (move[k] ?? 0));
    const nextValue = objective(curve, centres, variances, next);
    if (nextValue <= value) {
      const gained = value - nextValue;
      u = next;
      value = nextValue;
      damping = Math.max(1e-9, damping / 10);
      if (gained <= 1e-10 * (1 + value)) break;
    } else {
      damping *= 10;
      if (damping > 1e12) break;
    }
  }
  const { information, data } = system(u);
  const covariance = new CholeskyDecomposition(information).solve(Matrix.eye(size));
  return { logFactors: u, covariance, data, spare: centres.length - covariance.mmul(data).trace() };
}

/** Priors this much wider leave the factors free, so that only what no factor can mend counts as misfit. */
const freeing = 10;
/** Lengths that must be left over before a misfit is looked for. */
const fewestSpare = 0.5;

/**
 * Misfit per length beyond the noise: the discrepancy at which the squared residuals are what the spare lengths expect
 * (Mandel and Paule 1970). A factor far from its prior is no misfit, so the priors are widened here.
 */
function discrepancyOf(curve: PhysicalCurve, centres: readonly Centre[]): { discrepancy: number; spare: number } {
  const free = {
    ...curve,
    components: curve.components.map((component) => ({ ...component, logSpread: component.logSpread * freeing })),
  };
  let start: readonly number[] = spreadsOf(curve).map(() => 0);
  const excess = (discrepancy: number): { over: number; spare: number } => {
    const variances = variancesOf(centres, discrepancy);
    const solution = solve(free, centres, variances, start);
    start = solution.logFactors;
    const misfit = centres.reduce((total, centre, i) => {
      const residual = centre.logSeconds - Math.log(sum(partsAt(free, solution.logFactors, centre.n)));
      return total + residual ** 2 / (variances[i] ?? 1);
    }, 0);
    return { over: misfit - solution.spare, spare: solution.spare };
  };
  const plain = excess(0);
  if (plain.over <= 0 || plain.spare < fewestSpare) return { discrepancy: 0, spare: plain.spare };
  let low = 0;
  let high = 2;
  let { spare } = plain;
  for (let step = 0; step < 30; step += 1) {
    const middle = (low + high) / 2;
    const found = excess(middle);
    spare = found.spare;
    if (found.over > 0) low = middle;
    else high = middle;
  }
  return { discrepancy: high, spare };
}

function check(curve: PhysicalCurve, centres: readonly Centre[]): void {
  if (curve.components.length === 0) {
    throw badInput("no-components", { key: "components", found: 0, expected: "at least one component" });
  }
  for (const { name, seconds, logSpread } of curve.components) {
    if (!(logSpread > 0 && logSpread < 10)) {
      throw badInput("bad-spread", {
        key: `${name}.logSpread`,
        found: logSpread,
        expected: "a spread between 0 and 10",
      });
    }
    for (const { n } of centres) {
      const value = seconds(n);
      if (!(value >= 0 && Number.isFinite(value))) {
        throw badInput("bad-component", {
          key: `${name}.seconds(${n})`,
          found: value,
          expected: "seconds, not negative",
        });
      }
    }
  }
  for (const { n } of centres) {
    if (!curve.components.some(({ seconds }) => seconds(n) > 0)) {
      throw badInput("empty-curve", { key: `seconds(${n})`, found: 0, expected: "a component that takes time there" });
    }
  }
}

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
  const { assumedNoise = 0.03, level = 0.95 } = options;
  const pooled = poolNoise(groupByLength(points), assumedNoise);
  const { centres, noise } = pooled;
  check(unscaled, centres);
  const curve = scaledToSamples(unscaled, centres);
  const from = centres[0]?.n ?? 0;
  const to = centres.at(-1)?.n ?? 0;
  const { discrepancy, spare } = discrepancyOf(curve, centres);
  const start = spreadsOf(curve).map(() => 0);
  const { logFactors, covariance, data } = solve(curve, centres, variancesOf(centres, discrepancy), start);
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
    const beyond = Math.hypot(discrepancy * (1 + doublings), free ? freePerDoubling * doublings : 0);
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
  const warnings: PhysicalFit["warnings"][number][] = [];
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
  return {
    law: { kind: "physical", efficiencies },
    range: { from, to },
    samples: points.length,
    noise,
    drift: pooled.drift,
    discrepancy,
    residuals: centres.map(({ n, logSeconds, count }) => {
      const measured = Math.exp(logSeconds);
      return { n, seconds: measured, law: seconds(n), ratio: measured / seconds(n), samples: count };
    }),
    outliers: pooled.outliers,
    warnings,
    level,
    predict,
    exponent: (n) => exponentOf(seconds, n),
    lengthAt: (limit) => lengthAtOf(predict, limit),
  };
}
