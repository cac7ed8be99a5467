import type { LinearOperator } from "../graph/types.js";
import type { ModelBuilder } from "./builder.js";
import type { ParameterPart } from "./parameters.js";
import { addTransposedProduct } from "./product.js";
import { type ElementType, elementTypes, int, ints, microsoft } from "./proto.js";
import { type QuantisedBits, quantisedBlock } from "./quantise.js";
import type { Scope } from "./scope.js";

/** A projection's parameters by their names in the block. */
export type Projection = Pick<LinearOperator, "weight" | "bias">;

/** y = x·Wᵀ + bias over the last dimension. */
export function lowerLinear(operator: LinearOperator, scope: Scope): string {
  const groups = scope.width(operator.input) / (scope.weight(operator.weight).weight.shape[1] ?? 1);
  if (groups > 1 && Number.isInteger(groups)) {
    return addGroupedLinear(scope.value(operator.input), operator, groups, scope.fresh(operator.output), scope);
  }
  return addLinear(scope.value(operator.input), operator, scope.fresh(operator.output), scope);
}

/** The same for a value by its name in the model. @returns `output` */
export function addLinear(input: string, { weight, bias }: Projection, output: string, scope: Scope): string {
  const { builder } = scope;
  const parts = [{ ...scope.weight(weight), offset: false }];
  if (bias === null) return addProduct(input, scope.qualified(weight), parts, output, scope);
  const product = addProduct(input, scope.qualified(weight), parts, `${output}.product`, scope);
  return builder.node(output, "Add", [product, scope.parameter(bias)]);
}

/** Groups of outputs that read a share of the inputs each: weight [out, in / groups] (SqueezeBERT). @returns `output` */
export function addGroupedLinear(
  input: string,
  { weight, bias }: Projection,
  groups: number,
  output: string,
  scope: Scope,
): string {
  const { builder } = scope;
  const [rows = 0, columns = 0] = scope.weight(weight).weight.shape;
  const node = (what: string, op: string, inputs: readonly string[], attributes = {}): string =>
    builder.node(`${output}.${what}`, op, inputs, { attributes });
  const turned = (what: string, from: string): string => node(what, "Transpose", [from], { perm: ints([0, 2, 1, 3]) });
  const apart = turned("turned", node("apart", "Reshape", [input, builder.integers([0, 0, groups, columns])]));
  const matrices = node("matrices", "Reshape", [
    scope.parameter(weight),
    builder.integers([groups, rows / groups, columns]),
  ]);
  const product = addTransposedProduct(builder, `${output}.product`, [apart, matrices], { rank: 3 });
  const together = turned("together", product);
  const flat = builder.node(bias === null ? output : `${output}.flat`, "Reshape", [
    together,
    builder.integers([0, 0, rows]),
  ]);
  return bias === null ? flat : builder.node(output, "Add", [flat, scope.parameter(bias)]);
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
  const parts = projections.map((projection) => ({ ...scope.weight(projection.weight), offset: false }));
  if (projections.every((projection) => projection.bias === null)) {
    return addProduct(input, `${label}.weight`, parts, output, scope);
  }
  const bias = layout.stacked(
    `${label}.bias`,
    projections.map(({ bias: own, weight: matrix }) => {
      if (own !== null) return { ...scope.weight(own), offset: false };
      const { shape, dtype } = scope.weight(matrix).weight;
      return { name: null, weight: { shape: shape.slice(0, 1), dtype, init: "zero" }, offset: false };
    }),
  );
  const product = addProduct(input, `${label}.weight`, parts, `${output}.product`, scope);
  return builder.node(output, "Add", [product, bias]);
}

/**
 * Input times the parts' rows, one below the other: float32, float16, or MatMulNBits where the weights are quantised. The
 * processor leaves weights [out, in], as checkpoints store them: ONNX Runtime packs the transposed right side just as well.
 */
function addProduct(
  input: string,
  name: string,
  parts: readonly ParameterPart[],
  output: string,
  { builder, layout, options }: Scope,
): string {
  const [first] = parts;
  const columns = first?.weight.shape[1] ?? 0;
  const rank = first?.weight.shape.length ?? 0;
  const bits = bitsOf(options.weights);
  if (bits === null || columns < quantisedBlock || rank !== 2) {
    if (builder.provider === "cpu" || rank !== 2) {
      return addTransposedProduct(builder, output, [input, layout.stacked(name, parts)], { rank });
    }
    if (options.weights !== "f16") return builder.node(output, "MatMul", [input, layout.turned(name, parts)]);
    const product = builder.node(`${output}.f16`, "MatMul", [
      halved(builder, input),
      layout.turned(name, parts, "float16"),
    ]);
    return addCast(builder, output, product, "float32");
  }
  const rows = parts.reduce((sum, { weight }) => sum + (weight.shape[0] ?? 0), 0);
  const { packed, scales } = layout.quantised(name, parts, bits);
  return builder.node(output, "MatMulNBits", [input, packed, scales], {
    domain: microsoft,
    attributes: { K: int(columns), N: int(rows), bits: int(bits), block_size: int(quantisedBlock) },
  });
}

/** A value in float16, made once however many products read it. */
function halved(builder: ModelBuilder, value: string): string {
  const name = `${value}.halved`;
  return builder.has(name) ? name : addCast(builder, name, value, "float16");
}

/** @returns `output` */
export function addCast(builder: ModelBuilder, output: string, value: string, type: ElementType): string {
  return builder.node(output, "Cast", [value], { attributes: { to: int(elementTypes[type]) } });
}

function bitsOf(weights: Scope["options"]["weights"]): QuantisedBits | null {
  if (weights === "q4") return 4;
  return weights === "q8" ? 8 : null;
}
