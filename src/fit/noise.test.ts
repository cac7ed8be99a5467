import { describe, expect, test } from "vitest";
import { normalDeviate, seededRandom } from "../base/random.js";
import { poolNoise } from "./noise.js";
import { groupByLength } from "./points.js";

function samples(lengths: readonly number[], repeats: number, noise: number, seed: number) {
  const random = seededRandom(seed);
  return lengths.flatMap((n) =>
    Array.from({ length: repeats }, () => ({ n, seconds: n * 1e-4 * Math.exp(noise * normalDeviate(random)) })),
  );
}

describe("pooled noise", () => {
  test("finds the noise that was put in", () => {
    const pooled = poolNoise(groupByLength(samples([128, 256, 512, 1024, 2048], 40, 0.02, 1)), 0.03);
    expect(pooled.noise.assumed).toBe(false);
    expect(pooled.noise.relative).toBeGreaterThan(0.017);
    expect(pooled.noise.relative).toBeLessThan(0.023);
    expect(pooled.noise.degreesOfFreedom).toBeGreaterThan(185);
  });

  test("late outliers move neither the noise nor their length", () => {
    const points = samples([128, 256, 512, 1024, 2048], 5, 0.01, 2);
    const clean = poolNoise(groupByLength(points), 0.03);
    const spoilt = points.map((point, i) => (i === 3 || i === 11 ? { ...point, seconds: point.seconds * 2 } : point));
    const pooled = poolNoise(groupByLength(spoilt), 0.03);
    expect(pooled.outliers.map((one) => one.n).sort((a, b) => a - b)).toEqual([128, 512]);
    expect(pooled.noise.relative).toBeLessThan(1.5 * clean.noise.relative);
    pooled.centres.forEach((centre, i) => {
      expect(Math.abs(centre.logSeconds - (clean.centres[i]?.logSeconds ?? 0))).toBeLessThan(0.02);
    });
  });

  test("where two of three repeats are late the early one is believed", () => {
    const points = samples([128, 256, 512, 1024, 2048], 3, 0.01, 3);
    const spoilt = points.map((point, i) => {
      if (i === 6) return { ...point, seconds: point.seconds * 1.5 };
      return i === 8 ? { ...point, seconds: point.seconds * 2.2 } : point;
    });
    const centre = poolNoise(groupByLength(spoilt), 0.03).centres[2];
    expect(Math.abs((centre?.logSeconds ?? 0) - Math.log(512e-4))).toBeLessThan(0.04);
  });

  test.each([16, 39, 43, 44])("two late samples of eighteen do not pass for a large noise (seed %i)", (seed) => {
    const points = samples([128, 256, 512, 1024, 2048, 4096], 3, 0.05, seed);
    const late = new Map([
      [4, 1.5],
      [13, 1.6],
    ]);
    const spoilt = points.map((point, i) => ({ ...point, seconds: point.seconds * (late.get(i) ?? 1) }));
    const pooled = poolNoise(groupByLength(spoilt), 0.03);
    expect(pooled.outliers.map(({ n }) => n)).toEqual([256, 2048]);
    expect(pooled.noise.relative).toBeLessThan(0.08);
  });

  test("without repeats the noise is the assumed one and says so", () => {
    const { noise } = poolNoise(groupByLength(samples([128, 256, 512], 1, 0.01, 4)), 0.05);
    expect(noise).toMatchObject({ relative: 0.05, assumed: true, degreesOfFreedom: Infinity });
  });

  test("one repeat alone does not measure the noise", () => {
    const points = [...samples([128, 256, 512], 1, 0.01, 4), { n: 128, seconds: 0.0128 }];
    expect(poolNoise(groupByLength(points), 0.03).noise.assumed).toBe(true);
  });

  test("hundreds of thousands of samples of one length are as good as twenty thousand", () => {
    const random = seededRandom(5);
    const many = Array.from({ length: 300_000 }, () => ({ n: 128, seconds: Math.exp(0.02 * normalDeviate(random)) }));
    const pooled = poolNoise(groupByLength(many), 0.03);
    expect(pooled.noise.relative).toBeCloseTo(0.02, 3);
    expect(pooled.centres[0]?.count).toBe(300_000);
    expect(Math.abs(pooled.centres[0]?.logSeconds ?? 1)).toBeLessThan(1e-3);
  });

  test("short lengths that are noisier than long ones are seen to be", () => {
    const random = seededRandom(6);
    const sigma = (n: number) => 0.04 * (128 / n);
    const uneven = [128, 256, 512, 1024, 2048].flatMap((n) =>
      [1, 2, 3, 4, 5].map(() => ({ n, seconds: n * 1e-4 * Math.exp(sigma(n) * normalDeviate(random)) })),
    );
    const { noise, centres } = poolNoise(groupByLength(uneven), 0.03);
    expect(noise.growth).toBeLessThan(-0.5);
    expect(Math.sqrt(centres[0]?.variance ?? 0)).toBeGreaterThan(4 * Math.sqrt(centres[4]?.variance ?? 0));
    expect(poolNoise(groupByLength(samples([128, 256, 512, 1024, 2048], 5, 0.02, 7)), 0.03).noise.growth).toBe(0);
  });

  test("identical repeats keep a noise above zero", () => {
    const points = [128, 256, 512].flatMap((n) => [1, 2, 3].map(() => ({ n, seconds: n * 1e-4 })));
    expect(poolNoise(groupByLength(points), 0.03).noise.relative).toBe(1e-4);
  });
});
