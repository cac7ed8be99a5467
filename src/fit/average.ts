import { studentCdf, studentQuantile } from "../math/distributions.js";
import type { Range } from "./basis-fit.js";
import type { InformedLaw } from "./informed.js";
import { type JudgedLaw, rangeOfLaw } from "./judge.js";
import type { LawKind } from "./law.js";

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
