import type { Operator } from "./types.js";

/** The values an operator reads, as names in its block. */
export function operandsOf(operator: Operator): readonly string[] {
  switch (operator.kind) {
    case "embed":
      return [operator.ids];
    case "linear":
    case "norm":
    case "rotary":
    case "append":
    case "softmax":
    case "last":
    case "index":
    case "experts":
    case "convolution":
    case "weighted":
    case "fourier":
    case "recurrence":
      return [operator.input];
    case "product":
    case "scan":
    case "concat":
      return operator.inputs;
    case "attention":
      return [operator.query, operator.key, operator.value];
    case "scores":
      return [operator.query, operator.key];
    case "mix":
      return [operator.weights, operator.value];
    case "elementwise":
      return operator.inputs;
  }
}
