import { describe, expect, test } from "vitest";
import type { ByteSource } from "../../files/byte-source.js";
import { type GgufShapes, type RandomGgufOptions, randomGguf } from "./random-gguf.js";
import { readGguf } from "./read-gguf.js";

const shapes = { layers: 3, hidden: 64, heads: 4, kvHeads: 2, headDim: 32, ffn: 96, vocabulary: 300, context: 2048 };

function file(wanted: Partial<GgufShapes>, options: RandomGgufOptions = {}): Buffer {
  return Buffer.concat(Array.from(randomGguf({ ...shapes, ...wanted }, options), (piece) => piece.slice()));
}

function source(bytes: Uint8Array): ByteSource {
  return { name: "random.gguf", size: bytes.length, read: async (from, to) => bytes.slice(from, to) };
}

describe("a GGUF file with random weights", () => {
  test.each(["f32", "f16"] as const)("is read as the model that was asked for (%s)", async (type) => {
    const bytes = file({ type });
    const model = await readGguf(source(bytes), "random");
    expect(model.hiddenSize).toBe(64);
    expect(model.contextLength).toBe(2048);
    const attention = 2 * 64 * 32 * (4 + 2);
    const norms = 64 * (2 * 3 + 1);
    expect(model.stored?.parameters).toBe(300 * 64 + 3 * (attention + 3 * 64 * 96) + norms);
    expect(model.dtypes.weights).toBe(type === "f32" ? "float32" : "float16");
  });

  test("is the same for the same seed, and another for another", () => {
    expect(file({}, { seed: 3 })).toEqual(file({}, { seed: 3 }));
    expect(file({}, { seed: 3 }).equals(file({}, { seed: 4 }))).toBe(false);
  });

  test("is as large where weights repeat, and they do", () => {
    const wide = { hidden: 512, ffn: 256, layers: 1 };
    const [plain, repeated] = [file(wide), file(wide, { repeated: true })];
    expect(repeated.length).toBe(plain.length);
    // The last half megabyte but for the norm at the end is of one matrix.
    const block = 4 * 65_536;
    const end = repeated.length - 4 * 512;
    const alike = (bytes: Buffer): boolean =>
      bytes.subarray(end - block, end).equals(bytes.subarray(end - 2 * block, end - block));
    expect(alike(repeated)).toBe(true);
    expect(alike(plain)).toBe(false);
  });

  test.each([
    [{ layers: 0 }, /layers is 0; a whole number/],
    [{ hidden: 1.5 }, /hidden is 1\.5/],
    [{ vocabulary: 100 }, /vocabulary is 100; at least 260/],
    [{ hidden: 2 ** 24, ffn: 2 ** 24 }, /weights is \d+; at most/],
  ])("refuses %o", (wanted, message) => {
    expect(() => file(wanted)).toThrow(message);
  });
});
