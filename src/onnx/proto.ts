import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/**
 * Writes ONNX models as protocol buffers. Only the messages and fields that the lowering needs; field numbers are
 * those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, ONNX 1.18, IR version 10).
 */

/** Element types, with the numbers of `TensorProto.DataType`. */
export const elementTypes = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float16: 10 } as const;
export type ElementType = keyof typeof elementTypes;

export type AttributeValue =
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "ints"; readonly value: readonly number[] }
  | { readonly kind: "string"; readonly value: string }
  /** A body of control flow; it sees the values of the graph around it. */
  | { readonly kind: "graph"; readonly value: OnnxGraph };

export const float = (value: number): AttributeValue => ({ kind: "float", value });
export const int = (value: number): AttributeValue => ({ kind: "int", value });
export const ints = (value: readonly number[]): AttributeValue => ({ kind: "ints", value });
export const string = (value: string): AttributeValue => ({ kind: "string", value });

export interface OnnxNode {
  readonly name: string;
  readonly op: string;
  /** Empty for the standard operators. */
  readonly domain: string;
  /** An empty name leaves an optional input out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/** A graph input or output. A dimension is a size or the name of a symbol. */
export interface OnnxValue {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly (number | string)[];
}

/** A constant tensor: its little-endian bytes in the model itself, or a stretch of an external file. */
export interface OnnxInitializer {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: Uint8Array | { readonly path: string; readonly offset: number; readonly length: number };
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

export interface OnnxModel extends OnnxGraph {
  /** Version of the standard operators. */
  readonly opset: number;
  readonly initializers: readonly OnnxInitializer[];
}

/** Domain of ONNX Runtime's own operators. */
export const microsoft = "com.microsoft";
const irVersion = 10;

type Fill = (writer: BinaryWriter) => void;

function message(writer: BinaryWriter, field: number, fill: Fill): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  fill(writer);
  writer.join();
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}

function integer(writer: BinaryWriter, field: number, value: number): void {
  writer.tag(field, WireType.Varint).int64(value);
}

const attributeTypes = { float: 1, int: 2, string: 3, graph: 5, ints: 7 } as const;

function writeAttribute(writer: BinaryWriter, name: string, attribute: AttributeValue): void {
  text(writer, 1, name);
  switch (attribute.kind) {
    case "float":
      writer.tag(2, WireType.Bit32).float(attribute.value);
      break;
    case "int":
      integer(writer, 3, attribute.value);
      break;
    case "string":
      text(writer, 4, attribute.value);
      break;
    case "ints":
      for (const value of attribute.value) integer(writer, 8, value);
      break;
    case "graph":
      message(writer, 6, (inner) => writeGraph(inner, attribute.value, []));
      break;
  }
  integer(writer, 20, attributeTypes[attribute.kind]);
}

function writeNode(writer: BinaryWriter, node: OnnxNode): void {
  for (const input of node.inputs) text(writer, 1, input);
  for (const output of node.outputs) text(writer, 2, output);
  text(writer, 3, node.name);
  text(writer, 4, node.op);
  for (const [name, attribute] of Object.entries(node.attributes)) {
    message(writer, 5, (inner) => writeAttribute(inner, name, attribute));
  }
  if (node.domain !== "") text(writer, 7, node.domain);
}

function writeInitializer(writer: BinaryWriter, tensor: OnnxInitializer): void {
  for (const size of tensor.shape) integer(writer, 1, size);
  integer(writer, 2, elementTypes[tensor.type]);
  text(writer, 8, tensor.name);
  if (tensor.data instanceof Uint8Array) {
    writer.tag(9, WireType.LengthDelimited).bytes(tensor.data);
    return;
  }
  const { path, offset, length } = tensor.data;
  for (const [key, value] of Object.entries({ location: path, offset: String(offset), length: String(length) })) {
    message(writer, 13, (entry) => {
      text(entry, 1, key);
      text(entry, 2, value);
    });
  }
  const external = 1;
  integer(writer, 14, external);
}

function writeValue(writer: BinaryWriter, value: OnnxValue): void {
  text(writer, 1, value.name);
  message(writer, 2, (type) => {
    message(type, 1, (tensor) => {
      integer(tensor, 1, elementTypes[value.type]);
      message(tensor, 2, (shape) => {
        for (const size of value.shape) {
          message(shape, 1, (dimension) => {
            if (typeof size === "number") integer(dimension, 1, size);
            else text(dimension, 2, size);
          });
        }
      });
    });
  });
}

function writeGraph(writer: BinaryWriter, content: OnnxGraph, initializers: readonly OnnxInitializer[]): void {
  for (const node of content.nodes) message(writer, 1, (inner) => writeNode(inner, node));
  text(writer, 2, content.name);
  for (const tensor of initializers) message(writer, 5, (inner) => writeInitializer(inner, tensor));
  for (const value of content.inputs) message(writer, 11, (inner) => writeValue(inner, value));
  for (const value of content.outputs) message(writer, 12, (inner) => writeValue(inner, value));
}

/** The bytes of a `ModelProto`. */
export function encodeModel(model: OnnxModel): Uint8Array {
  const writer = new BinaryWriter();
  integer(writer, 1, irVersion);
  text(writer, 2, "nsquared");
  message(writer, 7, (inner) => writeGraph(inner, model, model.initializers));
  for (const [domain, version] of [
    ["", model.opset],
    [microsoft, 1],
  ] as const) {
    message(writer, 8, (inner) => {
      text(inner, 1, domain);
      integer(inner, 2, version);
    });
  }
  return writer.finish();
}
