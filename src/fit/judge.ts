import { fisherUpperTail, studentCdf, studentQuantile } from "../math/distributions.js";
import type { Observation, Range } from "./basis-fit.js";
import { type Explained, type FittedLaw, type LawKind, lawKinds } from "./law.js";
import { lawFitters } from "./laws.js";
import type { Drift } from "./drift.js";
import type { InformedLaw } from "./informed.js";
import type { Centre, Noise, Pooled } from "./noise.js";

/** A law with the evidence for it. */
export interface JudgedLaw {
  readonly law: FittedLaw;
  /** Corrected Akaike criterion of the law's best reduction; only differences mean something. */
  readonly aicc: number;
  /** Akaike weight among the laws tried. */
  readonly weight: number;
  /** Probability of a misfit at least this large if the law were true; null without spare lengths. */
  readonly lackOfFit: number | null;
  /** Relative misfit per length beyond the noise; 0 where the law fits. */
  readonly discrepancy: number;
  /**
   * Relative error granted to the law per doubling beyond the data. Without repeats no misfit smaller than the assumed noise
   * can show, so the law may be wrong by that much; with repeats it is 0.
   */
  readonly untested: number;
  /** Relative standard error of the whole curve's level from drift between blocks, on the scale of the quantile. */
  readonly level: number;
  /** Degrees of freedom of the interval's Student quantile. */
  readonly degreesOfFreedom: number;
}

/** A misfit less likely than this is taken for real. */
export const misfitLevel = 0.05;

export function observationsOf(centres: readonly Centre[], discrepancy = 0): Observation[] {
  return centres.map(({ n, logSeconds, variance }) => ({
    n,
    logSeconds,
    precision: 1 / (variance + discrepancy ** 2),
  }));
}

/**
 * Akaike's criterion with the small-sample correction (Hurvich and Tsai 1989), up to a constant shared by all laws. The
 * residual sum of squares is that within lengths plus that of the law; an assumed noise counts as known.
 */
export function correctedAkaike(
  law: Explained,
  noise: Pick<Noise, "assumed" | "degreesOfFreedom">,
  samples: number,
): number {
  if (noise.assumed) return law.chiSquare + 2 * law.parameterCount;
  const count = law.parameterCount + 1;
  const spare = samples - count - 1;
  if (spare <= 0) return Number.POSITIVE_INFINITY;
  return samples * Math.log1p(law.chiSquare / noise.degreesOfFreedom) + 2 * count + (2 * count * (count + 1)) / spare;
}

function misfitOf(law: Pick<FittedLaw, "seconds">, observations: readonly Observation[]): number {
  return observations.reduce((sum, { n, logSeconds, precision }) => {
    return sum + precision * (logSeconds - Math.log(law.seconds(n))) ** 2;
  }, 0);
}

/** The discrepancy that brings the misfit down to what its degrees of freedom expect (Mandel and Paule 1970). */
export function discrepancyOf(law: Pick<FittedLaw, "seconds">, centres: readonly Centre[], spare: number): number {
  let low = 0;
  let high = 10;
  for (let step = 0; step < 50; step += 1) {
    const middle = (low + high) / 2;
    if (misfitOf(law, observationsOf(centres, middle)) > spare) low = middle;
    else high = middle;
  }
  return high;
}

/**
 * The mean level of a few blocks is uncertain by Student's quantile with blocks − 1 degrees of freedom; returned as the
 * standard error that gives the same 95 % interval with the noise's own quantile.
 */
export function levelError(drift: Drift | null, noise: Noise): number {
  if (drift === null) return 0;
  const wider = studentQuantile(0.975, drift.blocks - 1) / studentQuantile(0.975, noise.degreesOfFreedom);
  return (drift.relative / Math.sqrt(drift.blocks)) * wider;
}

type Plain = Omit<JudgedLaw, "weight">;

function judge(kind: LawKind, pooled: Pooled, samples: number): Plain | null {
  const { centres, noise } = pooled;
  const law = lawFitters[kind](observationsOf(centres));
  if (law === null) return null;
  const spare = centres.length - law.parameterCount;
  return {
    law,
    aicc: Math.min(...law.reductions.map((one) => correctedAkaike(one, noise, samples))),
    lackOfFit: spare <= 0 ? null : fisherUpperTail(law.chiSquare / spare, spare, noise.degreesOfFreedom),
    discrepancy: 0,
    untested: noise.assumed ? noise.relative : 0,
    level: levelError(pooled.drift, noise),
    degreesOfFreedom: noise.degreesOfFreedom,
  };
}

