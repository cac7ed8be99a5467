import { describe, expect, test } from "vitest";
import type { Cell } from "../runs/schema.js";
import { createEstimator } from "./estimate.js";

const prefill = (n: number, batch = 1): Cell => ({ phase: "prefill", n, depth: 0, batch });
const decode = (depth: number): Cell => ({ phase: "decode", n: 1, depth, batch: 1 });

describe("foreseen seconds", () => {
  test("are unknown before any call of the phase, and count as nothing in a sum", () => {
    const estimator = createEstimator();
    expect(estimator.of(prefill(128))).toBeNull();
    estimator.note(decode(128), 1);
    expect(estimator.of(prefill(128))).toBeNull();
    expect(estimator.sum([prefill(128), decode(128)])).toBe(1);
  });

  test("of a cell seen before are the mean of its latest calls", () => {
    const estimator = createEstimator();
    for (const wall of [100, 1, 2, 3]) estimator.note(prefill(128), wall);
    expect(estimator.of(prefill(128))).toBe(2);
  });

  test("of a longer cell follow the growth seen so far, at most a square", () => {
    const estimator = createEstimator();
    estimator.note(prefill(100), 1);
    expect(estimator.of(prefill(200))).toBeCloseTo(2 ** 1.2, 12);
    estimator.note(prefill(200), 3);
    expect(estimator.of(prefill(400))).toBeCloseTo(9, 12);
    estimator.note(prefill(400), 30);
    expect(estimator.of(prefill(800))).toBeCloseTo(120, 12);
    expect(estimator.of(prefill(400, 2))).toBeCloseTo(120, 12);
  });

  test("of a longer context grow at most in proportion", () => {
    const estimator = createEstimator();
    estimator.note(decode(100), 1);
    estimator.note(decode(200), 5);
    expect(estimator.of(decode(400))).toBeCloseTo(10, 12);
  });

  test("of a shorter cell are at most those of the shortest", () => {
    const estimator = createEstimator();
    estimator.note(prefill(512), 4);
    estimator.note(prefill(1024), 9);
    expect(estimator.of(prefill(64))).toBe(4);
  });
});
