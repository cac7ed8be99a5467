import type { ElementwiseOperator } from "../graph/types.js";
import type { ModelBuilder } from "./builder.js";
import { float, microsoft, string } from "./proto.js";
import type { Scope } from "./scope.js";

export function lowerElementwise(operator: ElementwiseOperator, scope: Scope): string {
  const { builder } = scope;
  const output = scope.fresh(operator.output);
  const inputs = operator.inputs.map((name) => scope.value(name));
  switch (operator.function) {
    case "add":
      return builder.node(output, "Add", inputs);
    case "multiply":
      return builder.node(output, "Mul", inputs);
    case "scale":
      return builder.node(output, "Mul", [...inputs, builder.scalar(parameterOf(operator))]);
    case "softcap":
      return addSoftcap(builder, inputs[0] ?? "", parameterOf(operator), output);
    case "silu":
      return builder.node(output, "QuickGelu", inputs, { domain: microsoft, attributes: { alpha: float(1) } });
    case "gelu":
      return builder.node(output, "Gelu", inputs, { attributes: { approximate: string("none") } });
    case "gelu-tanh":
      return builder.node(output, "Gelu", inputs, { attributes: { approximate: string("tanh") } });
    case "relu":
      return builder.node(output, "Relu", inputs);
    case "relu2": {
      const positive = builder.node(`${output}.positive`, "Relu", inputs);
      return builder.node(output, "Mul", [positive, positive]);
    }
  }
}

/** cap·tanh(x/cap). */
export function addSoftcap(builder: ModelBuilder, input: string, cap: number, output: string): string {
  const scaled = builder.node(`${output}.scaled`, "Mul", [input, builder.scalar(1 / cap)]);
  const bent = builder.node(`${output}.bent`, "Tanh", [scaled]);
  return builder.node(output, "Mul", [bent, builder.scalar(cap)]);
}

function parameterOf(operator: ElementwiseOperator): number {
  if (operator.parameter === null) throw new Error(`${operator.name}: ${operator.function} needs a parameter`);
  return operator.parameter;
}
