import { describe, expect, test } from "vitest";
import { seededRandom } from "../base/random.js";
import { plainScale, randomPrompt, scaleOf, unitsFor } from "./openai-prompt.js";

const textOf = (units: number, seed: number): string => String(randomPrompt("text", units, seededRandom(seed)));

describe("prompts", () => {
  test("of words differ in their order alone, of ids in all", () => {
    const [one, other] = [textOf(500, 1), textOf(500, 2)];
    expect(one).not.toBe(other);
    expect(one.split(" ").sort()).toEqual(other.split(" ").sort());
    expect(one.split(" ")).toHaveLength(500);
    expect(randomPrompt("ids", 500, seededRandom(1))).toHaveLength(500);
  });

  test("have another beginning each: no prefix of theirs was ever seen", () => {
    const starts = new Set(
      Array.from({ length: 1000 }, (_, seed) => textOf(64, seed).split(" ").slice(0, 16).join(" ")),
    );
    expect(starts.size).toBe(1000);
  });
});

describe("the scale", () => {
  test("is the line through two counted prompts", () => {
    const scale = scaleOf([24, 24 * 1.5 + 7], [120, 120 * 1.5 + 7]);
    expect(scale.perUnit).toBeCloseTo(1.5, 12);
    expect(scale.extra).toBeCloseTo(7, 12);
    for (const tokens of [100, 1000, 9999]) expect(unitsFor(tokens, scale) * 1.5 + 7).toBeCloseTo(tokens, -0.2);
  });

  test("is plain where the counts cannot be right, and a prompt has at least one word", () => {
    expect(scaleOf([24, 50], [120, 50])).toEqual(plainScale);
    expect(scaleOf([24, 1], [120, 1e9])).toEqual(plainScale);
    expect(unitsFor(3, { perUnit: 1, extra: 7 })).toBe(1);
  });
});
