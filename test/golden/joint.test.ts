import { describe, expect, test } from "vitest";
import { fitJoint } from "../../src/fit/joint.js";
import golden from "./joint.json" with { type: "json" };

const names = ["constant", "linear", "quadratic", "perCached"] as const;

describe("the law over new and cached tokens, against SciPy", () => {
  const { level, noise, problems } = golden;
  test.each(problems.map((problem, index) => [index, problem] as const))("problem %d", (_, problem) => {
    const { coefficients } = fitJoint(problem.points, { level, assumedNoise: noise });
    for (const [index, name] of names.entries()) {
      const expected = problem.coefficients[index] ?? { value: 0, low: 0, high: 0 };
      const found = coefficients[name];
      expect(Math.abs(found.value - expected.value)).toBeLessThanOrEqual(1e-4 * expected.high);
      // SciPy profiles the law itself, this package its linear part at the optimum.
      expect(Math.abs(found.low - expected.low)).toBeLessThanOrEqual(0.03 * expected.high);
      expect(Math.abs(found.high - expected.high)).toBeLessThanOrEqual(0.03 * expected.high);
    }
  });
});
