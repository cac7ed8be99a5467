import { expect, test } from "vitest";
import { seededRandom, shuffled } from "../base/random.js";
import type { Cell } from "../runs/schema.js";
import { byLength } from "./order.js";

test("warm-ups go from the least work to the most: new and cached tokens of all sequences", () => {
  const cell = (n: number, depth: number, batch: number): Cell => ({ phase: "prefill", n, depth, batch });
  const wanted = [cell(64, 0, 1), cell(32, 64, 1), cell(32, 0, 4), cell(16, 128, 1), cell(256, 0, 1)];
  const random = seededRandom(1);
  for (let order = 0; order < 20; order += 1) expect(byLength(shuffled(wanted, random))).toEqual(wanted);
});
