import { badInput } from "../base/errors.js";
import {
  type Coefficients,
  type FitOptions,
  type LawFit,
  type PhysicalCurve,
  type PhysicalFit,
  type Point,
  fitLaw,
  fitPhysical,
  planLengths,
} from "../fit/index.js";
import { type Run, cachedBefore, isUsable, lengthOf } from "../runs/schema.js";
import type { FitDocument } from "./documents/fit.js";
import type { MeasuredPhase } from "./measure.js";

export interface RunFitOptions extends Omit<FitOptions, "laws"> {
  /** Which phase's samples; the first of prefill, decode, decode-uncached that the run has where it is left out. */
  readonly phase?: MeasuredPhase;
  /** Lengths to extrapolate to; twice, four and eight times the longest where it is left out. */
  readonly at?: readonly number[];
  /** `auto` selects; `quadratic` and `linear` are fitted without asking whether others do better. */
  readonly law?: "auto" | "linear" | "quadratic";
  /** Seconds of the model class by class, on the device of the run or on one that nobody measured: gives the physical law. */
  readonly curve?: PhysicalCurve;
}

/** A run's samples of one phase under one law. */
export interface RunFit {
  readonly phase: MeasuredPhase;
  readonly points: readonly Point[];
  /** The law of the samples alone. */
  readonly blind: LawFit;
  /** The law with the model's own operators, where the model is known. */
  readonly physical: PhysicalFit | null;
}

const order: readonly MeasuredPhase[] = ["prefill", "decode", "decode-uncached"];

/** The batch, or number of requests at once, that a report is about: the plan's first. */
export function batchOf(run: Run): number {
  return run.plan.cells[0]?.batch ?? 1;
}

/** The cached tokens before a prefill that a report is about: the fewest there are. */
export function depthOf(run: Run, phase: MeasuredPhase): number {
  const depths = run.plan.cells.filter((cell) => cell.phase === phase).map(cachedBefore);
  return depths.length === 0 ? 0 : Math.min(...depths);
}

/** Usable samples of a phase, as the statistics want them. */
function pointsOf(run: Run, phase: MeasuredPhase): Point[] {
  const batch = batchOf(run);
  const depth = depthOf(run, phase);
  return run.samples
    .filter((sample) => sample.phase === phase && sample.batch === batch && cachedBefore(sample) === depth)
    .filter(isUsable)
    .map((sample) => ({ n: lengthOf(sample), seconds: sample.seconds, block: sample.block }));
}

/** The phases a run has usable samples of. */
export function measuredPhases(run: Run): MeasuredPhase[] {
  return order.filter((phase) => pointsOf(run, phase).length > 0);
}

/**
 * The law that a run's samples follow.
 *
 * @throws NsquaredError where the run has no usable samples of the phase, or too few lengths
 */
export function fitRun(run: Run, options: RunFitOptions = {}): RunFit {
  const present = measuredPhases(run);
  const phase = options.phase ?? present[0];
  if (phase === undefined || !present.includes(phase)) {
    throw badInput("no-samples", {
      where: run.id,
      key: "phase",
      found: phase ?? "none",
      expected: present.length === 0 ? "the run has no usable samples" : `the run has ${present.join(", ")}`,
    });
  }
  return fitPoints(phase, pointsOf(run, phase), options);
}

/** The law that samples of one phase follow, wherever they come from. */
export function fitPoints(phase: MeasuredPhase, points: readonly Point[], options: RunFitOptions = {}): RunFit {
  const statistics: FitOptions = {
    ...(options.assumedNoise === undefined ? {} : { assumedNoise: options.assumedNoise }),
    ...(options.level === undefined ? {} : { level: options.level }),
  };
  const axis = options.axis ?? (phase === "decode" ? "depth" : "length");
  const law = options.law ?? "auto";
  const blind = fitLaw(points, { ...statistics, axis, ...(law === "auto" ? {} : { laws: [law] }) });
  return {
    phase,
    points,
    blind,
    physical: options.curve === undefined ? null : fitPhysical(options.curve, points, statistics),
  };
}

/** Multiples of the longest length that are told where no length is asked for. */
export const defaultFactors = [2, 4, 8] as const;

/** What a fit is about, for its document. */
export interface FitSubject {
  readonly path: string;
  readonly model: string;
  /** Where samples came from that are no run of ours. */
  readonly source?: FitDocument["source"];
  /** Whose operators the physical law is of, and on which device; null where nobody has measured it. */
  readonly physical?: { readonly model: string; readonly device: string | null };
  readonly warnings?: FitDocument["warnings"];
}

