import { describe, expect, test } from "vitest";
import { designs, physicalTruth, simulateCell, truths } from "../../bench/simulation.mjs";
import { normalDeviate, seededRandom } from "../../src/base/random.js";
import { fitLaw } from "../../src/fit/fit-law.js";
import { fitPhysical } from "../../src/fit/physical.js";
import { builtInModel } from "../../src/model/builtin/models.js";
import { curveOnUnknown } from "../../src/study/unknown-device.js";
import { median } from "../../src/math/median.js";

/** Data sets per law: a tenth of the two thousand and more that docs/statistics.md rests on. */
const sets = 200;

/** Four standard deviations of a share about `p`. */
function within(share: number, p: number): void {
  const slack = 4 * Math.sqrt((p * (1 - p)) / sets);
  expect(share).toBeGreaterThanOrEqual(p - slack);
  expect(share).toBeLessThanOrEqual(Math.min(1, p + slack));
}

function simulated(name: string, index: number, noise = 0.02) {
  const truth = truths[name];
  if (truth === undefined) throw new Error(`no law ${name}`);
  // Each law takes its turn through the designs, with and without outliers.
  const design = designs[index % designs.length] ?? { lengths: 8, repeats: 5 };
  const cell = { ...design, noise, outliers: index % 2 === 0 ? 0.05 : 0 };
  return simulateCell(truth, cell, sets, seededRandom(500 + index), { fitLaw, fitPhysical, median });
}

/** A share of at most `p`, four standard deviations granted. */
function atMost(share: number, p: number): void {
  expect(share).toBeLessThanOrEqual(p + 4 * Math.sqrt((p * (1 - p)) / sets));
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
      atMost(counts.cannotTell, 0.05);
    });
  });

  test("a square that makes a sixth of the time is believed where the samples rule out a bend, and not where they don't", () => {
    const told = simulated("quadratic, weak", 2, 0.01);
    atMost(told.cannotTell, 0.05);
    within(told.reach, 0.955);
    const untold = simulated("quadratic, weak", 1, 0.05);
    expect(untold.cannotTell).toBeGreaterThan(0.8);
  });

  test("two lines that meet are not extrapolated as a quadratic: the answer is right, or it says that it can't tell", () => {
    const seconds = (n: number) => 0.02 + 1e-4 * n + 6e-5 * Math.max(0, n - 1400);
    const random = seededRandom(77);
    const lengths = [128, 210, 345, 566, 928, 1523, 2497, 4096];
    let wrong = 0;
    for (let set = 0; set < sets; set += 1) {
      const points = [0, 1, 2, 3, 4].flatMap((block) =>
        lengths.map((n) => ({ n, block, seconds: seconds(n) * Math.exp(0.03 * normalDeviate(random)) })),
      );
      const { low, high, canTell } = fitLaw(points).predict(32_768);
      const truth = seconds(32_768);
      if (canTell && (truth < low || truth > high)) wrong += 1;
    }
    atMost(wrong / sets, 0.02);
  });

  test.each(["power", "hinge", "two regimes", "steps", "n log n"])("the interval at 8× holds for %s", (name) => {
    const counts = simulated(name, 2);
    within(counts.reach, 0.955);
    expect(counts.selected).toBeGreaterThan(0.9);
  });

  test("few lengths and repeats, outliers among them, still show a pure n² and two regimes for what they are", () => {
    const alone = simulated("quadratic alone", 0);
    atMost(1 - (alone.selected ?? 0), 0.03);
    within(alone.reach, 0.965);
    const regimes = simulated("two regimes", 0, 0.05);
    atMost(1 - (regimes.selected ?? 0), 0.035);
    within(regimes.reach, 0.95);
  });

  test("decode over the context is a straight line, and its intervals hold", () => {
    [0, 1].forEach((index) => {
      const counts = simulated("decode", index, 0.01);
      for (const share of [counts.constant, counts.linear, counts.reach]) within(share ?? 0, 0.955);
      expect(counts.selected).toBeGreaterThan(0.93);
      atMost(counts.cannotTell, 0.05);
    });
  });

  test("the physical law's interval at 8× holds on machines that nobody measured", () => {
    const model = builtInModel("Llama-3.1-8B");
    if (model === null) throw new Error("no model");
    const truth = physicalTruth(curveOnUnknown(model, { phase: "prefill", batch: 1, attention: "fused" }));
    const cell = { lengths: 8, repeats: 5, noise: 0.02, outliers: 0.05 };
    const counts = simulateCell(truth, cell, sets, seededRandom(600), { fitLaw, fitPhysical, median });
    within(counts.reach, 0.97);
    expect(counts.width).toBeLessThan(0.6);
  });
});
