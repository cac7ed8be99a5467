import { longestLength } from "../base/lengths.js";
import type { OperatorClass } from "../hardware/efficiency.js";
import { firstNonNegative } from "../math/roots.js";
import type { Curve, CurveOperator } from "./curve.js";
import { intervalDeviations } from "./interval.js";

/** A length, not always whole, with its interval; an end is null where it lies beyond any length. */
export interface LengthInterval {
  readonly n: number;
  readonly low: number | null;
  readonly high: number | null;
}

/** Seconds of a group of operators by class, so that what two groups share can cancel. */
type ByClass = (length: number) => Map<OperatorClass, number>;

function byClass(operators: readonly CurveOperator[], outside: number): ByClass {
  const overhead = operators.reduce((sum, operator) => sum + operator.overhead, outside);
  return (length) => {
    const seconds = new Map<OperatorClass, number>([["overhead", overhead]]);
    for (const operator of operators) {
      seconds.set(operator.class, (seconds.get(operator.class) ?? 0) + operator.work(length));
    }
    return seconds;
  };
}

/**
 * The first length at which the seconds A of some operators equal the seconds R of all others, with its interval.
 *
 * The interval comes from log(A/R), whose variance is Σₖ sₖ²·(Aₖ/A − Rₖ/R)² over the classes k with spreads sₖ: a class
 * that makes up the same share of both sides cancels, and so does the engine.
 *
 * @returns null where they never meet
 */
export function crossingOf(curve: Curve, belongs: (operator: CurveOperator) => boolean): LengthInterval | null {
  const within = curve.operators.filter(belongs);
  const others = curve.operators.filter((operator) => !belongs(operator));
  if (within.length === 0) return null;
  const overhead = curve.components.find(({ name }) => name === "overhead")?.seconds(1) ?? 0;
  const outside = Math.max(0, overhead - curve.operators.reduce((sum, operator) => sum + operator.overhead, 0));
  const left = byClass(within, 0);
  const right = byClass(others, outside);
  const total = (parts: Map<OperatorClass, number>): number => [...parts.values()].reduce((sum, part) => sum + part, 0);
  const advantage = (deviations: number) => (length: number) => {
    const [ours, theirs] = [left(length), right(length)];
    const [a, r] = [total(ours), total(theirs)];
    if (r === 0) return Number.POSITIVE_INFINITY;
    if (a === 0) return Number.NEGATIVE_INFINITY;
    const variance = curve.components.reduce(
      (sum, { name, logSpread }) => sum + (logSpread * ((ours.get(name) ?? 0) / a - (theirs.get(name) ?? 0) / r)) ** 2,
      0,
    );
    return Math.log(a / r) + deviations * Math.sqrt(variance);
  };
  const first = (deviations: number): number | null => firstNonNegative(advantage(deviations), 1, longestLength);
  const n = first(0);
  return n === null ? null : { n, low: first(intervalDeviations), high: first(-intervalDeviations) };
}

/** Where the work of degree two and more takes as long as all the rest. */
export function crossoverSeconds(curve: Curve): LengthInterval | null {
  return crossingOf(curve, ({ degree }) => degree >= 2);
}

/** Where attention takes half of the seconds. */
export function attentionHalfSeconds(curve: Curve): LengthInterval | null {
  return crossingOf(curve, ({ part }) => part === "attention");
}
