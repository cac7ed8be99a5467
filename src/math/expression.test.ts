import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Expression, atMost, b, c, ceilDivide, distinctExperts, floorDivide, log2, min, n } from "./expression.js";

const quadratic = (constant: number, linear: number, square: number): Expression =>
  n.times(n).times(square).plus(n.times(linear)).plus(constant);

const operand = fc.oneof(
  fc.integer({ min: -20, max: 20 }).map((value) => Expression.constant(value)),
  fc.constantFrom(n, c, b),
  fc.integer({ min: 1, max: 40 }).map((limit) => min({ n: 1, c: 1 }, limit)),
  fc.integer({ min: 1, max: 9 }).map((by) => ceilDivide({ n: 1 }, by)),
  fc.integer({ min: 1, max: 9 }).map((by) => floorDivide({ n: 1, c: 1 }, by)),
  fc.integer({ min: 1, max: 40 }).map((limit) => atMost({ n: 1 }, limit)),
);
const operation = fc.tuple(fc.constantFrom("plus", "minus", "times"), operand);
const built = fc.tuple(operand, fc.array(operation, { maxLength: 6 }));
const point = fc.record({
  n: fc.integer({ min: 1, max: 80 }),
  c: fc.integer({ min: 0, max: 80 }),
  b: fc.integer({ min: 1, max: 4 }),
});

describe("an expression", () => {
  test("evaluates to what the same arithmetic on numbers gives", () => {
    fc.assert(
      fc.property(built, point, ([start, steps], values) => {
        let expression = start;
        let number = start.at(values);
        for (const [name, right] of steps) {
          const value = right.at(values);
          if (name === "plus") [expression, number] = [expression.plus(right), number + value];
          else if (name === "minus") [expression, number] = [expression.minus(right), number - value];
          else [expression, number] = [expression.times(right), number * value];
        }
        expect(expression.at(values)).toBeCloseTo(number, 6);
      }),
      { seed: 1 },
    );
  });

  test("fixes, compiles and cuts into pieces without changing its value", () => {
    fc.assert(
      fc.property(built, point, ([start, steps], values) => {
        const expression = steps.reduce((sum, [, right]) => sum.plus(right.times(start)), start);
        const expected = expression.at(values);
        expect(expression.fix("n", values).at({ n: values.n })).toBeCloseTo(expected, 6);
        expect(expression.compile("n", values)(values.n)).toBeCloseTo(expected, 6);
        const piece = expression.pieces("n", values).find((candidate) => values.n <= candidate.to);
        expect(piece?.expression.at({ ...values })).toBeCloseTo(expected, 6);
      }),
      { seed: 2 },
    );
  });

  test("prints ascending powers with the constant last", () => {
    expect(quadratic(56_623_104, 2.12e8, 34_560).toString()).toBe("2.12e8·n + 3.46e4·n² + 5.66e7");
    expect(n.minus(3).toString()).toBe("n − 3");
    expect(Expression.zero.toString()).toBe("0");
  });

  test("cancels to zero exactly", () => {
    const square = n.plus(c).times(n.plus(c));
    expect(square.minus(n.times(n)).minus(c.times(c)).minus(n.times(c).times(2)).isZero).toBe(true);
  });

  test("is a polynomial on each side of a window and states where the law changes", () => {
    const windowed = min({ n: 1 }, 4).times(n);
    expect(windowed.breakpoints("n")).toEqual([4]);
    expect(windowed.pieces("n").map((piece) => [piece.from, piece.to, piece.coefficients])).toEqual([
      [0, 4, [0, 0, 1]],
      [4, Number.POSITIVE_INFINITY, [0, 4]],
    ]);
    expect(min({ n: 1, c: 1 }, 10).breakpoints("n", { c: 4 })).toEqual([6]);
  });

  test("states its degree for large values", () => {
    expect(quadratic(1, 1, 1).degree("n")).toEqual({ power: 2, logPower: 0 });
    expect(min({ n: 1 }, 512).times(n).degree("n")).toEqual({ power: 1, logPower: 0 });
    expect(log2({ n: 1 }).times(n).degree("n")).toEqual({ power: 1, logPower: 1 });
    expect(ceilDivide({ n: 1 }, 64).times(n).degree("n")).toEqual({ power: 2, logPower: 0 });
    expect(n.times(c).degree("c")).toEqual({ power: 1, logPower: 0 });
    expect(distinctExperts(8, 2, { n: 1 }).degree("n")).toEqual({ power: 0, logPower: 0 });
  });

  test("refuses an infinite coefficient", () => {
    expect(() => Expression.constant(Number.POSITIVE_INFINITY)).toThrow(/finite/);
  });
});

describe("distinct experts", () => {
  test("agree with a simulation of uniform routing", () => {
    let state = 7;
    const random = (): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) / 2 ** 24;
    };
    const [experts, chosen, tokens, trials] = [16, 4, 6, 4000];
    let seen = 0;
    for (let trial = 0; trial < trials; trial += 1) {
      const touched = new Set<number>();
      for (let token = 0; token < tokens; token += 1) {
        const own = new Set<number>();
        while (own.size < chosen) own.add(Math.floor(random() * experts));
        for (const expert of own) touched.add(expert);
      }
      seen += touched.size;
    }
    const expected = distinctExperts(experts, chosen, { n: 1 });
    expect(expected.at({ n: tokens })).toBeCloseTo(seen / trials, 1);
    // Two sequences of three tokens are six tokens, however the batch is fixed.
    expect(expected.at({ n: 3, b: 2 })).toBe(expected.at({ n: tokens }));
    expect(expected.fix("n", { b: 2 }).at({ n: 3 })).toBe(expected.at({ n: tokens }));
    expect(expected.fix("b", { n: 3 }).at({ b: 2 })).toBe(expected.at({ n: tokens }));
    expect(expected.compile("c", { n: 1, b: 6 })(99)).toBe(expected.at({ n: tokens }));
  });

  test("are all of them when every token takes all", () => {
    expect(distinctExperts(8, 8, { n: 1 }).at({ n: 1 })).toBe(8);
  });
});
