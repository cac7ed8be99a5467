import type { LinearOperator } from "../graph/types.js";
import { int, microsoft } from "./proto.js";
import type { Scope } from "./scope.js";

/** Weights stay [out, in], as checkpoints store them: ONNX Runtime packs the transposed right side just as well. */
const transposed = { domain: microsoft, attributes: { transB: int(1) } };

/** y = x·Wᵀ + bias over the last dimension. */
export function lowerLinear(operator: LinearOperator, scope: Scope): string {
  const { builder } = scope;
  const output = scope.fresh(operator.output);
  const inputs = [scope.value(operator.input), scope.parameter(operator.weight)];
  if (operator.bias === null) return builder.node(output, "FusedMatMul", inputs, transposed);
  const product = builder.node(`${output}.product`, "FusedMatMul", inputs, transposed);
  return builder.node(output, "Add", [product, scope.parameter(operator.bias)]);
}

/** Several projections of one input as one product: their outputs side by side, [b, n, Σ out]. */
export function lowerStackedLinear(operators: readonly LinearOperator[], name: string, scope: Scope): string {
  const [first] = operators;
  if (first === undefined) throw new Error("no projections to stack");
  return scope.builder.from({ operator: name, part: first.part }, () => addStacked(first, operators, name, scope));
}

function addStacked(first: LinearOperator, operators: readonly LinearOperator[], name: string, scope: Scope): string {
  const { builder, layout } = scope;
  const output = scope.fresh(name);
  const label = scope.qualified(name);
  const weight = layout.stacked(
    `${label}.weight`,
    operators.map((operator) => ({ ...scope.weight(operator.weight), offset: false })),
  );
  const inputs = [scope.value(first.input), weight];
  if (operators.every((operator) => operator.bias === null)) {
    return builder.node(output, "FusedMatMul", inputs, transposed);
  }
  const bias = layout.stacked(
    `${label}.bias`,
    operators.map(({ bias: own, weight: matrix }) => {
      if (own !== null) return { ...scope.weight(own), offset: false };
      const { shape, dtype } = scope.weight(matrix).weight;
      return { name: null, weight: { shape: shape.slice(0, 1), dtype, init: "zero" }, offset: false };
    }),
  );
  const product = builder.node(`${output}.product`, "FusedMatMul", inputs, transposed);
  return builder.node(output, "Add", [product, bias]);
}
