import type { Part } from "../graph/types.js";
import type { Values, Variable } from "../math/affine.js";
import type { Expression } from "../math/expression.js";
import { sumOver } from "../math/sum.js";
import { type OperatorCost, costByPart } from "./table.js";
import type { Cost } from "./types.js";

/** A prompt and the decode steps after it. */
export interface Request {
  /** Tokens of the prompt: p. */
  readonly input: number;
  /** Decode steps: g, at contexts p … p + g − 1. */
  readonly output: number;
  readonly batch: number;
  /** Length of the encoder's input; 0 where there is no encoder. */
  readonly encoderLength: number;
}

/** A cost in numbers: FLOPs, bytes, kernels started. */
export interface Amounts {
  readonly flops: number;
  readonly attentionFlops: number;
  readonly vectorFlops: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly launches: number;
}

export interface PartOfGeneration {
  readonly part: Part;
  readonly prefill: Amounts;
  readonly decode: Amounts;
}

/**
 * What a whole request costs: one prefill of p tokens and g decode steps at contexts c = p … p + g − 1, each step's law
 * summed in closed form.
 *
 * @throws NsquaredError `sum-long` where a law has no closed sum and g is beyond 2²²
 */
export function generationCost(
  prefill: readonly OperatorCost[],
  decode: readonly OperatorCost[],
  request: Request,
): PartOfGeneration[] {
  const { input, output, batch: b, encoderLength: m } = request;
  const first = costByPart(prefill);
  const later = costByPart(decode);
  const once = sums("n", input, input, { c: 0, b, m });
  const steps = sums("c", input, input + output - 1, { n: 1, b, m });
  return [...new Set([...first.keys(), ...later.keys()])].map((part) => ({
    part,
    prefill: amounts(first.get(part), once, 1),
    decode: amounts(later.get(part), steps, output),
  }));
}

export function addAmounts(items: readonly Amounts[]): Amounts {
  return items.reduce(
    (sum, item) => ({
      flops: sum.flops + item.flops,
      attentionFlops: sum.attentionFlops + item.attentionFlops,
      vectorFlops: sum.vectorFlops + item.vectorFlops,
      readBytes: sum.readBytes + item.readBytes,
      writtenBytes: sum.writtenBytes + item.writtenBytes,
      launches: sum.launches + item.launches,
    }),
    none,
  );
}

const none: Amounts = {
  flops: 0,
  attentionFlops: 0,
  vectorFlops: 0,
  readBytes: 0,
  writtenBytes: 0,
  launches: 0,
};

function sums(variable: Variable, from: number, to: number, values: Values): (expression: Expression) => number {
  return (expression) => sumOver(expression, variable, from, to, values);
}

function amounts(cost: Cost | undefined, sum: (expression: Expression) => number, passes: number): Amounts {
  if (cost === undefined) return none;
  return {
    flops: sum(cost.matmulFlops),
    attentionFlops: sum(cost.attentionFlops),
    vectorFlops: sum(cost.vectorFlops),
    readBytes: sum(cost.readBytes),
    writtenBytes: sum(cost.writtenBytes),
    launches: cost.launches * passes,
  };
}
