import { describe, expect, test } from "vitest";
import { normalDeviate, seededRandom } from "../base/random.js";
import { fitLaw } from "./fit-law.js";
import { nextLengths, planLengths } from "./next-lengths.js";

const law = (n: number) => 0.02 + 1e-4 * n + 5e-9 * n * n;

function samples(lengths: readonly number[], repeats: number, seed: number) {
  const random = seededRandom(seed);
  return lengths.flatMap((n) =>
    Array.from({ length: repeats }, () => ({ n, seconds: law(n) * Math.exp(0.02 * normalDeviate(random)) })),
  );
}

describe("the next lengths worth measuring", () => {
  const first = samples([128, 256, 512, 1024, 2048], 3, 1);

  test("lie beyond those measured, keep to the time, and shrink the interval", () => {
    const chosen = nextLengths(fitLaw(first, { laws: ["quadratic"] }), {
      target: 32_768,
      seconds: 12,
      longest: 16_384,
    });
    expect(chosen.length).toBeGreaterThan(0);
    expect(chosen.some(({ n }) => n > 4096)).toBe(true);
    expect(chosen.every(({ n }) => n <= 16_384)).toBe(true);
    expect(chosen.reduce((sum, one) => sum + one.seconds, 0)).toBeLessThanOrEqual(12);
    const widths = chosen.map((one) => one.halfWidth);
    expect([...widths].sort((a, b) => b - a)).toEqual(widths);
  });

  test("measured, they do shrink the interval at the target", () => {
    const before = fitLaw(first, { laws: ["quadratic"] });
    const chosen = nextLengths(before, { target: 32_768, seconds: 12, longest: 16_384 });
    const after = fitLaw(
      [
        ...first,
        ...samples(
          chosen.map(({ n }) => n),
          3,
          2,
        ),
      ],
      { laws: ["quadratic"] },
    );
    const width = (fit: typeof before) => Math.log(fit.predict(32_768).high / fit.predict(32_768).low);
    expect(width(after)).toBeLessThan(width(before) / 3);
    expect(width(after) / 2).toBeLessThan(2 * (chosen.at(-1)?.halfWidth ?? 0));
  });

  test("a long length is measured fewer times where the time is too short for all repeats", () => {
    const fit = fitLaw(samples([512, 1024, 2048], 1, 3));
    const seconds = 1.5 * law(8192);
    const chosen = nextLengths(fit, { target: 32_768, seconds });
    const longest = chosen.reduce((most, one) => (one.n > most.n ? one : most));
    expect(longest.n).toBeGreaterThan(2048);
    expect(longest.repeats).toBeLessThan(3);
    expect(chosen.reduce((sum, one) => sum + one.seconds, 0)).toBeLessThanOrEqual(seconds);
  });

  test("are none where the time is too short for any", () => {
    expect(nextLengths(fitLaw(first), { target: 32_768, seconds: 1e-3 })).toEqual([]);
  });

  test("bad options are refused", () => {
    expect(() => nextLengths(fitLaw(first), { target: -1, seconds: 1 })).toThrow(/target is -1/);
  });
});

describe("the plan for a whole time", () => {
  const fit = fitLaw(samples([128, 256, 512, 1024, 2048], 3, 1));
  const target = 32_768;
  const plan = (seconds: number) => planLengths(fit, { target, seconds });
  const width = (chosen: readonly { readonly halfWidth: number }[]) => chosen.at(-1)?.halfWidth ?? Number.NaN;

  test("keeps to the time, and knows the target better than the cheapest steps do", () => {
    for (const seconds of [2, 10, 30, 120, 600]) {
      const chosen = plan(seconds);
      expect(chosen.reduce((sum, one) => sum + one.seconds, 0)).toBeLessThanOrEqual(seconds);
      expect(new Set(chosen.map(({ n }) => n)).size).toBe(chosen.length);
      const options = { target, seconds, repeats: 1 };
      expect(width(planLengths(fit, options))).toBeLessThanOrEqual(1.02 * width(nextLengths(fit, options)));
    }
  });

  test("spends all the time it is given: four times as much halves the interval", () => {
    expect(width(plan(120)) / width(plan(30))).toBeLessThan(0.6);
    expect(width(plan(480)) / width(plan(120))).toBeLessThan(0.6);
  });

  test("no single length with all the time tells more", () => {
    for (const n of [1024, 2048, 4096, 8192, 16_384, 32_768]) {
      const alone = planLengths(fit, { target, seconds: 60, longest: n, repeats: 1 });
      expect(width(plan(60))).toBeLessThanOrEqual(1.03 * width(alone));
    }
  });

  test("a new length is measured three times where the time allows, and what brings most comes first", () => {
    const chosen = plan(60);
    const known = new Set(fit.residuals.map(({ n }) => n));
    for (const { n, repeats } of chosen) if (!known.has(n)) expect(repeats).toBeGreaterThanOrEqual(3);
    const widths = chosen.map(({ halfWidth }) => halfWidth);
    expect([...widths].sort((a, b) => b - a)).toEqual(widths);
  });

  test("is empty where the time is too short for any", () => {
    expect(plan(1e-3)).toEqual([]);
  });
});
