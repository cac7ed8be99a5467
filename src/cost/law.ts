import { longestLength } from "../base/lengths.js";
import type { Expression } from "../math/expression.js";
import { renamed } from "../math/rename.js";
import { firstNonNegative } from "../math/roots.js";
import type { Variable } from "../math/affine.js";
import type { OperatorCost } from "./table.js";
import { totalCost } from "./table.js";
import type { Cost } from "./types.js";

/** Prefill is a law in n with nothing cached before; decode is one token, a law in the context c. */
export type CostPhase = "prefill" | "decode";

/** One model's cost in one phase, as functions of the length alone. */
export interface CostLaw {
  readonly phase: CostPhase;
  readonly variable: Variable;
  readonly batch: number;
  /** Matrix-product FLOPs: what the field calls the model's FLOPs. */
  readonly flops: Expression;
  readonly attentionFlops: Expression;
  readonly matmulFlops: Expression;
  readonly vectorFlops: Expression;
  readonly readBytes: Expression;
  readonly writtenBytes: Expression;
  readonly launches: number;
}

/** Length of the encoder's input: tokens, or `same` as the law's own variable. */
export type EncoderLength = number | "same";

export function costLaw(
  rows: readonly OperatorCost[],
  phase: CostPhase,
  batch = 1,
  encoderLength: EncoderLength = 0,
): CostLaw {
  return lawOf(totalCost(rows), phase, batch, encoderLength);
}

/** The same for any cost: of one operator, one part, the whole. */
export function lawOf(cost: Cost, phase: CostPhase, batch = 1, encoderLength: EncoderLength = 0): CostLaw {
  const variable = phase === "prefill" ? "n" : "c";
  const fixed = (expression: Expression): Expression =>
    encoderLength === "same"
      ? renamed(expression, "m", variable).fix(variable, { n: 1, c: 0, b: batch })
      : expression.fix(variable, { n: 1, c: 0, b: batch, m: encoderLength });
  const matmulFlops = fixed(cost.matmulFlops);
  return {
    phase,
    variable,
    batch,
    flops: matmulFlops,
    attentionFlops: fixed(cost.attentionFlops),
    matmulFlops,
    vectorFlops: fixed(cost.vectorFlops),
    readBytes: fixed(cost.readBytes),
    writtenBytes: fixed(cost.writtenBytes),
    launches: cost.launches,
  };
}

/** First length at which the terms of degree two and more equal the rest, or null where they never do. */
export function crossover(expression: Expression, variable: Variable): number | null {
  for (const piece of expression.pieces(variable)) {
    const steep = piece.expression.partOfDegree(variable, (degree) => degree.power >= 2);
    if (steep.isZero) continue;
    const rest = piece.expression.minus(steep);
    const at = firstNonNegative(
      (length) => steep.at({ [variable]: length }) - rest.at({ [variable]: length }),
      Math.max(piece.from, 1),
      Math.min(piece.to, longestLength),
    );
    if (at !== null) return at;
  }
  return null;
}

/** First length at which `share` takes half of `whole`, or null where it never does. */
export function halfOf(share: Expression, whole: Expression, variable: Variable): number | null {
  const difference = share.times(2).minus(whole).compile(variable);
  return firstNonNegative(difference, 1, longestLength);
}
