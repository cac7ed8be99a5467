import { fisherUpperTail, studentQuantile } from "../math/distributions.js";
import type { Observation, Range } from "./basis-fit.js";
import { type Explained, type FittedLaw, type LawKind, lawKinds } from "./law.js";
import { lawFitters } from "./laws.js";
import type { Drift } from "./drift.js";
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
