import type { Dtype } from "../base/units.js";
import type { Expression } from "../math/expression.js";
import type { Block, Cache, GraphModule, Operator, Value, Weight } from "./types.js";

/** Collects the values, weights, caches and operators of one block. */
export class BlockBuilder {
  private readonly values = new Map<string, Value>();
  private readonly weights = new Map<string, Weight>();
  private readonly caches = new Map<string, Cache>();
  private readonly states = new Map<string, Value>();
  private readonly operators: Operator[] = [];
  private readonly modules: GraphModule[] = [];

  constructor(private readonly name: string) {}

  /** Declares an activation and returns its name. */
  value(name: string, shape: readonly Expression[], dtype: Dtype): string {
    this.values.set(name, { shape, dtype });
    return name;
  }

  weight(name: string, shape: readonly number[], dtype: Dtype, init: Weight["init"], firstRow?: number): string {
    this.weights.set(name, { shape, dtype, init, ...(firstRow === undefined ? {} : { firstRow }) });
    return name;
  }

  cache(name: string, cache: Cache): string {
    this.caches.set(name, cache);
    return name;
  }

  state(name: string, shape: readonly Expression[], dtype: Dtype): string {
    this.states.set(name, { shape, dtype });
    return name;
  }

  shapeOf(name: string): readonly Expression[] {
    const value = this.values.get(name);
    if (value === undefined) throw new Error(`block ${this.name} has no value ${name}`);
    return value.shape;
  }

  /** Adds an operator and returns the name of what it makes. */
  add(operator: Operator): string {
    this.operators.push(operator);
    return operator.output;
  }

  /** What `make` adds is one part of a layer. @returns name of the part's output */
  module(part: Pick<GraphModule, "name" | "description" | "norm" | "input">, make: () => string): string {
    const first = this.operators.length;
    const output = make();
    this.modules.push({ ...part, output, operators: this.operators.slice(first) });
    return output;
  }

  build(inputs: readonly string[], output: string, { aside }: Pick<Block, "aside"> = {}): Block {
    return {
      ...(aside === undefined ? {} : { aside }),
      name: this.name,
      inputs,
      output,
      values: this.values,
      weights: this.weights,
      caches: this.caches,
      states: this.states,
      operators: this.operators,
      modules: this.modules,
    };
  }
}
