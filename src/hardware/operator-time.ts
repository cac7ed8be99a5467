import type { Dtype, Seconds } from "../base/units.js";
import type { OperatorCost } from "../cost/table.js";
import type { Values, Variable } from "../math/affine.js";
import { Expression } from "../math/expression.js";
import type { OperatorClass } from "./efficiency.js";

/** Which length varies, and the numbers of all others: prefill varies n, decode varies c at n = 1. */
export interface Setting {
  readonly variable: Variable;
  readonly values: Values;
  /** What activations are cast to before products with weights (8-bit weights and activations); as they are where absent. */
  readonly operands?: Dtype | null;
}

/** What limits an operator at a length. */
export type Bound = "compute" | "bandwidth" | "latency" | "network";

/** One execution of an operator on a device, compiled: functions of the setting's variable. */
export interface OperatorTime {
  readonly class: OperatorClass;
  /** Seconds of starting its kernels; the same at every length. */
  readonly overhead: Seconds;
  /** Seconds beside the overhead. */
  readonly work: (length: number) => Seconds;
  /** Power of the length that the kernel's work grows with, where it is not that of the counted work. */
  readonly degree?: number;
  /** What `work` is limited by. */
  readonly bound: (length: number) => "compute" | "bandwidth";
  /** Whether all of it is the same at every length. */
  readonly fixed?: boolean;
  /** c₀, c₁, … of `work`, where it is a polynomial that bandwidth limits at every length. */
  readonly streamed?: readonly number[] | null;
}

/** Rows at which a matrix product stops being limited by fetching its weight, at the latest. */
const fewRows = 64;

/** Steps that wait for one another: each token of a recurrent cell is a launch of its own. */
export function stepsOf({ operator, block }: OperatorCost): Expression {
  const steps = operator.kind === "recurrence" ? block.values.get(operator.output)?.shape[1] : undefined;
  return steps ?? Expression.one;
}

/** Rows of a linear operator: positions times batch. */
export function rowsOf({ operator, block }: OperatorCost): Expression {
  const shape = block.values.get(operator.output)?.shape ?? [];
  return shape.slice(0, -1).reduce<Expression>((product, size) => product.times(size), Expression.one);
}

export function classOf(row: OperatorCost, { variable, values }: Setting): OperatorClass {
  switch (row.operator.kind) {
    case "linear": {
      const rows = rowsOf(row);
      const grows = rows.degree(variable).power > 0;
      return grows || rows.at(values) > fewRows ? "gemm" : "gemv";
    }
    case "experts":
      return variable === "n" || (values.n ?? 0) * (values.b ?? 1) > fewRows ? "gemm" : "gemv";
    case "attention":
    case "scores":
    case "mix":
    case "index":
    case "product":
      return variable === "n" || (values.n ?? 0) > fewRows ? "attention" : "decode-attention";
    case "norm":
    case "elementwise":
    case "rotary":
    case "softmax":
    case "weighted":
    case "convolution":
    case "scan":
    case "fourier":
      return "vector";
    case "recurrence":
      return "gemv";
    case "embed":
    case "last":
    case "append":
    case "concat":
      return "lookup";
  }
}
