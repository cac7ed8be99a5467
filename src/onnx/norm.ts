import type { NormOperator, WeightedOperator } from "../graph/types.js";
import { Emitter } from "./emitter.js";
import { float, int } from "./proto.js";
import type { Scope } from "./scope.js";
import { unsupported } from "./unsupported.js";

/** RMS or layer norm of `input` over groups of `width` elements of the last dimension. */
export function lowerNorm(operator: NormOperator, scope: Scope, input: string): string {
  const { builder } = scope;
  const output = scope.fresh(operator.output);
  if (scope.weight(operator.weight).weight.shape.length > 1) {
    throw unsupported(operator.name, "no lowering of norms with weights for each head");
  }
  const lastWidth = scope.width(operator.input);
  const weight = scope.parameter(operator.weight, operator.offset);
  if (operator.affine === true && operator.bias !== null) {
    const scaled = builder.node(`${output}.scaled`, "Mul", [input, weight]);
    return builder.node(output, "Add", [scaled, scope.parameter(operator.bias)]);
  }
  const apply = (from: string, to: string): string => {
    const attributes = { axis: int(-1), epsilon: float(operator.epsilon) };
    if (operator.norm === "layer") {
      const inputs = operator.bias === null ? [from, weight] : [from, weight, scope.parameter(operator.bias)];
      return builder.node(to, "LayerNormalization", inputs, { attributes });
    }
    if (operator.bias === null) return builder.node(to, "SimplifiedLayerNormalization", [from, weight], { attributes });
    const normed = builder.node(`${to}.normed`, "SimplifiedLayerNormalization", [from, weight], { attributes });
    return builder.node(to, "Add", [normed, scope.parameter(operator.bias)]);
  };
  if (lastWidth === operator.width) return apply(input, output);
  const groups = builder.node(`${output}.groups`, "Reshape", [
    input,
    builder.integers([0, 0, lastWidth / operator.width, operator.width]),
  ]);
  const normed = apply(groups, `${output}.grouped`);
  return builder.node(output, "Reshape", [normed, builder.integers([0, 0, lastWidth])]);
}

/** A norm of the last dimension without parameters. */
export function lowerPlainNorm({ input, plain, name, part, output }: WeightedOperator, scope: Scope): string {
  if (plain === undefined) throw unsupported(name, `no lowering of "weighted" operators`);
  const e = new Emitter(scope, name, part);
  const width = scope.width(output);
  return e.normalised(scope.value(input), plain.kind, width, plain.epsilon);
}
