import { describe, expect, test } from "vitest";
import { normalDeviate, seededRandom } from "../base/random.js";
import { type JointPoint, fitJoint } from "./joint.js";

const truth = { constant: 0.02, linear: 4e-5, quadratic: 4e-9, perCached: 2e-7 };
const lawAt = (n: number, c: number): number =>
  truth.constant + truth.linear * n + truth.quadratic * (n * n + 2 * n * c) + truth.perCached * c;

function pointsOf(seed: number, noise: number, law = lawAt): JointPoint[] {
  const random = seededRandom(seed);
  return [0, 1, 2, 3].flatMap((block) =>
    [256, 1024, 4096].flatMap((n) =>
      [0, 4096, 32_768].map((cached) => {
        return { n, cached, block, seconds: law(n, cached) * Math.exp(noise * normalDeviate(random)) };
      }),
    ),
  );
}

describe("the law over new and cached tokens", () => {
  test("is exact on exact samples, and predicts pairs that were not measured", () => {
    const fit = fitJoint(pointsOf(1, 0));
    for (const name of ["constant", "linear", "quadratic", "perCached"] as const) {
      expect(fit.coefficients[name].value / truth[name]).toBeCloseTo(1, 6);
    }
    expect(fit.predict(2048, 16_384).seconds / lawAt(2048, 16_384)).toBeCloseTo(1, 6);
    expect(fit.predict(2048, 16_384).factor).toBe(1);
    expect(fit.predict(4096, 69_632).factor).toBe(2);
    expect(fit.expression).toBe("0.02 + 4e-5·n + 4e-9·(n² + 2·n·c) + 2e-7·c");
  });

  test("has intervals that hold the truth as often as they say", () => {
    const seeds = 100;
    const inside = { constant: 0, linear: 0, quadratic: 0, perCached: 0, far: 0 };
    for (let seed = 1; seed <= seeds; seed += 1) {
      const { coefficients, predict } = fitJoint(pointsOf(seed, 0.03), { level: 0.95 });
      for (const name of ["constant", "linear", "quadratic", "perCached"] as const) {
        const { low, high } = coefficients[name];
        if (low <= truth[name] && truth[name] <= high) inside[name] += 1;
      }
      const { low, high } = predict(4096, 131_072);
      if (low <= lawAt(4096, 131_072) && lawAt(4096, 131_072) <= high) inside.far += 1;
    }
    // Of 95 expected, fewer than 88 come by chance less than once in 500.
    for (const count of Object.values(inside)) expect(count).toBeGreaterThanOrEqual(88);
  });

  test("says by how much it misses samples that follow another law", () => {
    const kinked = (n: number, c: number): number => lawAt(n, c) * (c > 10_000 ? 1.5 : 1);
    const missed = fitJoint(pointsOf(3, 0.01, kinked));
    expect(missed.discrepancy).toBeGreaterThan(0.05);
    const { low, high } = missed.predict(1024, 4096);
    expect(high / low).toBeGreaterThan(1.2);
    expect(fitJoint(pointsOf(3, 0.01)).discrepancy).toBeLessThan(0.01);
  });

  test("wants several lengths at several depths", () => {
    const points = pointsOf(1, 0);
    expect(() => fitJoint(points.filter(({ cached }) => cached === 0))).toThrow(/several lengths at several depths/);
    expect(() => fitJoint(points.filter(({ n }) => n === 256))).toThrow(/several lengths at several depths/);
  });
});
