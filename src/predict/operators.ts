import type { Seconds } from "../base/units.js";
import type { Part } from "../graph/types.js";
import type { OperatorClass } from "../hardware/efficiency.js";
import type { Bound } from "../hardware/operator-time.js";
import type { CurvePhase, Plan } from "./plan.js";

export type Timed = (length: number) => Seconds;

/** A number as a function that is it at every length. */
export function functionOf(value: Seconds | Timed): Timed {
  return typeof value === "number" ? () => value : value;
}

/** One execution of an operator: what equal operators share. */
export interface Execution {
  /** Executions of a pass with the same text take the same seconds. */
  readonly key: string;
  readonly class: OperatorClass;
  /** Power of the length that its work grows with; its seconds belong to that degree whole. */
  readonly degree: number;
  /** Seconds beside the overhead of starting its kernels. */
  readonly work: (length: number) => Seconds;
  /** One number where it is the same at every length. */
  readonly overhead: Seconds | ((length: number) => Seconds);
  /** What limits its work; its overhead is latency. */
  readonly bound: (length: number) => Bound;
  /** Whether its work and its bound are the same at every length. */
  readonly fixed: boolean;
  /** c₀, c₁, … of its work, where that is a polynomial and bandwidth limits it at every length. */
  readonly streamed: readonly number[] | null;
}

/** One operator over all layers that run it, or one kind of exchange between devices. */
export interface CurveOperator {
  readonly name: string;
  readonly part: Part | "network";
  readonly class: OperatorClass;
  readonly degree: number;
  readonly work: (length: number) => Seconds;
  readonly overhead: (length: number) => Seconds;
  readonly bound: (length: number) => Bound;
  readonly execution: Execution;
  /** How many executions it is. */
  readonly times: number;
}

export function operatorOf(name: string, part: CurveOperator["part"], execution: Execution, times = 1): CurveOperator {
  const { class: operators, degree, work, overhead, bound } = execution;
  return {
    name,
    part,
    class: operators,
    degree,
    work: (length) => work(length) * times,
    overhead: typeof overhead === "number" ? () => overhead * times : (length) => overhead(length) * times,
    bound,
    execution,
    times,
  };
}

/** The same operators, each execution made anew; equal ones once. */
export function withExecutions(
  operators: readonly CurveOperator[],
  keyOf: (operator: CurveOperator, index: number) => string,
  make: (operator: CurveOperator, index: number, key: string) => Execution,
): CurveOperator[] {
  const made = new Map<string, Execution>();
  return operators.map((operator, index) => {
    const key = keyOf(operator, index);
    const execution = made.get(key) ?? make(operator, index, key);
    made.set(key, execution);
    return operatorOf(operator.name, operator.part, execution, operator.times);
  });
}

/** Forward passes of one kind, as a function of the one length that varies. */
export interface Pass {
  readonly operators: readonly CurveOperator[];
  /** Seconds that belong to no operator. */
  readonly outside: (length: number) => Seconds;
  /** Seconds of all operators of a class, or the overhead of all, where that is known faster than their sum. */
  readonly secondsOf?: (kind: OperatorClass) => (length: number) => Seconds;
  /** The same operators for the lengths that are computed in one piece, where they are simpler. */
  readonly atOnce?: { readonly operators: readonly CurveOperator[]; readonly holds: (length: number) => boolean };
  /** Length from which on seconds grow by steps, one per chunk; absent where they are smooth. */
  readonly stepsFrom?: number;
}

/** Which length varies and what the others are; the batch is that of one replica. */
export interface PassSetting {
  readonly phase: CurvePhase;
  readonly variable: "n" | "c";
  /** New tokens where they do not vary. */
  readonly newTokens: number;
  /** Tokens cached before where they do not vary. */
  readonly depth: number;
  readonly batch: number;
}

/** What stays fixed, on each of `context` devices that share a sequence. */
export function valuesOf(
  plan: Plan,
  { phase, variable, newTokens, depth, batch }: PassSetting,
  context: number,
): { n?: number; c?: number; b: number; m: number } {
  const m = plan.encoderLength ?? 0;
  if (variable === "n") return { c: depth / context, b: batch, m };
  return { n: phase === "decode" ? 1 : newTokens / context, b: batch, m };
}
