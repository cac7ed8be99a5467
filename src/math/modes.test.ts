import { describe, expect, test } from "vitest";
import { normalDeviate, type Random, seededRandom } from "../base/random.js";
import { twoModes } from "./modes.js";

function claimedOf(count: number, draw: (random: Random) => number): number {
  const random = seededRandom(11);
  const trials = 400;
  let claimed = 0;
  for (let trial = 0; trial < trials; trial += 1) {
    if (
      twoModes(
        Array.from({ length: count }, () => draw(random)),
        0,
      ) !== null
    )
      claimed += 1;
  }
  return claimed / trials;
}

describe("two modes", () => {
  test.each([20, 40, 200])("are hardly ever claimed of %i values of one kind", (count) => {
    expect(claimedOf(count, normalDeviate)).toBeLessThanOrEqual(0.02);
    expect(claimedOf(count, (random) => random())).toBeLessThanOrEqual(0.05);
    expect(claimedOf(count, (random) => -Math.log(1 - random()))).toBeLessThanOrEqual(0.05);
  });

  test.each([20, 40, 200])("are found in %i values of two kinds far apart", (count) => {
    const draw = (random: Random): number => normalDeviate(random) + (random() < 0.4 ? 10 : 0);
    expect(claimedOf(count, draw)).toBeGreaterThanOrEqual(0.95);
  });

  test("are stated with their distance and the share of the upper one", () => {
    const values = Array.from({ length: 40 }, (_, index) => (index < 30 ? 0 : 1) + 0.001 * (index % 5));
    const modes = twoModes(values, 0.5);
    expect(modes?.distance).toBeCloseTo(1, 2);
    expect(modes?.upperShare).toBe(0.25);
    expect(twoModes(values, 1.5)).toBeNull();
  });

  test("are not looked for in few values, equal ones, or a handful of outliers", () => {
    expect(twoModes([0, 0, 0, 0, 1, 1, 1, 1], 0)).toBeNull();
    expect(twoModes(Array(50).fill(3), 0.01)).toBeNull();
    expect(twoModes([...Array(50).fill(0), 9, 9.1, 9.2], 0)).toBeNull();
  });
});
