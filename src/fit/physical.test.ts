import { describe, expect, test } from "vitest";
import { NsquaredError } from "../base/errors.js";
import { normalDeviate, seededRandom } from "../base/random.js";
import { fitPhysical } from "./physical.js";
import type { PhysicalCurve } from "./physical-curve.js";

const gemm = { name: "gemm", seconds: (n: number) => 5e-4 * n, logSpread: 0.2 };
const attention = { name: "attention", seconds: (n: number) => 9e-8 * n * n, logSpread: 0.3 };
const vector = { name: "vector", seconds: (n: number) => 1e-4 * n * (n > 1000 ? 2 : 1), logSpread: 0.3 };
const overhead = { name: "overhead", seconds: () => 0.01, logSpread: 0.5 };
const curve: PhysicalCurve = { components: [gemm, attention, vector, overhead] };
const truth = [1.15, 1.3, 0.8, 1.2];

function secondsOf(n: number, factors: readonly number[]): number {
  return curve.components.reduce((sum, component, k) => sum + (factors[k] ?? 1) * component.seconds(n), 0);
}

function samples(lengths: readonly number[], repeats: number, noise: number, seed: number, factors = truth) {
  const random = seededRandom(seed);
  return Array.from({ length: repeats }, () =>
    lengths.map((n) => ({ n, seconds: secondsOf(n, factors) * Math.exp(noise * normalDeviate(random)) })),
  ).flat();
}

