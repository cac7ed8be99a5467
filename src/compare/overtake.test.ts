import { describe, expect, test } from "vitest";
import { normalDeviate, seededRandom } from "../base/random.js";
import { localExponent, overtakeOf, predictedOvertake, type Timed } from "./overtake.js";

const lengths = [128, 256, 512, 1024, 2048, 4096];
const timed = (law: (n: number) => number, noise = 0, seed = 1, repeats = 5): Timed[] => {
  const random = seededRandom(seed);
  return lengths.map((n) => ({
    n,
    samples: Array.from({ length: repeats }, () => law(n) * Math.exp(noise * normalDeviate(random))),
  }));
};
const square = (n: number): number => 1e-7 * n ** 2 + 1e-4 * n;
const line = (n: number): number => 2e-4 * n;

describe("overtaking", () => {
  test("is found where a line passes under a square", () => {
    // 1e-7 n² + 1e-4 n = 2e-4 n at n = 1000; straight lines in logarithms between lengths are a little off.
    const found = overtakeOf(timed(line), timed(square), seededRandom(1));
    expect(found?.kind).toBe("overtakes");
    expect((found?.n ?? 0) / 1000).toBeCloseTo(1, 1);
    expect(found?.low).toBe(found?.n);
    expect(found?.high).toBe(found?.n);
  });

  // docs/compare.md states these shares.
  test.each([
    [3, 0.88],
    [5, 0.95],
    [9, 0.97],
  ])("of %d repeats has an interval that covers the truth in %d of noisy trials", (repeats, documented) => {
    const exact = overtakeOf(timed(line), timed(square), seededRandom(1))?.n ?? 0;
    let covered = 0;
    let closed = 0;
    const trials = 100;
    for (let trial = 0; trial < trials; trial += 1) {
      const found = overtakeOf(
        timed(line, 0.1, 2 * trial, repeats),
        timed(square, 0.1, 2 * trial + 1, repeats),
        seededRandom(trial),
      );
      const { low = null, high = null } = found ?? {};
      if (low === null || high === null) continue;
      closed += 1;
      if (low <= exact && high >= exact) covered += 1;
    }
    expect(closed).toBe(trials);
    expect(Math.abs(covered / closed - documented)).toBeLessThan(0.04);
  });

  test("says always and never where the curves do not meet", () => {
    expect(
      overtakeOf(
        timed((n) => square(n) / 2),
        timed(square),
        seededRandom(1),
      )?.kind,
    ).toBe("always");
    expect(
      overtakeOf(
        timed((n) => square(n) * 2),
        timed(square),
        seededRandom(1),
      ),
    ).toEqual({
      kind: "never",
      n: null,
      low: null,
      high: null,
    });
    expect(overtakeOf([], timed(square), seededRandom(1))).toBeNull();
  });

  test("is predicted from curves, at the last crossing", () => {
    expect((predictedOvertake(line, square, 1, 2 ** 20) ?? 0) / 1000).toBeCloseTo(1, 2);
    expect(predictedOvertake(square, line, 1, 2 ** 20)).toBeNull();
    expect(predictedOvertake((n) => square(n) / 2, square, 1, 2 ** 20)).toBe(1);
  });

  test("local exponents are those of the law", () => {
    expect(localExponent(timed((n) => n ** 1.5))?.value).toBeCloseTo(1.5, 9);
    const noisy = localExponent(timed((n) => n ** 2, 0.05));
    expect(noisy?.low).toBeLessThan(2);
    expect(noisy?.high).toBeGreaterThan(2);
    expect(localExponent([{ n: 1, samples: [1] }])).toBeNull();
  });

  test("have the range that the fastest and slowest repeats allow, which takes two", () => {
    const twice = [
      { n: 1, samples: [1, 2] },
      { n: 2, samples: [4, 16] },
    ];
    expect(localExponent(twice)).toMatchObject({ low: 1, high: 4 });
    const once = [{ n: 1, samples: [1] }, ...twice.slice(1)];
    expect(localExponent(once)).toMatchObject({ low: null, high: null });
  });

  test("of two repeats has an interval already, of one none", () => {
    const found = (repeats: number) =>
      overtakeOf(timed(line, 0.05, 1, repeats), timed(square, 0.05, 2, repeats), seededRandom(1));
    expect(found(2)).toMatchObject({ kind: "overtakes", low: expect.any(Number), high: expect.any(Number) });
    expect(found(1)).toMatchObject({ kind: "overtakes", low: null, high: null });
  });
});
