import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { gemmSeconds, interpolateStream, workedPairs } from "./calibrated.js";

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

describe("workedPairs", () => {
  /** Row by row, as the kernel goes. */
  function counted(newTokens: number, cached: number, tile: number): number {
    const total = cached + newTokens;
    let pairs = 0;
    for (let i = cached + 1; i <= total; i += 1) pairs += Math.min(total, tile === 0 ? i : tile * Math.ceil(i / tile));
    return pairs;
  }

  test("agrees with counting row by row", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 0, max: 300 }),
        fc.constantFrom(0, 1, 7, 16, 64, 1000),
        (newTokens, cached, tile) => {
          expect(workedPairs(newTokens, cached + newTokens, tile)).toBe(counted(newTokens, cached, tile));
        },
      ),
      { seed: 1, numRuns: 500 },
    );
  });

  test("is the whole square while one tile holds all keys, and about half of it with many tiles", () => {
    expect(workedPairs(256, 256, 512)).toBe(256 ** 2);
    expect(workedPairs(65_536, 65_536, 512) / (65_536 ** 2 / 2)).toBeCloseTo(1.008, 3);
  });
});
