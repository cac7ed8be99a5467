import { describe, expect, test } from "vitest";
import { min, n } from "../math/expression.js";
import { crossover, halfOf } from "./law.js";

describe("the crossover", () => {
  test("is where the quadratic term equals the rest", () => {
    const law = n.times(n).times(2).plus(n.times(100)).plus(1000);
    const at = crossover(law, "n");
    expect(at).not.toBeNull();
    if (at !== null) expect(2 * at * at).toBeCloseTo(100 * at + 1000, 4);
  });

  test("is absent where a window keeps the law linear before it comes", () => {
    expect(crossover(min({ n: 1 }, 8).times(n).plus(n.times(100)), "n")).toBeNull();
    expect(crossover(n.times(3), "n")).toBeNull();
  });

  test("is found inside the window where it comes earlier", () => {
    expect(crossover(min({ n: 1 }, 400).times(n).plus(n.times(100)), "n")).toBeCloseTo(100, 6);
  });
});

describe("half of the whole", () => {
  test("is where a growing share reaches it", () => {
    const attention = n.times(n);
    expect(halfOf(attention, attention.plus(n.times(50)), "n")).toBeCloseTo(50, 6);
    expect(halfOf(n, n.times(3), "n")).toBeNull();
  });
});
