import { expect, test } from "vitest";
import { seededRandom } from "../base/random.js";
import { sample } from "./sampling.js";

const logits = Float32Array.from([0, Math.log(2), Math.log(4), Math.log(1)]);

test("draws in proportion to the probabilities, sharpened by the temperature", () => {
  const random = seededRandom(5);
  for (const [temperature, topP, expected] of [
    [1, 1, [1 / 8, 2 / 8, 4 / 8, 1 / 8]],
    [0.5, 1, [1 / 22, 4 / 22, 16 / 22, 1 / 22]],
    [1, 0.7, [0, 2 / 6, 4 / 6, 0]],
    [1, 0.3, [0, 0, 1, 0]],
    [0, 1, [0, 0, 1, 0]],
  ] as const) {
    const counts = [0, 0, 0, 0];
    const draws = 20_000;
    for (let i = 0; i < draws; i += 1) {
      const token = sample(logits, { temperature, topP }, random);
      counts[token] = (counts[token] ?? 0) + 1;
    }
    // Four standard deviations of a binomial share.
    counts.forEach((count, token) => {
      expect(Math.abs(count / draws - (expected[token] ?? 0))).toBeLessThan(4 * Math.sqrt(0.25 / draws));
    });
  }
});
