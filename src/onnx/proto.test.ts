import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, test } from "vitest";
import { encodeModel, float, int, ints, string } from "./proto.js";

/** The fields of a message: numbers for varints and floats, bytes for the rest, by field number. */
function fields(bytes: Uint8Array): Map<number, (bigint | number | Uint8Array)[]> {
  const reader = new BinaryReader(bytes);
  const found = new Map<number, (bigint | number | Uint8Array)[]>();
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    const value =
      wire === WireType.Varint ? BigInt(reader.int64()) : wire === WireType.Bit32 ? reader.float() : reader.bytes();
    found.set(field, [...(found.get(field) ?? []), value]);
  }
  return found;
}

function bytesAt(message: ReturnType<typeof fields>, field: number): Uint8Array[] {
  return (message.get(field) ?? []).filter((value) => value instanceof Uint8Array);
}

function textsAt(message: ReturnType<typeof fields>, field: number): string[] {
  return bytesAt(message, field).map((bytes) => new TextDecoder().decode(bytes));
}

const model = fields(
  encodeModel({
    name: "small",
    opset: 23,
    nodes: [
      {
        name: "sum",
        op: "Add",
        domain: "com.microsoft",
        inputs: ["x", "", "w"],
        outputs: ["y"],
        attributes: { axis: int(-1), scale: float(0.5), perm: ints([0, 2, 1]), approximate: string("none") },
      },
    ],
    inputs: [{ name: "x", type: "int64", shape: ["b", 3] }],
    outputs: [{ name: "y", type: "float32", shape: [] }],
    initializers: [
      { name: "w", type: "float32", shape: [2, 3], data: { path: "weights.0.bin", offset: 5_000_000_000, length: 24 } },
      { name: "k", type: "int64", shape: [1], data: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) },
    ],
  }),
);
const [graph = new Map()] = bytesAt(model, 7).map(fields);

describe("encodeModel writes the field numbers of onnx.proto", () => {
  test("for the model: IR version, graph and the operator sets in use", () => {
    expect(model.get(1)).toEqual([10n]);
    expect(
      bytesAt(model, 8)
        .map(fields)
        .map((set) => [textsAt(set, 1), set.get(2)]),
    ).toEqual([
      [[""], [23n]],
      [["com.microsoft"], [1n]],
    ]);
    expect(textsAt(graph, 2)).toEqual(["small"]);
  });

  test("for nodes, with empty names for inputs left out", () => {
    const [node = new Map()] = bytesAt(graph, 1).map(fields);
    expect(textsAt(node, 1)).toEqual(["x", "", "w"]);
    expect(textsAt(node, 2)).toEqual(["y"]);
    expect(textsAt(node, 3)).toEqual(["sum"]);
    expect(textsAt(node, 4)).toEqual(["Add"]);
    expect(textsAt(node, 7)).toEqual(["com.microsoft"]);
  });

  test("for attributes of every kind, with their types", () => {
    const [node = new Map()] = bytesAt(graph, 1).map(fields);
    const attributes = new Map(
      bytesAt(node, 5)
        .map(fields)
        .map((attribute) => [textsAt(attribute, 1)[0], attribute]),
    );
    expect(attributes.get("axis")?.get(3)).toEqual([-1n]);
    expect(attributes.get("axis")?.get(20)).toEqual([2n]);
    expect(attributes.get("scale")?.get(2)).toEqual([0.5]);
    expect(attributes.get("scale")?.get(20)).toEqual([1n]);
    expect(attributes.get("perm")?.get(8)).toEqual([0n, 2n, 1n]);
    expect(attributes.get("perm")?.get(20)).toEqual([7n]);
    expect(textsAt(attributes.get("approximate") ?? new Map(), 4)).toEqual(["none"]);
    expect(attributes.get("approximate")?.get(20)).toEqual([3n]);
  });

  test("for tensors inside the model and in external files beyond 4 GB", () => {
    const [external = new Map(), inside = new Map()] = bytesAt(graph, 5).map(fields);
    expect(external.get(1)).toEqual([2n, 3n]);
    expect(external.get(2)).toEqual([1n]);
    expect(
      bytesAt(external, 13)
        .map(fields)
        .map((entry) => [textsAt(entry, 1)[0], textsAt(entry, 2)[0]]),
    ).toEqual([
      ["location", "weights.0.bin"],
      ["offset", "5000000000"],
      ["length", "24"],
    ]);
    expect(external.get(14)).toEqual([1n]);
    expect(inside.get(2)).toEqual([7n]);
    expect(bytesAt(inside, 9)).toEqual([Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)]);
  });

  test("for inputs, with sizes and symbols", () => {
    const [input = new Map()] = bytesAt(graph, 11).map(fields);
    expect(textsAt(input, 1)).toEqual(["x"]);
    const [type = new Map()] = bytesAt(input, 2).map(fields);
    const [tensor = new Map()] = bytesAt(type, 1).map(fields);
    expect(tensor.get(1)).toEqual([7n]);
    const [shape = new Map()] = bytesAt(tensor, 2).map(fields);
    const [symbol = new Map(), size = new Map()] = bytesAt(shape, 1).map(fields);
    expect(textsAt(symbol, 2)).toEqual(["b"]);
    expect(size.get(1)).toEqual([3n]);
  });
});