/** A law that misses its lengths is fitted again with its misfit as a further variance of every length. */
function withDiscrepancy(plain: JudgedLaw, { centres }: Pooled): JudgedLaw {
  if (plain.lackOfFit === null || plain.lackOfFit >= misfitLevel) return plain;
  const fitter = lawFitters[plain.law.kind];
  const spare = centres.length - plain.law.parameterCount;
  let { law } = plain;
  let discrepancy = 0;
  for (let round = 0; round < 2; round += 1) {
    discrepancy = discrepancyOf(law, centres, spare);
    law = fitter(observationsOf(centres, discrepancy)) ?? law;
  }
  return { ...plain, law, discrepancy, degreesOfFreedom: spare };
}

/** Laws less likely than this are beyond repair: their misfit is not estimated. */
const hopelessWeight = 1e-4;

/** Every law that can be fitted to the samples, with its evidence; the most likely first. */
export function judgeLaws(pooled: Pooled, kinds: readonly LawKind[] = lawKinds): JudgedLaw[] {
  const samples = pooled.centres.reduce((sum, centre) => sum + centre.weight, 0);
  const judged = kinds.flatMap((kind) => judge(kind, pooled, samples) ?? []);
  const least = Math.min(...judged.map((one) => one.aicc));
  const evidence = judged.map((one) => (Number.isFinite(one.aicc) ? Math.exp(-(one.aicc - least) / 2) : 0));
  const total = evidence.reduce((sum, value) => sum + value, 0);
  return judged
    .map((one, i) => ({ ...one, weight: total > 0 ? (evidence[i] ?? 0) / total : 1 / judged.length }))
    .map((one) => (one.weight < hopelessWeight ? one : withDiscrepancy(one, pooled)))
    .sort((left, right) => left.aicc - right.aicc);
}

/** Interval of seconds(n) under one law; beyond the data its discrepancy counts once more per doubling. */
export function rangeOfLaw(judged: JudgedLaw, n: number, longest: number, level: number): Range & { seconds: number } {
  const quantile = studentQuantile((1 + level) / 2, judged.degreesOfFreedom);
  const seconds = judged.law.seconds(n);
  const range = judged.law.range(n, quantile ** 2);
  const doublings = Math.max(0, Math.log2(n / longest));
  const extra = quantile * Math.hypot(judged.discrepancy * (1 + doublings), judged.untested * doublings, judged.level);
  const wider = (bound: number) => Math.hypot(Math.log(bound / seconds), extra);
  return { seconds, low: seconds * Math.exp(-wider(range.low)), high: seconds * Math.exp(wider(range.high)) };
}

/** Weights below this change no interval. */
const leastWeight = 0.01;

/** A law, or one shape of it, as a part of an average: log seconds at one length with a standard error on either side. */
interface Part {
  readonly weight: number;
  readonly middle: number;
  readonly below: number;
  readonly above: number;
  readonly degreesOfFreedom: number;
}

function partOf(one: JudgedLaw, n: number, longest: number, level: number): Part {
  const range = rangeOfLaw(one, n, longest, level);
  const quantile = studentQuantile((1 + level) / 2, one.degreesOfFreedom);
  const middle = Math.log(range.seconds);
  return {
    weight: one.weight,
    middle,
    below: Math.max((middle - Math.log(range.low)) / quantile, 1e-9),
    above: Math.max((Math.log(range.high) - middle) / quantile, 1e-9),
    degreesOfFreedom: one.degreesOfFreedom,
  };
}

/** The log seconds below which a share of the parts' weighted distributions lies. */
function quantileOf(parts: readonly Part[], share: number): number {
  const reach = 8;
  let left = Math.min(...parts.map((part) => part.middle - reach * part.below));
  let right = Math.max(...parts.map((part) => part.middle + reach * part.above));
  for (let step = 0; step < 40; step += 1) {
    const middle = (left + right) / 2;
    if (tailOf(parts, middle) < share) left = middle;
    else right = middle;
  }
  return (left + right) / 2;
}

/** Weighted share of the parts' distributions below some log seconds. */
function tailOf(parts: readonly Part[], logSeconds: number): number {
  let sum = 0;
  let total = 0;
  for (const part of parts) {
    total += part.weight;
    sum += part.weight * shareBelow(part, logSeconds);
  }
  return sum / total;
}

function shareBelow(part: Part, logSeconds: number): number {
  const away = logSeconds - part.middle;
  return studentCdf(away / (away < 0 ? part.below : part.above), part.degreesOfFreedom);
}

/** Limits that leave (1 − level)/2 of the parts' weighted tail areas outside on either side (Turek and Fletcher 2012). */
function tailAreas(parts: readonly Part[], level: number): Range {
  const outside = (1 - level) / 2;
  return { low: Math.exp(quantileOf(parts, outside)), high: Math.exp(quantileOf(parts, 1 - outside)) };
}

