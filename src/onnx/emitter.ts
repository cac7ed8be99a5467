import type { Part } from "../graph/types.js";
import { addGroupedLinear, addLinear, addStackedLinear, type Projection } from "./linear.js";
import { addTransposedProduct, type TransposedProduct } from "./product.js";
import { type AttributeValue, elementTypes, float, int, ints, microsoft, type OnnxValue, string } from "./proto.js";
import type { Scope } from "./scope.js";

type Attributes = Readonly<Record<string, AttributeValue>>;

/** Largest index: "to the end" for Slice. */
const end = 2 ** 53;

/**
 * Writes the nodes of one module (a mixer or a feed-forward part) of one layer. Weights are named by their place in
 * the module: `query` is `layers.3.mixer.query.weight`. Values are names in the model; integers that depend on the
 * lengths are tensors of one element, int64 [1].
 */
export class Emitter {
  private count = 0;

  constructor(
    readonly scope: Scope,
    /** Prefix of the module's names in its block. */
    readonly name: string,
    private readonly part: Part,
    /** Prefix of the names of what it makes. */
    private readonly made: string = name,
  ) {}

  /** Name of a weight or state of the module, as the block knows it. */
  local(name: string): string {
    return `${this.name}.${name}`;
  }

  /** Writes nodes with weights of another part of the same layer. */
  beside(name: string): Emitter {
    return new Emitter(this.scope, name, this.part, `${this.name}.${name}`);
  }

  node(op: string, inputs: readonly string[], attributes: Attributes = {}, domain = ""): string {
    return this.nodes(op, inputs, 1, attributes, domain)[0] ?? "";
  }

  /** A node with several outputs. */
  nodes(op: string, inputs: readonly string[], outputs: number, attributes: Attributes = {}, domain = ""): string[] {
    const name = this.fresh(op);
    const made = Array.from({ length: outputs }, (_, index) => (index === 0 ? name : `${name}.${index}`));
    this.tagged(() => this.scope.builder.nodeWithOutputs(name, op, inputs, made, { attributes, domain }));
    return made;
  }

  /** An operator of ONNX Runtime's own. */
  own(op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.node(op, inputs, attributes, microsoft);
  }

  /** A node that makes a value of a given name: what a cache or a state becomes. */
  into(output: string, op: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.tagged(() => this.scope.builder.node(output, op, inputs, { attributes }));
  }

  fresh(what: string): string {
    this.count += 1;
    return this.scope.fresh(`${this.made}.${what}.${this.count}`);
  }

  tagged<T>(make: () => T): T {
    return this.scope.builder.from({ operator: this.name, part: this.part }, make);
  }

  has(weight: string): boolean {
    return this.scope.hasWeight(this.local(weight));
  }

  /** An initializer with a weight of the module as it is stored. */
  weight(name: string, offset = false): string {
    return this.scope.parameter(this.local(name), offset);
  }

  /** x·Wᵀ + bias with the module's weight of that name. */
  linear(name: string, input: string): string {
    return this.projected(name, () => addLinear(input, this.projection(name), this.fresh(name), this.scope));
  }

  /** The same where outputs and inputs are in groups, and each group of outputs reads its own of the inputs. */
  grouped(name: string, input: string, groups: number): string {
    return this.projected(name, () =>
      addGroupedLinear(input, this.projection(name), groups, this.fresh(name), this.scope),
    );
  }

  /** Several projections of one input as one product, side by side. */
  linears(names: readonly string[], input: string): string {
    const together = names.join("_");
    return this.projected(together, () =>
      addStackedLinear(
        input,
        names.map((name) => this.projection(name)),
        this.local(together),
        this.scope,
      ),
    );
  }

  private projection(name: string): Projection {
    return {
      weight: this.local(`${name}.weight`),
      bias: this.has(`${name}.bias`) ? this.local(`${name}.bias`) : null,
    };
  }

