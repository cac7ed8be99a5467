import { once } from "../base/once.js";
import { badInput } from "../base/errors.js";
import { studentQuantile } from "../math/distributions.js";
import { averagedRange, averageWeights, informedAverage } from "./average.js";
import { holdOut, type HoldOut } from "./hold-out.js";
import { defaultLevel, defaultNoise, widestUseful } from "./defaults.js";
import type { Drift } from "./drift.js";
import { exponentOf, smoothSpan } from "./exponent.js";
import { type InformedLaw, informedLaw } from "./informed.js";
import { type JudgedLaw, judgeLaws, observationsOf } from "./judge.js";
import { type LawKind, lawKinds } from "./law.js";
import { type LengthAt, lengthAtOf } from "./length-at.js";
import { type Bimodality, bimodalityOf } from "./bimodality.js";
import { type Noise, type Outlier, type Pooled, noiseAt, poolNoise } from "./noise.js";
import { groupByLength, type Point } from "./points.js";
import { type Coefficients, coefficientsOf, type Crossover, crossoverOf, settlingLength } from "./polynomial.js";
import { type Residual, residualsOf } from "./residual.js";
import { reasonAgainst, selectLaw } from "./select.js";
import { type FitWarning, warningsOf } from "./warnings.js";
import { weakGroundOf } from "./weak-ground.js";

export interface FitOptions {
  /** Laws to choose from; one kind fixes the law. All by default. */
  readonly laws?: readonly LawKind[];
  /** Relative noise assumed where there are no repeats. Default 0.03. */
  readonly assumedNoise?: number;
  /** Level of all intervals. Default 0.95. */
  readonly level?: number;
  /**
   * What the length is: new tokens (`length`, the default), or the context that steps of equal size attend to (`depth`), over
   * which time is a straight line.
   */
  readonly axis?: "length" | "depth";
}

/** What the law says of one length. */
export interface LawPrediction {
  readonly n: number;
  /** Seconds that the selected law gives; without repeats those of the average over the laws (`average`). */
  readonly seconds: number;
  /** Interval of the typical (median) time at n, over the laws that the samples allow. */
  readonly low: number;
  readonly high: number;
  /** n over the longest length measured: above 1 it is an extrapolation. */
  readonly factor: number;
  /** Interval of a single further sample: the noise is added. */
  readonly sample: { readonly low: number; readonly high: number };
  /**
   * False where the samples cannot tell: the interval is wider than a factor of four, or the length is more than twice the
   * longest measured and the law rests on a bend or a late change of regime, or a square that a straight line's samples do
   * not rule out may make more than half of the time (the warnings say which).
   */
  readonly canTell: boolean;
}

/** A law that was tried, with what spoke for and against it. */
export interface Candidate {
  readonly kind: LawKind;
  readonly expression: string;
  /** AICc above the least of all laws. */
  readonly deltaAicc: number;
  /** Akaike weight. */
  readonly weight: number;
  /** Probability of so large a misfit if the law were true; null without spare lengths. */
  readonly lackOfFit: number | null;
  readonly holdOut: HoldOut | null;
  readonly selected: boolean;
  /** Why it was not selected; null for the selected law. */
  readonly rejected: string | null;
}

/**
 * A law with everything that is known about it. Plain data but for the three pure functions at the end; `candidates` and
 * `warnings`, which need every law fitted once more without the longest lengths, are made when they are first asked for.
 */
export interface LawFit {
  readonly law: {
    readonly kind: LawKind;
    readonly expression: string;
    /** Null for laws that are no polynomial. */
    readonly coefficients: Coefficients | null;
    /** Every named value of the law, without intervals. */
    readonly parameters: Readonly<Record<string, number>>;
  };
  /** The samples read as constant + linear + quadratic whichever law was selected; null where that was not among the laws. */
  readonly asQuadratic: { readonly coefficients: Coefficients; readonly crossover: Crossover } | null;
  readonly candidates: readonly Candidate[];
  /** Lengths it rests on. */
  readonly range: { readonly from: number; readonly to: number };
  readonly samples: number;
  readonly noise: Noise;
  /** How far the whole curve moved between blocks, where it did; it widens every interval. */
  readonly drift: Drift | null;
  /** Relative misfit of the law beyond the noise; it widens every interval. */
  readonly discrepancy: number;
  /** Null for laws that are no polynomial. */
  readonly crossover: Crossover | null;
  readonly residuals: readonly Residual[];
  readonly outliers: readonly Outlier[];
  /** Two clusters of samples, where there are any. */
  readonly modes: Bimodality | null;
  readonly warnings: readonly FitWarning[];
  /**
   * Laws that predictions average over, with their weights; null where predictions are the selected law's. Without repeats
   * the samples do not decide between the laws; `quadratic` then is the law with a prior on its crossover and constant.
   */
  readonly average: readonly { readonly kind: LawKind; readonly weight: number }[] | null;
  readonly level: number;
  readonly predict: (n: number) => LawPrediction;
  /** d log T / d log n. */
  readonly exponent: (n: number) => number;
  /** The length at which the typical time passes `seconds`. */
  readonly lengthAt: (seconds: number) => LengthAt;
}

