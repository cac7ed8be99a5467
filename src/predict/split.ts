import type { Seconds } from "../base/units.js";
import type { Part } from "../graph/types.js";
import type { OperatorClass } from "../hardware/efficiency.js";
import type { Bound } from "../hardware/operator-time.js";
import type { Curve, CurveOperator } from "./curve.js";

/** Part of a curve's seconds at one length. */
export interface Share<Name extends string> {
  readonly name: Name;
  readonly seconds: Seconds;
  /** Of the whole, from 0 to 1. */
  readonly share: number;
  /** What limits most of these seconds. */
  readonly bound: Bound;
}

/** Seconds at one length, split three ways; each split adds up to the whole. */
export interface Split {
  readonly parts: readonly Share<Part | "runtime">[];
  readonly classes: readonly Share<OperatorClass>[];
  /** Seconds by the power of the length that the work grows with: 0, 1, 2. */
  readonly degrees: readonly { readonly degree: number; readonly seconds: Seconds }[];
}

function limitOf(operators: readonly CurveOperator[], length: number): Bound {
  const seconds: Record<Bound, number> = { compute: 0, bandwidth: 0, overhead: 0 };
  for (const operator of operators) {
    seconds[operator.bound(length)] += operator.work(length);
    seconds.overhead += operator.overhead;
  }
  if (seconds.overhead >= seconds.compute && seconds.overhead >= seconds.bandwidth) return "overhead";
  return seconds.compute >= seconds.bandwidth ? "compute" : "bandwidth";
}

function grouped<Key>(operators: readonly CurveOperator[], key: (operator: CurveOperator) => Key) {
  const groups = new Map<Key, CurveOperator[]>();
  for (const operator of operators) {
    const group = groups.get(key(operator));
    if (group === undefined) groups.set(key(operator), [operator]);
    else group.push(operator);
  }
  return groups;
}

/** Seconds of a pass that belong to no operator. */
function outsideOperators(curve: Curve): Seconds {
  const whole = curve.components.find(({ name }) => name === "overhead")?.seconds(1) ?? 0;
  const within = curve.operators.reduce((sum, operator) => sum + operator.overhead, 0);
  return Math.max(0, whole - within);
}

/** Where the seconds of a curve go at one length. By part, the overhead counts to the operator that causes it. */
export function splitAt(curve: Curve, length: number): Split {
  const total = curve.seconds(length);
  const outside = outsideOperators(curve);
  const secondsOf = (operators: readonly CurveOperator[]): number =>
    operators.reduce((sum, operator) => sum + operator.work(length) + operator.overhead, 0);
  const parts: Share<Part | "runtime">[] = [...grouped(curve.operators, ({ part }) => part)].map(([name, members]) => {
    const seconds = secondsOf(members);
    return { name, seconds, share: seconds / total, bound: limitOf(members, length) };
  });
  if (outside > 0) parts.push({ name: "runtime", seconds: outside, share: outside / total, bound: "overhead" });
  const classes = curve.components.map(({ name, seconds }): Share<OperatorClass> => {
    const members = curve.operators.filter((operator) => operator.class === name);
    const own = seconds(length);
    const withoutOverhead = members.map((operator) => ({ ...operator, overhead: 0 }));
    const bound = name === "overhead" ? "overhead" : limitOf(withoutOverhead, length);
    return { name, seconds: own, share: own / total, bound };
  });
  const degrees = [...grouped(curve.operators, ({ degree }) => degree)]
    .map(([degree, members]) => ({ degree, seconds: secondsOf(members) + (degree === 0 ? outside : 0) }))
    .sort((a, b) => a.degree - b.degree);
  if (outside > 0 && !degrees.some(({ degree }) => degree === 0)) degrees.unshift({ degree: 0, seconds: outside });
  return { parts, classes, degrees };
}
