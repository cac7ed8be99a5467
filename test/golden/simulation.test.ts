import { describe, expect, test } from "vitest";
import { designs, simulateCell, truths } from "../../bench/simulation.mjs";
import { seededRandom } from "../../src/base/random.js";
import { fitLaw } from "../../src/fit/fit-law.js";

/** Data sets per law: a tenth of the two thousand and more that docs/statistics.md rests on. */
const sets = 200;

/** Four standard deviations of a share about `p`. */
function within(share: number, p: number): void {
  const slack = 4 * Math.sqrt((p * (1 - p)) / sets);
  expect(share).toBeGreaterThanOrEqual(p - slack);
  expect(share).toBeLessThanOrEqual(Math.min(1, p + slack));
}

function simulated(name: string, index: number) {
  const truth = truths[name];
  if (truth === undefined) throw new Error(`no law ${name}`);
  // Each law takes its turn through the designs, with and without outliers.
  const design = designs[index % designs.length] ?? { lengths: 8, repeats: 5 };
  const cell = { ...design, noise: 0.02, outliers: index % 2 === 0 ? 0.05 : 0 };
  return simulateCell(truth, cell, sets, seededRandom(500 + index), fitLaw);
}

describe("on data with known laws", () => {
  test("intervals of coefficients, crossover and 8× hold for a quadratic law", () => {
    [0, 1, 2].forEach((index) => {
      const counts = simulated("quadratic", index);
      for (const share of [counts.constant, counts.linear, counts.quadratic, counts.crossover, counts.reach]) {
        within(share ?? 0, 0.955);
      }
      expect(counts.selected).toBeGreaterThan(0.93);
      expect(counts.width).toBeLessThan(0.25);
      expect(counts.cannotTell).toBeLessThan(0.05);
    });
  });

  test("a straight line is rarely called quadratic, and its intervals hold", () => {
    [0, 1, 2].forEach((index) => {
      const counts = simulated("linear", index);
      expect(counts.calledQuadratic).toBeLessThanOrEqual(0.06);
      for (const share of [counts.constant, counts.linear, counts.reach]) within(share ?? 0, 0.955);
    });
  });

  test.each(["power", "hinge", "two regimes", "steps", "n log n"])("the interval at 8× holds for %s", (name) => {
    const counts = simulated(name, 2);
    within(counts.reach, 0.955);
    expect(counts.selected).toBeGreaterThan(0.9);
  });
});
