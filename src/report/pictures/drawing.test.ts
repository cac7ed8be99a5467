import { expect, test } from "vitest";
import { apart } from "./drawing.js";

test("names that would lie on each other are moved up, no more than it takes, and stay in their order", () => {
  expect(apart([0, 100, 10], 15)).toEqual([0, 100, 15]);
  expect(apart([50, 50, 52, 90], 15)).toEqual([50, 65, 80, 95]);
});
