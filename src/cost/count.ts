import { badInput } from "../base/errors.js";
import { bytesPerElement } from "../base/units.js";
import { Expression, b, distinctExperts, log2, n } from "../math/expression.js";
import type { Block, ElementwiseFunction, Operator, Value } from "../graph/types.js";
import type { Conventions } from "./conventions.js";
import { elementCount, storedBytesPerElement } from "./parameters.js";
import { addedKeys, attentionPairs, rectanglePairs, touchedKeys } from "./pairs.js";
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
/** Gates of a recurrent cell, and elementary operations per element: sums, sigmoids and tanh of 4 each, products. */
const cells = { lstm: { gates: 4, operations: 28 }, gru: { gates: 3, operations: 20 } } as const;

function elements(shape: readonly Expression[]): Expression {
  return shape.reduce<Expression>((product, size) => product.times(size), Expression.one);
}

/** Most values are written by one operator and read by another. */
const counted = new WeakMap<Value, Expression>();

function elementsOf(value: Value): Expression {
  const known = counted.get(value) ?? elements(value.shape);
  counted.set(value, known);
  return known;
}

/** What one operator of a block costs. Pure structure: shapes from the block, nothing from any device. */
export function count(operator: Operator, block: Block, conventions: Conventions): Cost {
  const value = (name: string): Value => {
    const found = block.values.get(name);
    if (found === undefined) throw new Error(`block ${block.name} has no value ${name}`);
    return found;
  };
  const valueBytes = (name: string): Expression => {
    const found = value(name);
    return elementsOf(found).times(bytesPerElement(found.dtype));
  };
  const weightBytes = (name: string | null): Expression => {
    if (name === null) return Expression.zero;
    const weight = block.weights.get(name);
    if (weight === undefined) throw new Error(`block ${block.name} has no weight ${name}`);
    return Expression.constant(elementCount(weight) * storedBytesPerElement(weight));
  };
  const outputElements = elementsOf(value(operator.output));
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
      const { lengths } = operator;
      const pairs = (
        lengths === undefined
          ? attentionPairs(operator.span, operator.causal, conventions)
          : rectanglePairs(operator.span, operator.causal, lengths, conventions)
      ).times(b);
      const flops = pairs.times(heads * (keyDim + valueDim) * conventions.mac);
      const kvElement = cacheBytesPerElement(block, operator.cache);
      const cached = lengths === undefined ? touchedKeys(operator.span).minus(n) : (lengths.earlier ?? Expression.zero);
      const kvWidth = kvHeads * (operator.valueInKey === true ? keyDim : keyDim + valueDim);
      const turned = (lengths?.queries ?? n).times(heads).plus((lengths?.keys ?? n).times(kvHeads));
      const rotation = turned.times(rotaryFlops * (operator.rotary?.dims ?? 0)).times(b);
      return cost({
        matmulFlops: flops,
        attentionFlops: flops,
        vectorFlops: pairs.times(heads * softmaxFlops).plus(rotation),
        readBytes: valueBytes(operator.query)
          .plus(valueBytes(operator.key))
          .plus(operator.valueInKey === true ? 0 : valueBytes(operator.value))
          .plus(b.times(cached).times(kvWidth * kvElement)),
        writtenBytes: writtenBytes.plus(b.times(lengths?.keys ?? addedKeys(operator.span)).times(kvWidth * kvElement)),
        launches: 1,
      });
    }
    case "scores": {
      const { keyDim } = operator;
      const flops = outputElements.times(keyDim * conventions.mac);
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
      const flops = elementsOf(value(operator.weights)).times(operator.valueDim * conventions.mac);
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
    case "index": {
      const { heads, dim } = operator;
      const span = operator.span ?? { kind: "full" };
      const pairs = attentionPairs(span, operator.causal, conventions).times(b);
      const flops = pairs.times(heads * (dim + (operator.weighted ? 1 : 0)) * conventions.mac);
      const kvElement = cacheBytesPerElement(block, operator.cache);
      return cost({
        matmulFlops: flops,
        attentionFlops: flops,
        vectorFlops: pairs.times(heads),
        readBytes: valueBytes(operator.input).plus(b.times(touchedKeys(span)).times(dim * kvElement)),
        writtenBytes: writtenBytes.plus(b.times(addedKeys(span)).times(dim * kvElement)),
        launches: 2,
      });
    }
    case "experts": {
      const { experts, chosen, peers = 1 } = operator;
      const tokens = elements(value(operator.input).shape.slice(0, -1)).times(peers);
      const matrices = operator.weights.map((name) => block.weights.get(name)?.shape ?? []);
      const perExpert = matrices.reduce((sum, [, outWidth = 0, inWidth = 0]) => sum + outWidth * inWidth, 0);
      // Which experts a batch touches is chance: expected distinct ones under uniform routing.
      const perSequence = (value(operator.input).shape[1] ?? Expression.zero).times(peers).affine;
      if (perSequence === null) {
        throw badInput("experts-pooled", {
          where: block.name,
          key: operator.name,
          expected: "experts where every token passes; behind a pooled sequence they are not priced",
        });
      }
      const touched = distinctExperts(experts, chosen, perSequence).times(1 / experts);
      const parameters = Expression.sum([...operator.weights, ...operator.biases].map(weightBytes)).times(touched);
      return cost({
        matmulFlops: tokens.times(chosen * perExpert * conventions.mac),
        readBytes: valueBytes(operator.input).plus(parameters),
        weightBytes: parameters,
        writtenBytes,
        launches: operator.weights.length,
      });
    }
    case "product": {
      const { batch, rows, inner, columns } = operator;
      const flops = batch.times(rows).times(inner).times(columns).times(conventions.mac);
      return cost({
        matmulFlops: flops,
        attentionFlops: operator.part === "attention" ? flops : Expression.zero,
        readBytes: Expression.sum(operator.inputs.map(valueBytes)),
        writtenBytes,
        launches: 1,
      });
    }
    case "convolution": {
      const shape = block.weights.get(operator.weight)?.shape ?? [];
      const parameters = weightBytes(operator.weight).plus(weightBytes(operator.bias));
      return cost({
        matmulFlops: b
          .times(operator.positions)
          .times(shape.reduce((product, size) => product * size, conventions.mac)),
        readBytes: valueBytes(operator.input).plus(parameters),
        weightBytes: parameters,
        writtenBytes,
        launches: 1,
      });
    }
    case "scan": {
      const state = block.states.get(operator.state);
      if (state === undefined) throw new Error(`block ${block.name} has no state ${operator.state}`);
      const stateBytes = elements(state.shape).times(bytesPerElement(state.dtype));
      const tokens = elements(value(operator.output).shape.slice(0, -1));
      return cost({
        vectorFlops: tokens.times(operator.operations),
        readBytes: Expression.sum(operator.inputs.map(valueBytes)).plus(stateBytes),
        writtenBytes: writtenBytes.plus(stateBytes),
        launches: 1,
      });
    }
    case "recurrence": {
      const state = block.states.get(operator.state);
      if (state === undefined) throw new Error(`block ${block.name} has no state ${operator.state}`);
      const stateBytes = elements(state.shape).times(bytesPerElement(state.dtype));
      const [, width = 0] = block.weights.get(operator.weight)?.shape ?? [];
      // Every step multiplies by the weight again; nothing can be batched over the tokens.
      const steps = value(operator.output).shape[1] ?? Expression.one;
      const parameters = weightBytes(operator.weight).plus(weightBytes(operator.bias)).times(steps);
      const { gates, operations } = cells[operator.cell];
      return cost({
        matmulFlops: outputElements.times(gates * width * conventions.mac),
        vectorFlops: outputElements.times(operations),
        readBytes: valueBytes(operator.input).plus(parameters).plus(stateBytes.times(steps)),
        weightBytes: parameters,
        writtenBytes: writtenBytes.plus(stateBytes.times(steps)),
        launches: 1,
      });
    }
    case "weighted": {
      const parameters = Expression.sum(operator.weights.map(weightBytes));
      return cost({
        vectorFlops: outputElements,
        readBytes: valueBytes(operator.input).plus(parameters),
        weightBytes: parameters,
        writtenBytes,
        launches: 1,
      });
    }
    case "concat":
      return cost({ readBytes: writtenBytes, writtenBytes, launches: 1 });
    case "fourier": {
      const { tokens, channels } = operator;
      const logarithm = log2({ n: 1 }).plus(Math.log2(channels));
      return cost({
        vectorFlops: b
          .times(tokens)
          .times(channels * 5)
          .times(logarithm),
        readBytes: valueBytes(operator.input),
        writtenBytes,
        launches: 2,
      });
    }
  }
}

function cacheBytesPerElement(block: Block, name: string | null): number {
  const cache = name === null ? undefined : block.caches.get(name);
  return cache === undefined ? 0 : bytesPerElement(cache.key.dtype);
}
