import { describe, expect, test } from "vitest";
import { microModel } from "./micro.js";
import { SharedNumbers } from "./shared-numbers.js";

/** Where in its memory an array begins and ends, in bytes. */
function span({ byteOffset, byteLength }: Float32Array): [number, number] {
  return [byteOffset, byteOffset + byteLength];
}

test("weights of a chain lie in memory of their own, so that each is fetched", () => {
  const { files } = microModel({ kind: "matmul", m: 1, k: 32, n: 48, length: 4 });
  expect(new Set(files.map(({ data }) => data.buffer)).size).toBe(4);
});

describe("shared numbers", () => {
  test("lie beside one another within a model, and in the same memory in the next one", () => {
    const numbers = new SharedNumbers(1_000_000);
    const first = numbers.draw();
    const [left, right] = [first(100_001), first(7)];
    expect(right.buffer).toBe(left.buffer);
    expect(span(right)[0]).toBeGreaterThanOrEqual(span(left)[1]);
    expect(span(right)[0] % 128).toBe(0);
    const again = numbers.draw()(5);
    expect(again.buffer).toBe(left.buffer);
    expect(again).toEqual(left.subarray(0, 5));
  });

  test("are of ordinary size wherever they are taken from, as many as are asked for", () => {
    const numbers = new SharedNumbers(300);
    const draw = numbers.draw();
    for (const elements of [300, 200_000, 1]) {
      const data = draw(elements);
      expect(data).toHaveLength(elements);
      expect(data.every((value) => value !== 0 && Math.abs(value) < 1)).toBe(true);
    }
    const many = numbers.draw()(200_000);
    const variance = many.reduce((sum, value) => sum + value * value, 0) / many.length;
    expect(variance).toBeCloseTo(1 / 3, 2);
  });
});
