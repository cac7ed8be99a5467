import type { Part } from "../graph/types.js";
import type {
  AttributeValue,
  ElementType,
  OnnxGraph,
  OnnxInitializer,
  OnnxModel,
  OnnxNode,
  OnnxValue,
} from "./proto.js";
import { opsets, type Provider } from "./provider.js";

/** The operator of the graph that a node was lowered from. */
export interface Origin {
  readonly operator: string;
  readonly part: Part;
}

export interface NodeOptions {
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  /** Empty, the default, for the standard operators. */
  readonly domain?: string;
}

/** Collects the nodes, inputs, outputs and small constants of one ONNX model. */
export class ModelBuilder {
  private nodes: OnnxNode[] = [];
  private made = new Set<string>();
  /** Where each node came from, by its name. */
  readonly origins = new Map<string, Origin>();
  private origin: Origin | null = null;
  private readonly inputs = new Map<string, OnnxValue>();
  private readonly outputs: OnnxValue[] = [];
  private readonly constants = new Map<string, OnnxInitializer>();

  /** @param provider what the model is to run on: operators that it lacks are written in others */
  constructor(readonly provider: Provider = "cpu") {}

  /** What `lower` adds comes from this operator. */
  from<T>({ operator, part }: Origin, lower: () => T): T {
    const outer = this.origin;
    this.origin = { operator, part };
    const result = lower();
    this.origin = outer;
    return result;
  }

  /** Adds a node with one output and returns the output's name, which is also the node's. */
  node(output: string, op: string, inputs: readonly string[], options: NodeOptions = {}): string {
    this.nodeWithOutputs(output, op, inputs, [output], options);
    return output;
  }

  /** Adds a node with several outputs; an empty name leaves one out. */
  nodeWithOutputs(
    name: string,
    op: string,
    inputs: readonly string[],
    outputs: readonly string[],
    { attributes = {}, domain = "" }: NodeOptions = {},
  ): void {
    this.nodes.push({ name, op, domain, inputs, outputs, attributes });
    for (const output of outputs) this.made.add(output);
    if (this.origin !== null) this.origins.set(name, this.origin);
  }

  /**
   * What `make` adds becomes a body of control flow instead of a part of the model. It may use everything made before;
   * nothing outside may use what is made inside but for the outputs, in the order of `make`'s result.
   */
  body(name: string, inputs: readonly OnnxValue[], make: () => readonly OnnxValue[]): OnnxGraph {
    const { nodes, made } = this;
    this.nodes = [];
    this.made = new Set(made);
    const outputs = make();
    const body = { name, nodes: this.nodes, inputs, outputs };
    this.nodes = nodes;
    this.made = made;
    return body;
  }

  /** Declares an input of the model, once however often it is asked for, and returns its name. */
  input(name: string, type: ElementType, shape: readonly (number | string)[]): string {
    if (!this.inputs.has(name)) this.inputs.set(name, { name, type, shape });
    return name;
  }

  output(name: string, type: ElementType, shape: readonly (number | string)[]): void {
    this.outputs.push({ name, type, shape });
  }

  /** A scalar constant. */
  scalar(value: number): string {
    return this.constant(`scalar_${value}`, "float32", [], new Float32Array([value]));
  }

  /** A vector of one number over and over. */
  repeated(value: number, length: number): string {
    return this.constant(`repeated_${value}_${length}`, "float32", [length], new Float32Array(length).fill(value));
  }

  /** A vector of few numbers. */
  floats(values: readonly number[]): string {
    return this.constant(`floats_${values.join("_")}`, "float32", [values.length], Float32Array.from(values));
  }

  /** A list of integers: a shape, axes, indices. */
  integers(values: readonly number[]): string {
    const data = BigInt64Array.from(values, (value) => BigInt(value));
    return this.constant(`integers_${values.join("_")}`, "int64", [values.length], data);
  }

  /** One integer without dimensions. */
  integer(value: number): string {
    return this.constant(`integer_${value}`, "int64", [], BigInt64Array.of(BigInt(value)));
  }

  private constant(name: string, type: ElementType, shape: readonly number[], data: ArrayBufferView): string {
    if (!this.constants.has(name)) {
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      this.constants.set(name, { name, type, shape, data: bytes });
    }
    return name;
  }

  /** Whether a value of that name is made already. */
  has(output: string): boolean {
    return this.made.has(output);
  }

  build(name: string, external: readonly OnnxInitializer[]): OnnxModel {
    return {
      name,
      opset: opsets[this.provider],
      nodes: this.nodes,
      inputs: [...this.inputs.values()],
      outputs: this.outputs,
      initializers: [...this.constants.values(), ...external],
    };
  }
}
