import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Expression, atMost, b, c, ceilDivide, floorDivide, log2, min, n } from "./expression.js";
import { sumOver } from "./sum.js";

const factor = fc.oneof(
  fc.constantFrom(c, n, b, Expression.constant(3)),
  fc.integer({ min: 1, max: 60 }).map((limit) => min({ n: 1, c: 1 }, limit)),
  fc.integer({ min: 2, max: 9 }).map((by) => ceilDivide({ c: 1, n: 2 }, by)),
  fc.integer({ min: 2, max: 9 }).map((by) => floorDivide({ c: 3, constant: 1 }, by)),
  fc.integer({ min: 1, max: 60 }).map((limit) => atMost({ c: 1 }, limit)),
  fc.constant(log2({ c: 1 })),
);
const product = fc
  .array(factor, { minLength: 1, maxLength: 3 })
  .map((factors) => factors.reduce((whole, one) => whole.times(one), Expression.one));
const sums = fc
  .array(fc.tuple(fc.integer({ min: -5, max: 5 }), product), { maxLength: 4 })
  .map((terms) => Expression.sum(terms.map(([times, term]) => term.times(times))));

describe("a sum over a variable", () => {
  test("equals the sum value by value, across breakpoints and periods", () => {
    fc.assert(
      fc.property(sums, fc.nat({ max: 80 }), fc.nat({ max: 400 }), (expression, from, more) => {
        const values = { n: 2, b: 3 };
        let expected = 0;
        for (let at = from; at <= from + more; at += 1) expected += expression.at({ ...values, c: at });
        const difference = Math.abs(sumOver(expression, "c", from, from + more, values) - expected);
        expect(difference).toBeLessThanOrEqual(1e-9 * (1 + Math.abs(expected)));
      }),
      { seed: 20261123, numRuns: 500 },
    );
  });

  test("of a polynomial of degree four is Faulhaber's, over a billion values", () => {
    const fourth = c.times(c).times(c).times(c);
    expect(sumOver(fourth, "c", 1, 100)).toBe(2_050_333_330);
    expect(sumOver(c, "c", 1, 1e9)).toBe(500_000_000_500_000_000);
  });

  test("of nothing is nothing, and an endless one without closed form is refused", () => {
    expect(sumOver(c, "c", 5, 4)).toBe(0);
    expect(() => sumOver(log2({ c: 1 }), "c", 1, 2 ** 30)).toThrow(/no closed sum/);
  });
});