/** What is asked of a fit beside its law. */
export interface FitQuestions {
  /** Lengths to extrapolate to; twice, four and eight times the longest where it is left out. */
  readonly at?: readonly number[];
  /** Seconds: at which length does the time pass them? */
  readonly limit?: number;
  /** Which lengths to measure next, so that the interval at `target` shrinks most in so many seconds. */
  readonly next?: { readonly target: number; readonly seconds: number };
}

/** A fitted run as one plain document. */
export function fitDocumentOf(run: Run, path: string, fit: RunFit, at?: readonly number[]): FitDocument {
  return fitDocumentAbout({ path, model: run.model.name }, fit, at === undefined ? {} : { at });
}

/** Any fit as one plain document. */
export function fitDocumentAbout(subject: FitSubject, fit: RunFit, questions: FitQuestions = {}): FitDocument {
  const { blind, physical, phase } = fit;
  const chosen = physical ?? blind;
  const { to } = chosen.range;
  const lengths = [...new Set(fit.points.map((point) => point.n))].sort((a, b) => a - b);
  const polynomial = polynomialOf(blind);
  const { at, limit, next } = questions;
  const { coefficients } = polynomial;
  return {
    schema: "nsquared/fit@1",
    run: subject.path,
    model: subject.model,
    ...(subject.source === undefined ? {} : { source: subject.source }),
    phase,
    level: chosen.level,
    range: chosen.range,
    samples: chosen.samples,
    noise: { relative: chosen.noise.relative, assumed: chosen.noise.assumed },
    law: {
      kind: chosen.law.kind,
      expression: blind.law.expression,
      coefficients: {
        constant: { ...coefficients.constant },
        linear: { ...coefficients.linear },
        quadratic: { ...coefficients.quadratic },
      },
      coefficientsOf: polynomial.kind,
      ...(physical === null ? {} : { efficiencies: physical.law.efficiencies.map((one) => ({ ...one })) }),
      ...(subject.physical === undefined ? {} : { operators: subject.physical }),
    },
    crossover: crossoverOf(polynomial.crossover),
    ...(physical !== null || blind.average === null ? {} : { average: blind.average.map((one) => ({ ...one })) }),
    exponents: lengths.map((n) => ({ n, exponent: chosen.exponent(n) })),
    extrapolation: (at ?? defaultFactors.map((factor) => factor * to)).map((n) => {
      const { seconds, low, high, factor, canTell } = chosen.predict(n);
      return { n, seconds, low, high, factor, canTell };
    }),
    ...(limit === undefined ? {} : { limit: { seconds: limit, ...chosen.lengthAt(limit) } }),
    ...(next === undefined ? {} : { next: { ...next, lengths: planLengths(blind, next) } }),
    residuals: chosen.residuals.map((residual) => ({ ...residual })),
    candidates: blind.candidates.map(({ kind, deltaAicc, weight, rejected }) => ({
      kind,
      deltaAicc,
      weight,
      rejected,
    })),
    warnings: [...(subject.warnings ?? []), ...warningsOf(fit)],
  };
}

/** What is to be doubted about the law that is shown; the blind law's doubts do not touch a physical one. */
export function warningsOf(fit: RunFit): FitDocument["warnings"] {
  const { warnings } = fit.physical ?? fit.blind;
  return warnings.map(({ code, message }) => ({ code, message }));
}

/** The samples as constant + linear + quadratic: the selected law where it is one, else the quadratic beside it. */
export function polynomialOf(fit: LawFit): {
  readonly kind: string;
  readonly coefficients: Coefficients;
  readonly crossover: LawFit["crossover"];
} {
  const { law, asQuadratic } = fit;
  if (law.coefficients !== null) return { kind: law.kind, coefficients: law.coefficients, crossover: fit.crossover };
  if (asQuadratic !== null) return { kind: "quadratic", ...asQuadratic };
  throw new Error(`the ${law.kind} law has no coefficients`);
}

/** A crossover as documents have it: null where there is no quadratic part. */
export function crossoverOf(crossover: LawFit["crossover"]): FitDocument["crossover"] {
  if (crossover === null || crossover.n === null) return null;
  return { n: crossover.n, low: crossover.low, high: crossover.high };
}
