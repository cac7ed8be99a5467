import { describe, expect, test } from "vitest";
import { editDistance, nearestNames } from "./names.js";

describe("editDistance", () => {
  test.each([
    ["kitten", "sitting", 3],
    ["h100", "h100", 0],
    ["h010", "h100", 1],
    ["", "abc", 3],
    ["abc", "", 3],
  ])("%j to %j is %d", (from, to, distance) => {
    expect(editDistance(from, to)).toBe(distance);
  });
});

describe("nearestNames", () => {
  test("puts names that contain the text first, then those few edits away, and leaves out the rest", () => {
    expect(nearestNames("4090", ["RTX 4080", "RTX 4090", "Apple M2 Ultra"])).toEqual(["RTX 4090", "RTX 4080"]);
    expect(nearestNames("rtx4070", ["RTX 4080", "RTX 4090", "Apple M2 Ultra"])).toEqual(["RTX 4080", "RTX 4090"]);
  });
});
