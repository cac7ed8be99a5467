import type { Seconds } from "../base/units.js";
import type { Part } from "../graph/types.js";
import type { OperatorClass } from "../hardware/efficiency.js";
import type { Bound } from "../hardware/operator-time.js";
import type { CurvePhase, Plan } from "./plan.js";

/** One operator over all layers that run it, or one kind of exchange between devices. */
export interface CurveOperator {
  readonly name: string;
  readonly part: Part | "network";
  readonly class: OperatorClass;
  /** Power of the length that its work grows with; its seconds belong to that degree whole. */
  readonly degree: number;
  /** Seconds beside the overhead of starting its kernels. */
  readonly work: (length: number) => Seconds;
  readonly overhead: (length: number) => Seconds;
  /** What limits its work; its overhead is latency. */
  readonly bound: (length: number) => Bound;
}

/** Forward passes of one kind, as a function of the one length that varies. */
export interface Pass {
  readonly operators: readonly CurveOperator[];
  /** Seconds that belong to no operator. */
  readonly outside: (length: number) => Seconds;
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
