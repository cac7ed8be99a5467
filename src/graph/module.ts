import { Expression, b } from "../math/expression.js";
import type { Dtypes, Norm } from "../model/types.js";
import type { BlockBuilder } from "./block-builder.js";
import type { ElementwiseFunction, GraphOptions, Operator, Part, Weight } from "./types.js";

/** What the parts of a block are built with. */
export interface Surroundings {
  readonly hidden: number;
  readonly dtypes: Dtypes;
  readonly options: GraphOptions;
  /** Tokens of each sequence that pass through: n, or the encoder's m. */
  readonly tokens: Expression;
  /** Tokens of the sequence that came before and are cached: c, or none in an encoder. */
  readonly earlier: Expression;
  /** Length of the encoder's output, for cross-attention. */
  readonly encoder: Expression;
  /** Width of the encoder's output. */
  readonly encoderWidth: number;
  readonly norm: Norm;
}

/** Writes operators of one part of a block: names get its prefix, shapes its number of tokens. */
export class ModuleBuilder {
  constructor(
    readonly block: BlockBuilder,
    readonly prefix: string,
    readonly around: Surroundings,
    readonly part: Part,
  ) {}

  /** Whether the reference implementation's eager code is what is built. */
  get reference(): boolean {
    return this.around.options.kernels === "reference";
  }

  get decode(): boolean {
    return this.around.options.phase === "decode";
  }

  name(local: string): string {
    return this.prefix === "" ? local : `${this.prefix}.${local}`;
  }

  shape(width: number, tokens: Expression = this.around.tokens): readonly Expression[] {
    return [b, tokens, Expression.constant(width)];
  }

  value(local: string, width: number, tokens?: Expression): string {
    return this.block.value(this.name(local), this.shape(width, tokens), this.around.dtypes.activations);
  }

  weight(local: string, shape: readonly number[], init: Weight["init"] = "matrix", firstRow?: number): string {
    return this.block.weight(this.name(local), shape, this.around.dtypes.weights, init, firstRow);
  }

  add(operator: Operator): string {
    return this.block.add(operator);
  }

  /** y = x·Wᵀ + bias; `tokens` where the input's number of tokens is not the module's. */
  linear(
    local: string,
    input: string,
    inWidth: number,
    outWidth: number,
    options: { readonly bias?: boolean; readonly part?: Part; readonly tokens?: Expression } = {},
  ): string {
    return this.add({
      kind: "linear",
      name: this.name(`${local}_projection`),
      part: options.part ?? (this.part === "attention" ? "projection" : this.part),
      input,
      weight: this.weight(`${local}.weight`, [outWidth, inWidth]),
      bias: options.bias === true ? this.weight(`${local}.bias`, [outWidth], "bias") : null,
      output: this.value(local, outWidth, options.tokens),
    });
  }

  /** A norm over groups of `width` elements; `rows` where each group has weights of its own. */
  normalise(local: string, input: string, norm: Norm, width: number, rows?: number): string {
    const shape = rows === undefined ? [width] : [rows, width];
    const output = this.block.value(
      this.name(`${local}.out`),
      this.block.shapeOf(input),
      this.around.dtypes.activations,
    );
    if (norm.plain === true) {
      const plain = { kind: norm.kind, epsilon: norm.epsilon };
      return this.add({ kind: "weighted", name: this.name(local), part: "norm", input, weights: [], plain, output });
    }
    return this.add({
      kind: "norm",
      name: this.name(local),
      part: "norm",
      norm: norm.kind,
      input,
      weight: this.weight(`${local}.weight`, shape, norm.offset ? "zero" : "one"),
      bias: norm.bias ? this.weight(`${local}.bias`, shape, "bias") : null,
      epsilon: norm.epsilon,
      offset: norm.offset,
      ...(norm.affine === undefined ? {} : { affine: norm.affine }),
      width,
      output,
    });
  }

  elementwise(
    local: string,
    fn: ElementwiseFunction,
    inputs: readonly string[],
    parameter: number | null = null,
  ): string {
    const [first = ""] = inputs;
    return this.add({
      kind: "elementwise",
      name: this.name(local),
      part: this.part,
      function: fn,
      inputs,
      parameter,
      output: this.block.value(this.name(local), this.block.shapeOf(first), this.around.dtypes.activations),
    });
  }

  /** Small parameters that are read and applied element by element. */
  weighted(local: string, input: string, weights: Readonly<Record<string, readonly number[]>>): string {
    return this.add({
      kind: "weighted",
      name: this.name(local),
      part: this.part,
      input,
      weights: Object.entries(weights).map(([name, shape]) => this.weight(name, shape, "bias")),
      output: this.block.value(this.name(`${local}.out`), this.block.shapeOf(input), this.around.dtypes.activations),
    });
  }

  /** A batched product of activations; its result has `outWidth` numbers per token, of `tokens` where they differ. */
  product(
    local: string,
    inputs: readonly [string, ...string[]],
    sizes: Readonly<Record<"batch" | "rows" | "inner" | "columns", Expression | number>>,
    outWidth: number,
    tokens?: Expression,
  ): string {
    return this.add({
      kind: "product",
      name: this.name(local),
      part: this.part,
      input: inputs[0],
      inputs,
      batch: b.times(sizes.batch),
      rows: Expression.of(sizes.rows),
      inner: Expression.of(sizes.inner),
      columns: Expression.of(sizes.columns),
      output: this.value(local, outWidth, tokens),
    });
  }

  /** Causal depthwise convolution over `width` channels with its state; the reference pads more than it keeps. */
  convolution(local: string, input: string, width: number, kernel: number, bias: boolean, dilation = 1): string {
    const { tokens } = this.around;
    const positions = !this.reference ? tokens : this.decode ? tokens.plus(1) : tokens.plus(kernel - 1);
    this.keep(`${local}.state`, width, (kernel - 1) * dilation);
    return this.add({
      kind: "convolution",
      name: this.name(local),
      part: this.part,
      input,
      weight: this.weight(`${local}.weight`, [width, 1, kernel]),
      bias: bias ? this.weight(`${local}.bias`, [width], "bias") : null,
      positions,
      output: this.value(local, width),
    });
  }

  /** The last positions of some channels, kept from step to step. */
  keep(local: string, width: number, positions: number): void {
    this.block.state(
      this.name(local),
      [b, Expression.constant(width), Expression.constant(positions)],
      this.around.dtypes.activations,
    );
  }

  /** A recurrence over `elements` state elements per sequence, kept in float32. */
  scan(
    local: string,
    inputs: readonly [string, ...string[]],
    elements: readonly number[],
    operations: number,
    width: number,
  ): string {
    return this.add({
      kind: "scan",
      name: this.name(local),
      part: this.part,
      input: inputs[0],
      inputs,
      state: this.block.state(
        this.name(`${local}.state`),
        [b, ...elements.map((size) => Expression.constant(size))],
        "float32",
      ),
      operations,
      output: this.value(local, width),
    });
  }

  /** The same module under a longer prefix, or counted as another part. */
  within(local: string, part: Part = this.part): ModuleBuilder {
    return new ModuleBuilder(this.block, this.name(local), this.around, part);
  }

  /** Whether earlier tokens exist at all (they do not in an encoder). */
  get hasEarlier(): boolean {
    return !this.around.earlier.isZero;
  }
}