  private projected(name: string, make: () => string): string {
    return this.scope.builder.from({ operator: this.local(`${name}_projection`), part: "projection" }, make);
  }

  add(a: string, b: string): string {
    return this.node("Add", [a, b]);
  }

  subtract(a: string, b: string): string {
    return this.node("Sub", [a, b]);
  }

  multiply(a: string, b: string): string {
    return this.node("Mul", [a, b]);
  }

  scale(a: string, factor: number): string {
    return factor === 1 ? a : this.multiply(a, this.scope.builder.scalar(factor));
  }

  matmul(a: string, b: string): string {
    return this.node("MatMul", [a, b]);
  }

  /** factor · a·bᵀ over the last two dimensions; b has four unless it is said otherwise. */
  transposedProduct(a: string, b: string, factor = 1, sides: Partial<TransposedProduct> = {}): string {
    const name = this.fresh("FusedMatMul");
    return this.tagged(() => addTransposedProduct(this.scope.builder, name, [a, b], { rank: 4, factor, ...sides }));
  }

  /** x·Wᵀ with the one of several matrices, [count, out, in], that `index` says. */
  pickedProduct(x: string, name: string, index: string): string {
    const { builder, layout } = this.scope;
    if (builder.provider === "cpu") {
      return this.transposedProduct(x, this.node("Gather", [this.weight(name), index]), 1, { rank: 2 });
    }
    const part = { ...this.scope.weight(this.local(name)), offset: false };
    const matrices = layout.turned(this.scope.qualified(this.local(name)), [part]);
    return this.matmul(x, this.node("Gather", [matrices, index]));
  }

  softmax(a: string): string {
    return this.node("Softmax", [a], { axis: int(-1) });
  }

  silu(a: string): string {
    return this.own("QuickGelu", [a], { alpha: float(1) });
  }

  sigmoid(a: string): string {
    return this.node("Sigmoid", [a]);
  }

  gelu(a: string, approximate: "none" | "tanh"): string {
    return this.node("Gelu", [a], { approximate: string(approximate) });
  }

  /** The last dimension normed, without parameters. */
  normalised(input: string, kind: "rms" | "layer", width: number, epsilon: number): string {
    const op = kind === "rms" ? "SimplifiedLayerNormalization" : "LayerNormalization";
    const ones = this.scope.builder.repeated(1, width);
    return this.node(op, [input, ones], { axis: int(-1), epsilon: float(epsilon) });
  }

  /** RMS norm of the last dimension; the weight may be any value of that size. */
  rms(input: string, weight: string, epsilon: number): string {
    return this.node("SimplifiedLayerNormalization", [input, weight], { axis: int(-1), epsilon: float(epsilon) });
  }

  transpose(a: string, perm: readonly number[]): string {
    return this.node("Transpose", [a], { perm: ints(perm) });
  }

  /** Zero keeps a dimension, −1 infers it; a string is an int64 [1] tensor. */
  reshape(a: string, shape: readonly (number | string)[]): string {
    return this.node("Reshape", [a, this.list(shape)]);
  }

  expand(a: string, shape: readonly (number | string)[]): string {
    return this.node("Expand", [a, this.list(shape)]);
  }

  /** A list of integers, some of which depend on the lengths. */
  list(values: readonly (number | string)[]): string {
    const { builder } = this.scope;
    const constants = values.filter((value) => typeof value === "number");
    if (constants.length === values.length) return builder.integers(constants);
    const parts = values.map((value) => (typeof value === "number" ? builder.integers([value]) : value));
    if (parts.length === 1) return parts[0] ?? "";
    return this.concat(parts, 0);
  }

  slice(a: string, axis: number, from: number | string, to: number | string = end): string {
    return this.node("Slice", [a, this.list([from]), this.list([to]), this.list([axis])]);
  }

