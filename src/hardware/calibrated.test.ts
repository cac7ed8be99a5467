import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { gemmSeconds, interpolateStream, unevenness } from "./calibrated.js";

describe("interpolateStream", () => {
  const at = interpolateStream([
    { workingSet: 1e8, secondsPerByte: 4e-11 },
    { workingSet: 1e6, secondsPerByte: 1e-11 },
  ]);

  test("goes through its points, whatever their order, and is constant outside them", () => {
    expect(at(1e6)).toBeCloseTo(1e-11, 20);
    expect(at(1e8)).toBeCloseTo(4e-11, 20);
    expect(at(0)).toBe(1e-11);
    expect(at(1e12)).toBe(4e-11);
  });

  test("is a straight line in logarithms between them", () => {
    expect(at(1e7)).toBeCloseTo(2e-11, 20);
  });
});

describe("gemmSeconds", () => {
  test("is the sum without overlap, the larger of both with perfect overlap, between them otherwise", () => {
    expect(gemmSeconds(2, 3, 1)).toBe(5);
    expect(gemmSeconds(2, 3, 1e6)).toBeCloseTo(3, 4);
    expect(gemmSeconds(0, 0, 2)).toBe(0);
    fc.assert(
      fc.property(
        fc.double({ min: 1e-9, max: 10, noNaN: true }),
        fc.double({ min: 1, max: 20, noNaN: true }),
        (x, p) => {
          const seconds = gemmSeconds(1, x, p);
          expect(seconds).toBeGreaterThanOrEqual(Math.max(1, x));
          expect(seconds).toBeLessThanOrEqual((1 + x) * (1 + 1e-12));
        },
      ),
      { seed: 1 },
    );
  });
});

describe("unevenness", () => {
  test("is the share by which the busiest thread has more than an equal part", () => {
    expect(unevenness(3, 2)).toBeCloseTo(4 / 3, 12);
    expect(unevenness(9, 2)).toBeCloseTo(10 / 9, 12);
    expect(unevenness(3, 4)).toBeCloseTo(4 / 3, 12);
  });

  test("is 1 where all get the same, and where one product is cut into a piece for each thread", () => {
    expect([unevenness(8, 2), unevenness(1, 6), unevenness(2, 4), unevenness(5, 1)]).toEqual([1, 1, 1, 1]);
  });
});