function checked(options: FitOptions): { kinds: readonly LawKind[]; assumedNoise: number; level: number } {
  const { laws = lawKinds, assumedNoise = defaultNoise, level = defaultLevel } = options;
  if (laws.length === 0)
    throw badInput("no-laws", { key: "laws", found: laws, expected: `some of ${lawKinds.join(", ")}` });
  if (!(assumedNoise > 0 && assumedNoise < 1)) {
    throw badInput("bad-noise", {
      key: "assumedNoise",
      found: assumedNoise,
      expected: "a share between 0 and 1, as 0.03",
    });
  }
  if (!(level > 0.5 && level < 1)) {
    throw badInput("bad-level", { key: "level", found: level, expected: "a share between 0.5 and 1, as 0.95" });
  }
  return { kinds: laws, assumedNoise, level };
}

/**
 * Values of the selected polynomial with the intervals of the quadratic law: that the quadratic term was left out is a
 * choice, and the other coefficients' intervals must hold where it was the wrong one.
 */
function widened(selected: Coefficients, quadratic: Coefficients): Coefficients {
  const join = (key: keyof Coefficients) => {
    const { value } = selected[key];
    return { value, low: Math.min(value, quadratic[key].low), high: Math.max(value, quadratic[key].high) };
  };
  return { constant: join("constant"), linear: join("linear"), quadratic: join("quadratic") };
}

/** Slack of chiSquare and spread of the level that an interval of a law takes. */
function boundsOf(one: JudgedLaw, level: number): [slack: number, spread: number] {
  const quantile = studentQuantile((1 + level) / 2, one.degreesOfFreedom);
  return [quantile ** 2, Math.exp(quantile * one.level)];
}

/** Slack of chiSquare for a question that is asked of one side only, as whether a square may be this large. */
function oneSidedSlack(one: JudgedLaw, level: number): number {
  return studentQuantile(level, one.degreesOfFreedom) ** 2;
}

interface QuadraticReading {
  readonly coefficients: Coefficients;
  readonly crossover: Crossover;
  /** Length that would tell the quadratic term from zero. */
  readonly settles: () => number | null;
}

const fewestForAverage = 3;

/** Laws that are selected only where the samples show them plainly. */
const shaped: ReadonlySet<LawKind> = new Set(["hinge", "steps", "two-regimes"]);

/** Whether the samples leave open which law it is, and what is known of Transformers shall help. */
function isOpen(
  { noise, centres }: Pooled,
  kinds: readonly LawKind[],
  selected: LawKind,
  { axis }: FitOptions,
): boolean {
  if (kinds.length < 2 || axis === "depth" || shaped.has(selected)) return false;
  return noise.assumed && centres.length >= fewestForAverage;
}

/** Weight of the informed law in the average below which the samples contradict its prior, as a pure n² does. */
const leastInformed = 0.05;

/** The law with what is known of Transformers; null where the samples contradict it. */
function believable({ centres, noise }: Pooled, judged: readonly JudgedLaw[]): InformedLaw | null {
  const informed = informedLaw(centres, noise.relative);
  return (averageWeights(judged, informed).get("quadratic") ?? 0) < leastInformed ? null : informed;
}

/**
 * Over the context a straight line is right for long contexts and bends at short ones, by what single samples cannot tell
 * from noise. Without repeats a length may therefore miss the law by the assumed noise per doubling below the longest.
 */
function leaning(pooled: Pooled, axis: "length" | "depth"): Pooled {
  const longest = pooled.centres.at(-1)?.n ?? 1;
  if (axis === "length" || !pooled.noise.assumed) return pooled;
  const centres = pooled.centres.map((centre) => ({
    ...centre,
    variance: centre.variance * (1 + Math.log2(longest / centre.n) ** 2),
  }));
  return { ...pooled, centres };
}

/** How far beyond the data a settling length is looked for. */
const furthestFactor = 256;

function quadraticReading(judged: readonly JudgedLaw[], pooled: Pooled, level: number): QuadraticReading | null {
  const one = judged.find((candidate) => candidate.law.kind === "quadratic");
  const fit = one?.law.polynomial ?? null;
  if (one === undefined || fit === null) return null;
  const [slack, spread] = boundsOf(one, level);
  const coefficients = coefficientsOf(fit, slack, spread);
  const { value, high } = coefficients.quadratic;
  const observations = observationsOf(pooled.centres, one.discrepancy);
  const most = (pooled.centres.at(-1)?.n ?? 0) * furthestFactor;
  const settles = () => settlingLength(fit, observations, Math.max(value, high / 2), most);
  return { coefficients, crossover: crossoverOf(fit, slack), settles };
}