const mirrored = (part: Part): Part => ({ ...part, middle: -part.middle, below: part.above, above: part.below });

/**
 * Part of the error at the high end that a truth at the low end runs as well. 1 where errors are alike on both sides. Near 0
 * where the selected law makes the low end and other laws, or coefficients that are 0 there and cannot be less, make the high
 * one far off: a truth at the low end is then missed by nothing else.
 */
function overlap(parts: readonly Part[], selected: Part, low: number, high: number, outside: number): number {
  const total = parts.reduce((sum, part) => sum + part.weight, 0);
  const made = ((selected.weight / total) * shareBelow(selected, low)) / outside;
  const missed = studentCdf((selected.middle - high) / selected.below, selected.degreesOfFreedom) / outside;
  return 1 - made * (1 - Math.min(1, missed));
}

/**
 * Limits by tail areas, where an end that the other one cannot help takes the error of both: a straight line with a square
 * that may be hidden is missed from below or from above, never by both, as it is one of the two (Imbens and Manski 2004).
 */
function endsOf(parts: readonly Part[], selected: Part, level: number): Range {
  const outside = (1 - level) / 2;
  const low = quantileOf(parts, outside);
  const high = quantileOf(parts, 1 - outside);
  const below = (1 - level) / (1 + overlap(parts, selected, low, high, outside));
  const above = (1 - level) / (1 + overlap(parts.map(mirrored), mirrored(selected), -high, -low, outside));
  return { low: Math.exp(quantileOf(parts, below)), high: Math.exp(quantileOf(parts, 1 - above)) };
}

/** Interval over all laws, by model-averaged tail areas. Where one law has all the weight it is that law's own interval. */
export function averagedRange(
  laws: readonly JudgedLaw[],
  selected: JudgedLaw,
  n: number,
  longest: number,
  level: number,
): Range {
  const likely = laws.filter((one) => one.weight >= leastWeight);
  if (likely.length === 1) return rangeOfLaw(selected, n, longest, level);
  const parts = likely.map((one) => partOf(one, n, longest, level));
  return endsOf(parts, partOf(selected, n, longest, level), level);
}

/** What an average over laws says of one length. */
export interface Averaged extends Range {
  readonly seconds: number;
}

/** Laws that the informed law replaces: it holds both, with a prior between them. */
const replaced: ReadonlySet<LawKind> = new Set(["linear", "quadratic"]);

/** Each law of an average by its name, with its weight; `quadratic` stands for the law with a prior. */
export function averageWeights(laws: readonly JudgedLaw[], informed: InformedLaw): Map<LawKind, number> {
  const others = laws.filter((one) => !replaced.has(one.law.kind));
  const all: [LawKind, number][] = [
    ["quadratic", informed.aicc],
    ...others.map((one) => [one.law.kind, one.aicc] as [LawKind, number]),
  ];
  const least = Math.min(...all.map(([, aicc]) => aicc));
  const total = all.reduce((sum, [, aicc]) => sum + Math.exp((least - aicc) / 2), 0);
  return new Map(all.map(([kind, aicc]) => [kind, Math.exp((least - aicc) / 2) / total]));
}

/**
 * The average over the laws and the informed law, which stands for the line and the quadratic: the geometric mean by
 * Akaike weights, with tail areas.
 */
export function informedAverage(
  laws: readonly JudgedLaw[],
  informed: InformedLaw,
  longest: number,
  level: number,
): (n: number) => Averaged {
  const weights = averageWeights(laws, informed);
  const own = weights.get("quadratic") ?? 0;
  const others = laws
    .filter((one) => !replaced.has(one.law.kind))
    .map((one) => ({ ...one, weight: weights.get(one.law.kind) ?? 0 }))
    .filter((one) => one.weight >= leastWeight);
  return (n) => {
    const error = Math.hypot(informed.levelError, informed.perDoubling * Math.max(0, Math.log2(n / longest)));
    const shapes = informed.shapes.map(
      (shape): Part => ({
        weight: own * shape.weight,
        middle: shape.logSeconds(n),
        below: error,
        above: error,
        degreesOfFreedom: Number.POSITIVE_INFINITY,
      }),
    );
    const parts: Part[] = [...shapes, ...others.map((one) => partOf(one, n, longest, level))];
    const total = parts.reduce((sum, part) => sum + part.weight, 0);
    const middle = parts.reduce((sum, part) => sum + part.weight * part.middle, 0) / total;
    return { seconds: Math.exp(middle), ...tailAreas(parts, level) };
  };
}
