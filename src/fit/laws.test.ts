import { describe, expect, test } from "vitest";
import { normalDeviate, seededRandom } from "../base/random.js";
import { fitLaw } from "./fit-law.js";
import { fitBasis } from "./basis-fit.js";
import { fitQuadratic, padded } from "./laws.js";

const lengths = [128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096];

function samples(law: (n: number) => number, noise: number, seed: number) {
  const random = seededRandom(seed);
  return lengths.flatMap((n) =>
    Array.from({ length: 4 }, () => ({ n, seconds: law(n) * Math.exp(noise * normalDeviate(random)) })),
  );
}

const codes = (fit: { warnings: readonly { code: string }[] }) => fit.warnings.map((warning) => warning.code);

describe("laws that are no polynomial", () => {
  test("a power law is found with its exponent", () => {
    const fit = fitLaw(samples((n) => 2e-5 * n ** 1.5, 0.01, 1));
    expect(fit.law.kind).toBe("power");
    expect(fit.law.parameters.exponent).toBeCloseTo(1.5, 1);
    expect(fit.exponent(10_000)).toBeCloseTo(1.5, 1);
    expect(fit.crossover).toBeNull();
  });

  test("a hinge is found between the lengths", () => {
    const fit = fitLaw(samples((n) => 0.15 + 2e-4 * Math.max(0, n - 700), 0.01, 2));
    expect(fit.law.kind).toBe("hinge");
    expect(Math.abs((fit.law.parameters.hinge ?? 0) / 700 - 1)).toBeLessThan(0.1);
    expect(fit.exponent(200)).toBeCloseTo(0, 6);
  });

  test("n log n is told from a line and from a quadratic", () => {
    expect(fitLaw(samples((n) => 0.02 + 2e-5 * n * Math.log2(n), 0.003, 3)).law.kind).toBe("n-log-n");
  });

  test("two regimes are found with the length of the switch, and warned of", () => {
    const fit = fitLaw(samples((n) => (n <= 900 ? 0.02 + 1e-4 * n : 0.03 + 1.6e-4 * n), 0.01, 4));
    expect(fit.law.kind).toBe("two-regimes");
    expect(fit.law.parameters.switch).toBeGreaterThan(768);
    expect(fit.law.parameters.switch).toBeLessThan(1024);
    expect(codes(fit)).toContain("two-regimes");
    const at = fit.predict(16_384);
    expect(at.low).toBeLessThan(0.03 + 1.6e-4 * 16_384);
    expect(at.high).toBeGreaterThan(0.03 + 1.6e-4 * 16_384);
  });

  test("a regime that began near the end is not believed beyond twice the data", () => {
    const fit = fitLaw(samples((n) => (n <= 1700 ? 0.02 + 1e-4 * n : 0.03 + 2.2e-4 * n), 0.003, 6));
    expect(fit.law.kind).toBe("two-regimes");
    expect(fit.predict(8192).canTell).toBe(true);
    expect(fit.predict(16_384).canTell).toBe(false);
    expect(fit.warnings.find((warning) => warning.code === "two-regimes")?.message).toContain("beyond 8k");
  });

  test("every law that was not selected says why", () => {
    const fit = fitLaw(samples((n) => 0.02 + 1e-4 * n + 5e-8 * n * n, 0.01, 5));
    for (const candidate of fit.candidates) {
      expect(candidate.selected).toBe(candidate.rejected === null);
      expect(candidate.selected).toBe(candidate.kind === fit.law.kind);
    }
    const line = fit.candidates.find((candidate) => candidate.kind === "linear");
    expect(line?.deltaAicc).toBeGreaterThan(100);
    expect(line?.holdOut?.error).toBeLessThan(-0.2);
    expect(line?.rejected).toMatch(/AICc .* misses 4k by/);
  });

  test("a law is also what it explains without some of its coefficients", () => {
    const random = seededRandom(7);
    const observations = lengths.map((n) => ({
      n,
      logSeconds: Math.log(1e-3 + 1e-8 * n * n) + 0.02 * normalDeviate(random),
      precision: 1 / 0.02 ** 2,
    }));
    const law = fitQuadratic(observations);
    const explained = new Map(law?.reductions.map(({ parameterCount, chiSquare }) => [parameterCount, chiSquare]));
    expect(explained.get(law?.parameterCount ?? 0)).toBe(law?.chiSquare);
    const beside = fitBasis((n) => [1, n * n], observations).chiSquare;
    // Without its constant it misses; the linear part, which is 0 in truth, adds nothing.
    expect(explained.get(1)).toBeGreaterThan(100 * beside);
    expect((explained.get(2) ?? 0) / beside).toBeCloseTo(1, 2);
    expect(Math.max(...explained.keys())).toBe(law?.parameterCount);
  });

  test("a coefficient above 0 by chance does not speak against a law", () => {
    const named = Array.from({ length: 200 }, (_, seed) => {
      const random = seededRandom(900 + seed);
      const points = [128, 256, 512, 1024, 2048, 4096].flatMap((n) =>
        [0, 1, 2].map(() => ({ n, seconds: 1e-8 * n * n * Math.exp(0.02 * normalDeviate(random)) })),
      );
      return fitLaw(points).law.kind;
    });
    // Counted, half of them have one, and a power is taken for 5 in a hundred.
    expect(named.filter((kind) => kind === "power").length).toBeLessThanOrEqual(6);
    expect(named.filter((kind) => kind === "quadratic").length).toBeGreaterThanOrEqual(190);
  });

  test("lengths pad to a multiple or to a power of two", () => {
    expect([1, 2, 3, 4, 5, 1024, 1025].map((n) => padded(n, 0))).toEqual([1, 2, 4, 4, 8, 1024, 2048]);
    expect([1, 64, 65, 128].map((n) => padded(n, 64))).toEqual([64, 64, 128, 128]);
  });
});
