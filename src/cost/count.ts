import { bytesPerElement } from "../base/units.js";
import { Expression, b, c, n } from "../math/expression.js";
import type { Block, ElementwiseFunction, Operator, Value } from "../graph/types.js";
import type { Conventions } from "./conventions.js";
import { attentionPairs, touchedKeys } from "./pairs.js";
import { type Cost, cost } from "./types.js";

/** Elementary operations per element; transcendental functions count as one, as hardware counters see them as a few. */
const elementwiseFlops: Record<ElementwiseFunction, number> = {
  add: 1,
  multiply: 1,
  scale: 1,
  softcap: 3,
  silu: 4,
  gelu: 5,
  "gelu-tanh": 8,
  relu: 1,
  relu2: 2,
};
/** Square, sum, multiply by the root, multiply by the weight. */
const rmsNormFlops = 4;
/** Mean, difference, square, sum, multiply by the root, weight, bias. */
const layerNormFlops = 7;
/** Two products and a sum per element. */
const rotaryFlops = 3;
/** Scale, maximum, difference, exponential, sum, quotient. */
const softmaxFlops = 5;

function elements(shape: readonly (Expression | number)[]): Expression {
  return shape.reduce<Expression>((product, size) => product.times(size), Expression.one);
}

/** What one operator of a block costs. Pure structure: shapes from the block, nothing from any device. */
export function count(operator: Operator, block: Block, conventions: Conventions): Cost {
  const value = (name: string): Value => {
    const found = block.values.get(name);
    if (found === undefined) throw new Error(`block ${block.name} has no value ${name}`);
    return found;
  };
  const valueBytes = (name: string): Expression =>
    elements(value(name).shape).times(bytesPerElement(value(name).dtype));
  const weightBytes = (name: string | null): Expression => {
    if (name === null) return Expression.zero;
    const weight = block.weights.get(name);
    if (weight === undefined) throw new Error(`block ${block.name} has no weight ${name}`);
    return elements(weight.shape).times(bytesPerElement(weight.dtype));
  };
  const outputElements = elements(value(operator.output).shape);
  const writtenBytes = valueBytes(operator.output);

  switch (operator.kind) {
    case "embed":
      // A look-up reads the rows it returns, not the table.
      return cost({ readBytes: writtenBytes, writtenBytes, launches: 1 });
    case "linear": {
      const inWidth = block.weights.get(operator.weight)?.shape[1] ?? 0;
      const parameters = weightBytes(operator.weight).plus(weightBytes(operator.bias));
      return cost({
        matmulFlops: outputElements.times(inWidth * conventions.mac),
        vectorFlops: operator.bias === null ? Expression.zero : outputElements,
        readBytes: valueBytes(operator.input).plus(parameters),
        weightBytes: parameters,
        writtenBytes,
        launches: 1,
      });
    }
    case "norm": {
      const parameters = weightBytes(operator.weight).plus(weightBytes(operator.bias));
      return cost({
        vectorFlops: outputElements.times(operator.norm === "rms" ? rmsNormFlops : layerNormFlops),
        readBytes: valueBytes(operator.input).plus(parameters),
        weightBytes: parameters,
        writtenBytes,
        launches: 1,
      });
    }
    case "rotary":
      return cost({
        vectorFlops: outputElements.times(rotaryFlops),
        readBytes: valueBytes(operator.input),
        writtenBytes,
        launches: 1,
      });
    case "append":
      return cost({ readBytes: writtenBytes, writtenBytes, launches: 1 });
    case "attention": {
      const { heads, kvHeads, keyDim, valueDim } = operator;
      const pairs = attentionPairs(operator.span, operator.causal, conventions).times(b);
      const flops = pairs.times(heads * (keyDim + valueDim) * conventions.mac);
      const kvElement = cacheBytesPerElement(block, operator.cache);
      const cached = touchedKeys(operator.span).minus(n);
      const rotated = operator.rotary === null ? 0 : rotaryFlops * (heads + kvHeads) * operator.rotary.dims;
      return cost({
        matmulFlops: flops,
        attentionFlops: flops,
        vectorFlops: pairs.times(heads * softmaxFlops).plus(b.times(n).times(rotated)),
        readBytes: valueBytes(operator.query)
          .plus(valueBytes(operator.key))
          .plus(valueBytes(operator.value))
          .plus(b.times(cached).times(kvHeads * (keyDim + valueDim) * kvElement)),
        writtenBytes: writtenBytes.plus(b.times(n).times(kvHeads * (keyDim + valueDim) * kvElement)),
        launches: 1,
      });
    }
    case "scores": {
      const { heads, keyDim } = operator;
      const flops = b.times(n).times(n.plus(c)).times(heads * keyDim * conventions.mac);
      return cost({
        matmulFlops: flops,
        attentionFlops: flops,
        vectorFlops: outputElements.times(2),
        readBytes: valueBytes(operator.query).plus(valueBytes(operator.key)).plus(writtenBytes),
        writtenBytes: writtenBytes.times(2),
        launches: 2,
      });
    }
    case "softmax":
      return cost({
        vectorFlops: outputElements.times(softmaxFlops),
        readBytes: valueBytes(operator.input),
        writtenBytes,
        launches: 1,
      });
    case "mix": {
      const { heads, valueDim } = operator;
      const flops = b.times(n).times(n.plus(c)).times(heads * valueDim * conventions.mac);
      return cost({
        matmulFlops: flops,
        attentionFlops: flops,
        readBytes: valueBytes(operator.weights).plus(valueBytes(operator.value)),
        writtenBytes,
        launches: 1,
      });
    }
    case "elementwise":
      return cost({
        vectorFlops: outputElements.times(elementwiseFlops[operator.function]),
        readBytes: Expression.sum(operator.inputs.map(valueBytes)),
        writtenBytes,
        launches: 1,
      });
    case "last":
      return cost({ readBytes: writtenBytes, writtenBytes, launches: 1 });
  }
}

function cacheBytesPerElement(block: Block, name: string | null): number {
  const cache = name === null ? undefined : block.caches.get(name);
  return cache === undefined ? 0 : bytesPerElement(cache.key.dtype);
}
