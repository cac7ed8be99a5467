import { expect, test } from "vitest";
import { median } from "./median.js";
import { quantile } from "./quantile.js";

// numpy.quantile([7, 1, 3, 10, 4], [0, 0.2, 0.5, 0.9, 1])
test.each([
  [0, 1],
  [0.2, 2.6],
  [0.5, 4],
  [0.9, 8.8],
  [1, 10],
])("a share of %d is NumPy's", (share, expected) => {
  expect(quantile([7, 1, 3, 10, 4], share)).toBeCloseTo(expected, 12);
});

test("half is the median; one value is every share; none has none", () => {
  const values = [3, 9, 4, 1];
  expect(quantile(values, 0.5)).toBe(median(values));
  expect(values).toEqual([3, 9, 4, 1]);
  expect(quantile([5], 0.3)).toBe(5);
  expect(quantile([], 0.5)).toBeNaN();
});