  /** Parts of the last dimension, one after the other. */
  split(a: string, sizes: readonly number[]): string[] {
    return this.nodes("Split", [a, this.list(sizes)], sizes.length, { axis: int(-1) });
  }

  /** Rows of a matrix, one by one, as vectors. */
  rows(a: string, count: number): string[] {
    const parts = this.nodes("Split", [a], count, { axis: int(0), num_outputs: int(count) });
    return parts.map((part) => this.reshape(part, [-1]));
  }

  concat(parts: readonly string[], axis: number): string {
    return this.node("Concat", parts, { axis: int(axis) });
  }

  /** Length of one dimension, int64 [1]. */
  length(a: string, axis: number): string {
    return this.node("Shape", [a], { start: int(axis), end: int(axis + 1) });
  }

  /** From int64 [1] to a tensor without dimensions. */
  alone(a: string): string {
    return this.node("Squeeze", [a]);
  }

  toFloat(a: string): string {
    return this.node("Cast", [a], { to: int(elementTypes.float32) });
  }

  /**
   * Does `make` for each index below `times` (int64, no dimensions), one after the other. `carried` values go from
   * round to round; the second list of the result is stacked over the rounds, which needs equal shapes.
   *
   * @returns what is carried at last, then what was stacked, [times, …] each
   */
  loop(
    times: string,
    carried: readonly { readonly value: string; readonly rank: number }[],
    make: (index: string, carried: string[]) => { readonly carried: string[]; readonly stacked: readonly Stacked[] },
  ): string[] {
    const { builder } = this.scope;
    const always = this.node("GreaterOrEqual", [times, builder.integer(0)]);
    const name = this.fresh("loop");
    const [index, going] = [`${name}.index`, `${name}.going`];
    const names = carried.map((_, i) => `${name}.carried.${i}`);
    let outputs = 0;
    const body = builder.body(
      name,
      [
        { name: index, type: "int64", shape: [] },
        { name: going, type: "bool", shape: [] },
        ...carried.map(({ rank }, i) => anyShape(names[i] ?? "", rank)),
      ],
      () => {
        const result = make(index, names);
        outputs = result.carried.length + result.stacked.length;
        return [
          { name: this.node("Identity", [going]), type: "bool" as const, shape: [] },
          // A body may not hand out a value that it was handed in or sees from outside.
          ...result.carried.map((value, i) => anyShape(this.node("Identity", [value]), carried[i]?.rank ?? 0)),
          ...result.stacked.map(({ value, rank }) => anyShape(value, rank)),
        ];
      },
    );
    return this.nodes("Loop", [times, always, ...carried.map(({ value }) => value)], outputs, {
      body: { kind: "graph", value: body },
    });
  }

  /** Either of two ways to the same value of `rank` dimensions, by a condition (bool, one element). */
  eitherOf(condition: string, rank: number, first: () => string, second: () => string): string {
    const [value = ""] = this.either(
      condition,
      [rank],
      () => [first()],
      () => [second()],
    );
    return value;
  }

  /** The same for several values. */
  either(
    condition: string,
    ranks: readonly number[],
    first: () => readonly string[],
    second: () => readonly string[],
  ): string[] {
    const name = this.fresh("either");
    const branch = (which: string, make: () => readonly string[]): AttributeValue => ({
      kind: "graph",
      value: this.scope.builder.body(`${name}.${which}`, [], () =>
        make().map((value, i) => anyShape(this.node("Identity", [value]), ranks[i] ?? 0)),
      ),
    });
    return this.nodes("If", [condition], ranks.length, {
      then_branch: branch("first", first),
      else_branch: branch("second", second),
    });
  }
}

/** A value of a loop's body and the number of its dimensions. */
export interface Stacked {
  readonly value: string;
  readonly rank: number;
}

function anyShape(name: string, rank: number): OnnxValue {
  return { name, type: "float32", shape: Array.from({ length: rank }, (_, index) => `${name}.${index}`) };
}
