import { describe, expect, test } from "vitest";
import { normalDeviate, seededRandom } from "../base/random.js";
import { hasTrend, theilSenSlope } from "./trend.js";

describe("a trend", () => {
  test("is found from the exact probability of the order", () => {
    // Five values in order: 2 of 120 orderings are as extreme, p = 0.0167. With one swap 2·(1 + 4)/120 = 0.083.
    expect(hasTrend([1, 2, 3, 4, 5], 0.017)).toBe(true);
    expect(hasTrend([1, 2, 3, 4, 5], 0.016)).toBe(false);
    expect(hasTrend([5, 4, 3, 2, 1], 0.017)).toBe(true);
    expect(hasTrend([1, 2, 3, 5, 4], 0.084)).toBe(true);
    expect(hasTrend([1, 2, 3, 5, 4], 0.083)).toBe(false);
  });

  test("needs more than two values, and values that differ", () => {
    expect(hasTrend([], 0.5)).toBe(false);
    expect(hasTrend([1, 2], 0.99)).toBe(false);
    expect(hasTrend(Array(20).fill(7), 0.5)).toBe(false);
    expect(hasTrend(Array(100).fill(7), 0.5)).toBe(false);
  });

  test.each([6, 12, 30, 31, 60])("is claimed of %i values without one as often as the level says", (count) => {
    const random = seededRandom(5);
    const trials = 1000;
    let claimed = 0;
    for (let trial = 0; trial < trials; trial += 1) {
      const values = Array.from({ length: count }, () => normalDeviate(random));
      if (hasTrend(values, 0.05)) claimed += 1;
    }
    expect(claimed / trials).toBeLessThan(0.07);
    expect(claimed / trials).toBeGreaterThan(0.015);
  });

  test("has the median slope, whatever a single outlier says", () => {
    const x = [0, 1, 2, 3, 4, 5, 6, 7];
    expect(theilSenSlope(x, [1, 3, 5, 7, 90, 11, 13, 15])).toBeCloseTo(2, 12);
    expect(theilSenSlope([1], [1])).toBe(0);
    const many = Array.from({ length: 5000 }, (_, index) => index);
    expect(
      theilSenSlope(
        many,
        many.map((value) => 3 - value / 4),
      ),
    ).toBeCloseTo(-0.25, 12);
  });
});