describe("the physical law", () => {
  test("knows eight times the longest length from the model's own shape", () => {
    const fit = fitPhysical(curve, samples([128, 256, 512, 1024], 5, 0.01, 1));
    const at = fit.predict(8192);
    const expected = secondsOf(8192, truth);
    expect(at.factor).toBe(8);
    expect(at.low).toBeLessThan(expected);
    expect(at.high).toBeGreaterThan(expected);
    expect(Math.abs(at.seconds / expected - 1)).toBeLessThan(0.2);
    expect(at.components.reduce((sum, part) => sum + part.seconds, 0)).toBeCloseTo(at.seconds, 9);
    expect(fit.exponent(65_536)).toBeGreaterThan(1.8);
    expect((fit.lengthAt(at.seconds).n ?? 0) / 8192).toBeCloseTo(1, 6);
    expect((fit.lengthAt(at.seconds).low ?? 0) / 8192).toBeLessThan(1);
  });

  test("holds the truth in about 95 of 100 data sets whose factors come from the prior", () => {
    const random = seededRandom(11);
    let inside = 0;
    const sets = 300;
    for (let i = 0; i < sets; i += 1) {
      const factors = curve.components.map(({ logSpread }) => Math.exp(logSpread * normalDeviate(random)));
      const at = fitPhysical(curve, samples([128, 256, 512, 1024], 3, 0.02, 100 + i, factors)).predict(8192);
      const expected = secondsOf(8192, factors);
      if (at.low <= expected && expected <= at.high) inside += 1;
    }
    expect(inside / sets).toBeGreaterThan(0.91);
    expect(inside / sets).toBeLessThan(0.995);
  });

  test("a free scale is the samples' own: any unit gives the same times, and intervals hold the truth", () => {
    const exact = { ...gemm, logSpread: 1e-3 };
    const shape = [exact, attention, overhead];
    const inUnits = (unit: number): PhysicalCurve => ({
      scale: "free",
      components: shape.map((one) => ({ ...one, seconds: (n: number) => unit * one.seconds(n) })),
    });
    const random = seededRandom(12);
    let inside = 0;
    const sets = 200;
    for (let i = 0; i < sets; i += 1) {
      const factors = shape.map(({ logSpread }) => Math.exp(logSpread * normalDeviate(random)));
      const at = (n: number) => 40 * shape.reduce((sum, one, k) => sum + (factors[k] ?? 1) * one.seconds(n), 0);
      const points = [128, 256, 512, 1024].flatMap((n) =>
        [0, 1, 2].map(() => ({ n, seconds: at(n) * Math.exp(0.02 * normalDeviate(random)) })),
      );
      const fit = fitPhysical(inUnits(1), points).predict(4096);
      const other = fitPhysical(inUnits(1e9), points).predict(4096);
      expect(other.seconds / fit.seconds).toBeCloseTo(1, 5);
      expect(other.high / fit.high).toBeCloseTo(1, 5);
      if (fit.low <= at(4096) && at(4096) <= fit.high) inside += 1;
    }
    expect(inside / sets).toBeGreaterThan(0.92);
  });

  test("a machine that is slower as a whole than when it was calibrated is slower in what short lengths do not show", () => {
    const tight: PhysicalCurve = { components: curve.components.map((one) => ({ ...one, logSpread: 0.1 })) };
    const moving: PhysicalCurve = { ...tight, scale: { logSpread: 0.15 } };
    const points = samples([128, 256, 512, 1024], 5, 0.01, 3, [1.3, 1.3, 1.3, 1.3]);
    const expected = secondsOf(16_384, [1.3, 1.3, 1.3, 1.3]);
    const at = fitPhysical(moving, points);
    const missed = (fitted: PhysicalCurve) =>
      Math.abs(Math.log(fitPhysical(fitted, points).predict(16_384).seconds / expected));
    expect(missed(moving)).toBeLessThan(0.06);
    expect(missed(tight)).toBeGreaterThan(2 * missed(moving));
    for (const { value } of at.law.efficiencies) expect(value).toBeGreaterThan(1.15);
    expect(at.warnings.map(({ code }) => code)).not.toContain("far-from-prior");
  });

  test("what single lengths are off by is not carried to long ones where components may miss one alone", () => {
    const tight: PhysicalCurve = { components: [gemm, attention, overhead], scale: { logSpread: 0.15 } };
    const whole = (n: number) => tight.components.reduce((total, { seconds }) => total + seconds(n), 0);
    // Each length is a little off, in an order that looks like cheaper attention.
    const points = [
      [128, 1.03],
      [512, 1],
      [1024, 0.96],
    ].flatMap(([n = 0, off = 1]) => [0.998, 1, 1.002].map((noise) => ({ n, seconds: whole(n) * off * noise })));
    const at = (perLength: number) => fitPhysical({ ...tight, perLength }, points).predict(8192);
    const missed = (perLength: number) => Math.abs(Math.log(at(perLength).seconds / whole(8192)));
    expect(missed(0.05)).toBeLessThan(missed(0) / 1.5);
    expect(at(0.05).high).toBeGreaterThan(whole(8192));
  });

  test("a class that the lengths do not show keeps its prior and its spread", () => {
    const tiny = { name: "attention", seconds: (n: number) => 1e-12 * n * n, logSpread: 0.3 };
    const fit = fitPhysical({ components: [gemm, tiny, overhead] }, [
      { n: 128, seconds: 0.08 },
      { n: 256, seconds: 0.15 },
      { n: 512, seconds: 0.29 },
    ]);
    const found = fit.law.efficiencies[1];
    expect(found?.value).toBeCloseTo(1, 3);
    expect(found?.informed).toBeLessThan(0.01);
    expect(Math.log(found?.high ?? 0)).toBeCloseTo(1.96 * 0.3, 2);
    expect(fit.warnings.find((warning) => warning.code === "prior-dominated")?.message).toContain("attention");
  });

  test("two classes of the same shape share what the samples say and stay uncertain apart", () => {
    const twin = { ...gemm, name: "twin" };
    const fit = fitPhysical({ components: [gemm, twin] }, samples([128, 256, 512], 5, 0.01, 3, [1.8, 0, 0, 0]));
    expect(fit.law.efficiencies[0]?.value).toBeCloseTo(fit.law.efficiencies[1]?.value ?? 0, 6);
    const at = fit.predict(512);
    expect(Math.log(at.high / at.low)).toBeLessThan(0.1);
    const alone = fit.law.efficiencies[0];
    expect(Math.log((alone?.high ?? 0) / (alone?.low ?? 1))).toBeGreaterThan(0.4);
  });

  test("one length is enough, and scales the whole prediction", () => {
    const fit = fitPhysical(curve, [{ n: 1024, seconds: 2 * secondsOf(1024, [1, 1, 1, 1]) }]);
    expect(fit.predict(1024).seconds / (2 * secondsOf(1024, [1, 1, 1, 1]))).toBeGreaterThan(0.9);
    expect(fit.warnings.map((warning) => warning.code)).toContain("no-repeats");
  });

  test("a device model that cannot bend as the samples do says by how much, and widens its interval", () => {
    const data = [128, 256, 512, 1024, 2048].flatMap((n) =>
      [0.999, 1, 1.001].map((w) => ({ n, seconds: w * 1e-5 * n ** 1.5 })),
    );
    const fit = fitPhysical({ components: [gemm, overhead] }, data);
    expect(fit.discrepancy).toBeGreaterThan(0.05);
    expect(fit.warnings.map((warning) => warning.code)).toContain("lack-of-fit");
    expect(fit.predict(8192).high / fit.predict(8192).low).toBeGreaterThan(2);
  });

  test("a factor that its prior hardly allows is named", () => {
    const tight = { components: [{ ...gemm, logSpread: 0.05 }] };
    const fit = fitPhysical(tight, samples([128, 256, 512], 5, 0.01, 4, [3, 0, 0, 0]));
    expect(fit.warnings.find((warning) => warning.code === "far-from-prior")?.message).toMatch(/gemm takes 3.0 times/);
  });

  test("components without time or spread are refused", () => {
    const points = [{ n: 128, seconds: 1 }];
    expect(() => fitPhysical({ components: [] }, points)).toThrow(NsquaredError);
    expect(() => fitPhysical({ components: [{ ...gemm, logSpread: 0 }] }, points)).toThrow(/gemm.logSpread is 0/);
    expect(() => fitPhysical({ components: [{ ...gemm, seconds: () => -1 }] }, points)).toThrow(/not negative/);
    expect(() => fitPhysical({ components: [{ ...gemm, seconds: () => 0 }] }, points)).toThrow(/takes time/);
  });
});
