import { expect, test } from "vitest";
import { seededRandom } from "../base/random.js";
import { posteriorSpread, robustFit } from "./robust-fit.js";

const wide = { start: [0, 0], spread: [10, 10] };
const lineThrough = (points: readonly (readonly [number, number])[]) => (theta: readonly number[]) =>
  points.map(([x, y]) => (theta[0] ?? 0) + (theta[1] ?? 0) * x - y);

test("finds a line that a few wild points lie far from", () => {
  const random = seededRandom(3);
  const points = Array.from({ length: 40 }, (_, x): [number, number] => [
    x / 40,
    2 + 3 * (x / 40) + 0.02 * (random() - 0.5),
  ]);
  points[5] = [5 / 40, 40];
  points[30] = [30 / 40, -25];
  const [constant = 0, slope = 0] = robustFit(lineThrough(points), wide);
  expect(constant).toBeCloseTo(2, 1);
  expect(slope).toBeCloseTo(3, 1);
});

test("stays with its prior where the data say nothing, and says so", () => {
  const about = { start: [1, 5], spread: [10, 0.5] };
  const onlyConstant = lineThrough([
    [0, 4],
    [0, 4],
  ]);
  const theta = robustFit(onlyConstant, about);
  expect(theta[0]).toBeCloseTo(4, 2);
  expect(theta[1]).toBe(5);
  const [constant = 1, slope = 0] = posteriorSpread(onlyConstant, theta, about);
  expect(constant).toBeLessThan(0.2);
  expect(slope).toBeCloseTo(0.5, 3);
});

test("is ordinary least squares with a wide prior and small residuals", () => {
  const points = [
    [0, 1.01],
    [1, 1.98],
    [2, 3.02],
    [3, 3.99],
  ] as const;
  // Closed form: slope = Σ(x − x̄)(y − ȳ)/Σ(x − x̄)² = 0.998, constant = 1.003.
  const theta = robustFit(lineThrough(points), { start: [0, 0], spread: [1e4, 1e4], soft: 10 });
  expect(theta[1]).toBeCloseTo(0.998, 4);
  expect(theta[0]).toBeCloseTo(1.003, 4);
});
