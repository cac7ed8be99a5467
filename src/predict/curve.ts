import { once } from "../base/once.js";
import type { Seconds } from "../base/units.js";
import { type OperatorClass, operatorClasses } from "../hardware/efficiency.js";
import type { DeviceRecord } from "../hardware/record.js";
import { classSpread } from "../hardware/time.js";
import type { ModelDescription } from "../model/types.js";
import { type Interval, logNormalInterval, notBelow } from "./interval.js";
import { leastSeconds } from "./least.js";
import type { CurveOperator, Pass } from "./operators.js";
import { type CurvePhase, type Plan, type PlanOptions, makePlan } from "./plan.js";
import { type Schedule, decodePass, defaultSchedule, prefillPass } from "./schedule.js";
import { sumOf } from "./sums.js";
import { type Work, worksOf } from "./works.js";

export type { CurveOperator } from "./operators.js";
export type { CurvePhase } from "./plan.js";

export interface CurveOptions extends PlanOptions, Schedule {
  readonly phase: CurvePhase;
}

/** All operators of one class: one free efficiency of the physical law. */
export interface CurveComponent {
  readonly name: OperatorClass;
  readonly seconds: (length: number) => Seconds;
  /** Standard deviation of log(true seconds / predicted seconds). */
  readonly logSpread: number;
}

/** Predicted seconds of one phase as a function of the length alone: T(n) = Σ θₖ tₖ(n), every θ at 1. */
export interface Curve extends Pass {
  readonly phase: CurvePhase;
  /** The operators with equals together. */
  readonly works: readonly Work[];
  /** The same sum with fewer members, where a length allows it. */
  readonly worksAt: (length: number) => readonly Work[];
  readonly components: readonly CurveComponent[];
  /** Spread that all components share: what the engine adds. */
  readonly commonSpread: number;
  readonly seconds: (length: number) => Seconds;
  readonly interval: (length: number) => Interval;
  /** Seconds that the data sheet lets nothing beat: no interval goes below. */
  readonly least: (length: number) => Seconds;
  /** Local exponent d log T / d log length. */
  readonly exponent: (length: number) => number;
}

/** Factor to either side of the central difference behind the exponent: where chunks begin, far enough for several. */
const smooth = 1.01;
const stepped = 2;

/**
 * The curve of a model on a device. Compiled: one evaluation costs about as much as a polynomial per kind of operator.
 */
export function predictCurve(
  model: ModelDescription,
  device: DeviceRecord,
  options: Partial<CurveOptions> = {},
): Curve {
  return curveOf(makePlan(model, device, options), options.phase ?? "prefill", options);
}

/** The curve of a plan, of one phase under a schedule. */
export function curveOf(plan: Plan, phase: CurvePhase, schedule: Partial<Schedule> = {}): Curve {
  const chosen = { ...defaultSchedule, ...schedule };
  const pass = phase === "prefill" ? prefillPass(plan, chosen) : decodePass(plan, chosen);
  return curveOfPass(plan, phase, pass, chosen.batch, leastSeconds(plan, phase, chosen));
}

export function curveOfPass(
  plan: Plan,
  phase: CurvePhase,
  pass: Pass,
  batch = 1,
  least: Curve["least"] = () => 0,
): Curve {
  const { operators, outside, stepsFrom, secondsOf, atOnce } = pass;
  const works = worksOf(operators);
  const fewer = once(() => worksOf(atOnce?.operators ?? operators));
  const overheads = secondsOf?.("overhead") ?? sumOf(works.map((work) => work.overhead));
  const overhead = (length: number): number => outside(length) + overheads(length);
  const { common: commonSpread, classes } = plan.engine.logSpreads[phase === "decode" && batch > 1 ? "batched" : phase];
  const components = operatorClasses.flatMap((name): CurveComponent[] => {
    const logSpread = classes * classSpread(name, plan.device, plan.model.dtypes, plan.engine);
    if (name === "overhead") return [{ name, seconds: overhead, logSpread }];
    const members = works.filter((one) => one.class === name);
    if (members.length === 0) return [];
    return [{ name, seconds: secondsOf?.(name) ?? sumOf(members.map(({ work }) => work)), logSpread }];
  });
  const seconds = sumOf(components.map((component) => component.seconds));
  const spreads = components.map(({ logSpread }) => logSpread);
  const parts = spreads.map(() => 0);
  return {
    phase,
    operators,
    works,
    worksAt: (length) => (atOnce?.holds(length) === true ? fewer() : works),
    outside,
    components,
    commonSpread,
    seconds,
    interval: (length) => {
      for (let k = 0; k < components.length; k += 1) parts[k] = components[k]?.seconds(length) ?? 0;
      return spreadOut(parts, spreads, commonSpread, least(length));
    },
    least,
    exponent: (length) => {
      const by = stepsFrom !== undefined && length * stepped > stepsFrom ? stepped : smooth;
      return Math.log(seconds(length * by) / seconds(length / by)) / (2 * Math.log(by));
    },
  };
}

/**
 * The interval of a sum of parts, each uncertain by a factor of its own and all by a common one: the variance of the
 * logarithm is Σ (shareₖ·sₖ)² + s².
 *
 * @param least seconds that nothing beats
 */
export function spreadOut(
  parts: readonly number[],
  logSpreads: readonly number[],
  common: number,
  least: Seconds,
): Interval {
  let total = 0;
  for (const part of parts) total += part;
  let variance = common * common;
  for (let k = 0; k < parts.length; k += 1) {
    const own = total === 0 ? 0 : ((parts[k] ?? 0) / total) * (logSpreads[k] ?? 0);
    variance += own * own;
  }
  return notBelow(logNormalInterval(total, Math.sqrt(variance)), least);
}

/** Seconds of an operator with the overhead of starting it. */
export function operatorSeconds(operator: CurveOperator, length: number): Seconds {
  return operator.work(length) + operator.overhead(length);
}
