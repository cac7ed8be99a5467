import { describe, expect, test } from "vitest";
import { correctedAkaike } from "../../src/fit/judge.js";
import { fitQuadratic } from "../../src/fit/laws.js";
import { fitPhysical } from "../../src/fit/physical.js";
import { poolNoise } from "../../src/fit/noise.js";
import { groupByLength } from "../../src/fit/points.js";
import {
  chiSquareQuantile,
  fisherUpperTail,
  normalQuantile,
  studentCdf,
  studentQuantile,
} from "../../src/math/distributions.js";
import { extremes, nonNegativeLeastSquares } from "../../src/math/least-squares.js";
import { median } from "../../src/math/median.js";
import golden from "./fit.json" with { type: "json" };

function closeTo(actual: number, expected: number, relative: number): void {
  expect(Math.abs(actual - expected), `${actual} against ${expected}`).toBeLessThanOrEqual(
    relative * Math.max(Math.abs(expected), 1e-12),
  );
}

describe("against SciPy", () => {
  test("quantiles and tails agree to seven digits", () => {
    for (const [p = 0, df = 0, value = 0] of golden.quantiles.student) closeTo(studentQuantile(p, df), value, 1e-7);
    for (const [x = 0, df = 0, value = 0] of golden.quantiles.studentCdf) closeTo(studentCdf(x, df), value, 1e-7);
    for (const [p = 0, value = 0] of golden.quantiles.normal) expect(normalQuantile(p)).toBeCloseTo(value, 8);
    for (const [p = 0, df = 0, value = 0] of golden.quantiles.chiSquare) closeTo(chiSquareQuantile(p, df), value, 1e-7);
    for (const [x = 0, a = 0, b = 0, value = 0] of golden.quantiles.fisherUpperTail) {
      closeTo(fisherUpperTail(x, a, b), value, 1e-6);
    }
  });

  test("non-negative least squares and its extremes over a confidence region agree", () => {
    for (const one of golden.leastSquares) {
      const fit = nonNegativeLeastSquares(one.rows, one.y, one.weights);
      one.beta.forEach((value, i) => {
        expect(fit.beta[i]).toBeCloseTo(value, 7);
      });
      closeTo(fit.rss, one.rss, 1e-7);
      const range = extremes(fit, one.c, one.limit);
      expect(range.low).toBeCloseTo(one.low, 5);
      expect(range.high).toBeCloseTo(one.high, 5);
    }
  });

  test("the quadratic law in log seconds and its profile at four times the longest length agree", () => {
    for (const one of golden.quadratic) {
      const observations = one.observations.map(([n = 0, logSeconds = 0, count = 0]) => ({
        n,
        logSeconds,
        precision: count / one.sigma ** 2,
      }));
      const law = fitQuadratic(observations);
      if (law === null) throw new Error("no fit");
      closeTo(law.seconds(one.at), one.seconds, 1e-5);
      closeTo(law.chiSquare, one.chiSquare, 1e-5);
      const range = law.range(one.at, studentQuantile(0.975, one.degrees) ** 2);
      // The region is linearised at the optimum; the golden one is not.
      closeTo(range.low, one.low, 0.01);
      closeTo(range.high, one.high, 0.01);
    }
  });

  test("without outliers the pooled noise is the classical one to within a few per cent", () => {
    for (const one of golden.quadratic) {
      const points = one.points.map(([n = 0, seconds = 0]) => ({ n, seconds }));
      const pooled = poolNoise(groupByLength(points), 0.03);
      closeTo(pooled.noise.relative, one.sigma, 0.05);
      closeTo(pooled.noise.degreesOfFreedom, one.degrees, 0.05);
    }
  });

  test("the law refitted to SciPy's resamples of whole blocks gives SciPy's values, and so its bootstrap interval", () => {
    golden.bootstrap.forEach((one, index) => {
      const { points = [], at = 0 } = golden.quadratic[index] ?? {};
      const lengths = [...new Set(points.map(([n = 0]) => n))];
      const logs = lengths.map((n) => points.filter(([m]) => m === n).map(([, seconds = 1]) => Math.log(seconds)));
      const values = one.resamples.map(({ blocks, seconds }) => {
        const observations = lengths.map((n, i) => ({
          n,
          logSeconds: blocks.reduce((sum, block) => sum + (logs[i]?.[block] ?? Number.NaN), 0) / blocks.length,
          precision: 1,
        }));
        const law = fitQuadratic(observations);
        closeTo(law?.seconds(at) ?? Number.NaN, seconds, 1e-4);
        return law?.seconds(at) ?? Number.NaN;
      });
      const sorted = values.toSorted((left, right) => left - right);
      const percentile = (share: number) => {
        const place = share * (sorted.length - 1);
        const below = sorted[Math.floor(place)] ?? Number.NaN;
        return below + (place % 1) * ((sorted[Math.ceil(place)] ?? below) - below);
      };
      closeTo(percentile(0.025), one.low, 1e-4);
      closeTo(percentile(0.975), one.high, 1e-4);
    });
  });

  test("a profile is as wide as a parametric bootstrap where no coefficient is at its bound", () => {
    const [one, bootstrap] = [golden.quadratic[0], golden.bootstrap[0]];
    if (one === undefined || bootstrap === undefined) throw new Error("no golden values");
    expect(Math.min(...one.beta)).toBeGreaterThan(0);
    const observations = one.observations.map(([n = 0, logSeconds = 0, count = 0]) => ({
      n,
      logSeconds,
      precision: count / one.sigma ** 2,
    }));
    const range = fitQuadratic(observations)?.range(one.at, 1) ?? { low: Number.NaN, high: Number.NaN };
    // 400 draws know a standard deviation to 3.5 %.
    closeTo(Math.log(range.high / range.low) / 2, bootstrap.parametricLogSd, 0.12);
  });

  test("medians agree", () => {
    for (const { values, median: expected } of golden.medians) expect(median(values)).toBe(expected);
  });

  test("differences of AICc are those of the Gaussian likelihood", () => {
    for (const { samples, degrees, within, laws } of golden.aicc) {
      const noise = { relative: Math.sqrt(within / degrees), assumed: false, degreesOfFreedom: degrees };
      const [first = Number.NaN, second = Number.NaN] = laws.map(({ parameters, misfit }) =>
        correctedAkaike({ parameterCount: parameters, chiSquare: misfit / noise.relative ** 2 }, noise, samples),
      );
      expect(first - second).toBeCloseTo((laws[0]?.aicc ?? 0) - (laws[1]?.aicc ?? 0), 6);
    }
  });

  test("the physical law's factors and its spread beyond the data agree", () => {
    const { components, spreads, lengths, seconds, noise, logFactors, at, total, sd } = golden.physical;
    const curve = {
      components: Object.entries(components).map(([name, [constant = 0, linear = 0, quadratic = 0]], k) => ({
        name,
        seconds: (n: number) => constant + linear * n + quadratic * n * n,
        logSpread: spreads[k] ?? 1,
      })),
    };
    const points = lengths.map((n, i) => ({ n, seconds: seconds[i] ?? 0 }));
    const fit = fitPhysical(curve, points, { assumedNoise: noise });
    expect(fit.discrepancy).toBe(0);
    fit.law.efficiencies.forEach((efficiency, k) => {
      expect(Math.log(efficiency.value)).toBeCloseTo(logFactors[k] ?? 0, 6);
    });
    const prediction = fit.predict(at);
    closeTo(prediction.seconds, total, 1e-6);
    closeTo(Math.log(prediction.high / prediction.seconds) / normalQuantile(0.975), sd, 1e-5);
  });
});