function candidatesOf(
  judged: readonly JudgedLaw[],
  selected: JudgedLaw,
  held: ReadonlyMap<LawKind, HoldOut>,
): Candidate[] {
  const least = Math.min(...judged.map((one) => one.aicc));
  return judged.map((one) => ({
    kind: one.law.kind,
    expression: one.law.expression,
    deltaAicc: Number.isFinite(one.aicc) ? one.aicc - least : 0,
    weight: one.weight,
    lackOfFit: one.lackOfFit,
    holdOut: held.get(one.law.kind) ?? null,
    selected: one === selected,
    rejected: one === selected ? null : reasonAgainst(one, selected, held.get(one.law.kind)),
  }));
}

/**
 * The law that samples follow, with honest intervals.
 *
 * Samples are centred robustly at each length, their noise is pooled within lengths, laws with non-negative coefficients
 * are fitted in log seconds, and every interval is a profile likelihood with Student's quantile. A law that misses the
 * lengths by more than the noise carries that misfit in its intervals, and an extrapolation averages over the laws the
 * samples allow.
 *
 * @param points times in seconds; at least two different lengths
 * @throws NsquaredError on lengths or times that cannot be, and where all lengths are the same
 */
export function fitLaw(points: readonly Point[], options: FitOptions = {}): LawFit {
  const { kinds, assumedNoise, level } = checked(options);
  const groups = groupByLength(points);
  const from = groups[0]?.n ?? 0;
  const to = groups.at(-1)?.n ?? 0;
  if (groups.length < 2) {
    throw badInput("one-length", {
      key: "points",
      found: from,
      expected: "at least two different lengths; a law needs them",
    });
  }
  const pooled = leaning(poolNoise(groups, assumedNoise), options.axis ?? "length");
  const modes = bimodalityOf(pooled.residuals);
  const judged = judgeLaws(pooled, kinds);
  const selected = selectLaw(judged);
  if (selected === undefined) {
    throw badInput("too-few-lengths", {
      key: "points",
      found: groups.length,
      expected: `more lengths for ${kinds.join(", ")}`,
    });
  }
  const { law } = selected;
  const reading = quadraticReading(judged, pooled, level);
  const own = law.polynomial === null ? null : coefficientsOf(law.polynomial, ...boundsOf(selected, level));
  const coefficients = own === null || reading === null ? own : widened(own, reading.coefficients);
  const crossover =
    own === null || reading === null ? null : { ...reading.crossover, ...(law.kind === "linear" ? { n: null } : {}) };
  // Over the context there is no square to fear: each step does the same work but for the tokens it attends to.
  const quadratic = options.axis === "depth" ? null : (judged.find((one) => one.law.kind === "quadratic") ?? null);
  const weak = weakGroundOf(selected, pooled, quadratic, oneSidedSlack(quadratic ?? selected, level), to);
  const averaged = selected.weight > 0 ? judged : [{ ...selected, weight: 1 }];
  const { noise } = pooled;
  const quantile = studentQuantile((1 + level) / 2, noise.degreesOfFreedom);
  const informed = isOpen(pooled, kinds, law.kind, options) ? believable(pooled, judged) : null;
  const average = informed === null ? null : informedAverage(judged, informed, to, level);
  const predict = (n: number): LawPrediction => {
    const range = average?.(n) ?? { seconds: law.seconds(n), ...averagedRange(averaged, selected, n, to, level) };
    const { seconds } = range;
    const low = Math.min(range.low, seconds);
    const high = Math.max(range.high, seconds);
    const spread = quantile * noiseAt(noise, n, from, to);
    return {
      n,
      seconds,
      low,
      high,
      factor: n / to,
      sample: {
        low: seconds * Math.exp(-Math.hypot(Math.log(seconds / low), spread)),
        high: seconds * Math.exp(Math.hypot(Math.log(high / seconds), spread)),
      },
      canTell: high <= widestUseful * low && (weak === null || n <= weak.reliable),
    };
  };
  const residuals = residualsOf(pooled.centres, law.seconds);
  const held = once(() => holdOut(pooled, kinds));
  const candidates = once(() => candidatesOf(judged, selected, held()));
  const warnings = once(() =>
    warningsOf({
      pooled,
      modes,
      weak,
      selected,
      judged,
      held: held(),
      coefficients,
      settles: reading?.settles() ?? null,
      residuals,
      to,
    }),
  );
  return {
    law: { kind: law.kind, expression: law.expression, coefficients, parameters: law.parameters },
    asQuadratic: reading === null ? null : { coefficients: reading.coefficients, crossover: reading.crossover },
    get candidates() {
      return candidates();
    },
    range: { from, to },
    samples: points.length,
    noise,
    drift: pooled.drift,
    discrepancy: selected.discrepancy,
    crossover,
    residuals,
    outliers: pooled.outliers,
    modes,
    get warnings() {
      return warnings();
    },
    average:
      informed === null
        ? null
        : [...averageWeights(judged, informed)]
            .map(([kind, weight]) => ({ kind, weight }))
            .sort((left, right) => right.weight - left.weight),
    level,
    predict,
    exponent: (n) => exponentOf(law.seconds, n, law.kind === "steps" ? 2 : smoothSpan),
    lengthAt: (seconds) => lengthAtOf(predict, seconds),
  };
}
