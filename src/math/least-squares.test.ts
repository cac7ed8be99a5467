import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { extremes, invertPositive, nonNegativeLeastSquares } from "./least-squares.js";

const cell = fc.double({ min: 0.05, max: 5, noNaN: true });
const problem = fc.record({
  rows: fc.array(fc.tuple(cell, cell, cell), { minLength: 3, maxLength: 8 }),
  y: fc.array(fc.double({ min: -3, max: 6, noNaN: true }), { minLength: 8, maxLength: 8 }),
  c: fc.tuple(...[0, 1, 2].map(() => fc.double({ min: -2, max: 2, noNaN: true }))),
  trial: fc.tuple(cell, cell, cell),
  slack: fc.double({ min: 0.01, max: 20, noNaN: true }),
});

function rssOf(rows: readonly (readonly number[])[], y: readonly number[], beta: readonly number[]): number {
  return rows.reduce((sum, row, i) => {
    return sum + ((y[i] ?? 0) - row.reduce((value, x, k) => value + x * (beta[k] ?? 0), 0)) ** 2;
  }, 0);
}

describe("non-negative least squares", () => {
  test("no other non-negative point fits better", () => {
    fc.assert(
      fc.property(problem, ({ rows, y, trial }) => {
        const fit = nonNegativeLeastSquares(
          rows,
          y,
          rows.map(() => 1),
        );
        expect(fit.beta.every((value) => value >= 0)).toBe(true);
        expect(rssOf(rows, y, fit.beta)).toBeLessThanOrEqual(rssOf(rows, y, trial) + 1e-6);
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  test("no non-negative point inside the region lies beyond the extremes", () => {
    fc.assert(
      fc.property(problem, ({ rows, y, c, trial, slack }) => {
        const fit = nonNegativeLeastSquares(
          rows,
          y,
          rows.map(() => 1),
        );
        const limit = fit.rss + slack;
        const range = extremes(fit, c, limit);
        const direction = trial.map((value, k) => value - (fit.beta[k] ?? 0));
        for (let share = 0; share <= 1; share += 0.05) {
          const beta = direction.map((value, k) => (fit.beta[k] ?? 0) + share * value);
          if (rssOf(rows, y, beta) > limit) continue;
          const value = beta.reduce((sum, x, k) => sum + x * (c[k] ?? 0), 0);
          expect(value).toBeGreaterThanOrEqual(range.low - 1e-5 * (1 + Math.abs(range.low)));
          expect(value).toBeLessThanOrEqual(range.high + 1e-5 * (1 + Math.abs(range.high)));
        }
      }),
      { seed: 2, numRuns: 300 },
    );
  });

  test("a column that repeats another leaves the fit defined", () => {
    const fit = nonNegativeLeastSquares(
      [
        [1, 1],
        [2, 2],
        [3, 3],
      ],
      [2, 4, 6],
      [1, 1, 1],
    );
    expect(fit.rss).toBeCloseTo(0, 9);
    expect((fit.beta[0] ?? 0) + (fit.beta[1] ?? 0)).toBeCloseTo(2, 9);
  });

  test("data below zero give zero", () => {
    expect(nonNegativeLeastSquares([[1], [2]], [-1, -3], [1, 1]).beta).toEqual([0]);
  });
});

describe("the inverse of a positive matrix", () => {
  test("times the matrix is one, also where the columns differ by twelve orders", () => {
    const matrix = [
      [4, 2e6, 1e12],
      [2e6, 3e12, 5e17],
      [1e12, 5e17, 2e24],
    ];
    const inverse = invertPositive(matrix);
    const entry = (i: number, j: number) =>
      matrix.reduce((sum, _, k) => sum + (inverse?.[i]?.[k] ?? 0) * (matrix[k]?.[j] ?? 0), 0);
    expect(entry(0, 0)).toBeCloseTo(1, 9);
    expect(entry(1, 1)).toBeCloseTo(1, 9);
    expect(entry(2, 2)).toBeCloseTo(1, 9);
    expect(entry(2, 1) * 1e6).toBeCloseTo(0, 6);
  });

  test("is null where the matrix is singular", () => {
    expect(
      invertPositive([
        [1, 1],
        [1, 1],
      ]),
    ).toBeNull();
    expect(invertPositive([[0]])).toBeNull();
  });
});
