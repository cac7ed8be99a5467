import { describe, expect, test } from "vitest";
import type { Weight } from "../graph/types.js";
import { syntheticWeights } from "./weights.js";

async function draw(name: string, shape: number[], init: Weight["init"], seed = 1): Promise<Float32Array> {
  const target = new Float32Array(shape.reduce((size, dimension) => size * dimension, 1));
  await syntheticWeights(seed).read(name, { shape, dtype: "float32", init }, target);
  return target;
}

const mean = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;

describe("synthetic weights", () => {
  test("of a matrix have mean 0 and variance 1 / fan-in", async () => {
    const values = await draw("matrix", [300, 400], "matrix");
    expect(mean(values)).toBeCloseTo(0, 3);
    expect(mean(values.map((value) => value ** 2))).toBeCloseTo(1 / 400, 4);
  });

  test("of norms lie around 1, of offset norms and biases around 0, and are not all alike", async () => {
    for (const [init, centre] of [
      ["one", 1],
      ["zero", 0],
      ["bias", 0],
    ] as const) {
      const values = await draw("vector", [1000], init);
      expect(mean(values)).toBeCloseTo(centre, 1);
      expect(Math.max(...values) - Math.min(...values)).toBeGreaterThan(0.1);
    }
  });

  test("hold no denormal and nothing that is not finite", async () => {
    const values = await draw("matrix", [512, 512], "matrix");
    const smallestNormal = 2 ** -126;
    expect(values.every((value) => value === 0 || Math.abs(value) >= smallestNormal)).toBe(true);
  });

  test("are the same for the same seed and name, and others for another seed or name", async () => {
    const first = await draw("a", [64], "matrix");
    expect(await draw("a", [64], "matrix")).toEqual(first);
    expect(await draw("b", [64], "matrix")).not.toEqual(first);
    expect(await draw("a", [64], "matrix", 2)).not.toEqual(first);
  });
});
