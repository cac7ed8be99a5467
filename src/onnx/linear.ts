import type { LinearOperator } from "../graph/types.js";
import { int, microsoft } from "./proto.js";
import type { Scope } from "./scope.js";

/** Weights stay [out, in], as checkpoints store them: ONNX Runtime packs the transposed right side just as well. */
const transposed = { domain: microsoft, attributes: { transB: int(1) } };

/** A projection's parameters by their names in the block. */
export type Projection = Pick<LinearOperator, "weight" | "bias">;

/** y = x·Wᵀ + bias over the last dimension. */
export function lowerLinear(operator: LinearOperator, scope: Scope): string {
  return addLinear(scope.value(operator.input), operator, scope.fresh(operator.output), scope);
}

/** The same for a value by its name in the model. @returns `output` */
export function addLinear(input: string, { weight, bias }: Projection, output: string, scope: Scope): string {
  const { builder } = scope;
  const inputs = [input, scope.parameter(weight)];
  if (bias === null) return builder.node(output, "FusedMatMul", inputs, transposed);
  const product = builder.node(`${output}.product`, "FusedMatMul", inputs, transposed);
  return builder.node(output, "Add", [product, scope.parameter(bias)]);
}

/** Several projections of one input as one product: their outputs side by side, [b, n, Σ out]. */
export function lowerStackedLinear(operators: readonly LinearOperator[], name: string, scope: Scope): string {
  const [first] = operators;
  if (first === undefined) throw new Error("no projections to stack");
  return scope.builder.from({ operator: name, part: first.part }, () =>
    addStackedLinear(scope.value(first.input), operators, name, scope),
  );
}

/** The same for a value by its name in the model; `name` is that of the stacked parameters in the block. */
export function addStackedLinear(
  input: string,
  projections: readonly Projection[],
  name: string,
  scope: Scope,
): string {
  const { builder, layout } = scope;
  const output = scope.fresh(name);
  const label = scope.qualified(name);
  const weight = layout.stacked(
    `${label}.weight`,
    projections.map((projection) => ({ ...scope.weight(projection.weight), offset: false })),
  );
  const inputs = [input, weight];
  if (projections.every((projection) => projection.bias === null)) {
    return builder.node(output, "FusedMatMul", inputs, transposed);
  }
  const bias = layout.stacked(
    `${label}.bias`,
    projections.map(({ bias: own, weight: matrix }) => {
      if (own !== null) return { ...scope.weight(own), offset: false };
      const { shape, dtype } = scope.weight(matrix).weight;
      return { name: null, weight: { shape: shape.slice(0, 1), dtype, init: "zero" }, offset: false };
    }),
  );
  const product = builder.node(`${output}.product`, "FusedMatMul", inputs, transposed);
  return builder.node(output, "Add", [product, bias]);
}
