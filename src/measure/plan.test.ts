import { expect, test } from "vitest";
import { seededRandom } from "../base/random.js";
import { memoryJournal } from "../runs/memory-journal.js";
import type { Cell, Plan } from "../runs/schema.js";
import { manualClock } from "./clock.js";
import { measure } from "./loop.js";
import { syntheticRunner } from "./synthetic.js";

const prefill = (n: number): Cell => ({ phase: "prefill", n, depth: 0, batch: 1 });
const measurable: Plan = { cells: [prefill(256)], reference: null, repeat: 3, warmups: 1, timeLimitSeconds: null };

const refused: [Partial<Plan>, RegExp][] = [
  [{ cells: [] }, /plan: cells is \[\]; at least one cell/],
  [{ cells: [{ ...prefill(4), phase: "decode-uncached" }] }, /phase is "decode-uncached"; synthetic runs prefill/],
  [{ cells: [prefill(4096)] }, /length is 4096; synthetic runs at most 2048 tokens/],
  [{ repeat: 0 }, /plan: repeat is 0/],
  [{ warmups: -1 }, /plan: warmups is -1/],
  [{ timeLimitSeconds: Number.NaN }, /plan: timeLimitSeconds is NaN/],
  [{ cells: [prefill(0.5)] }, /plan: cells\.0\.n is 0\.5/],
];

test.each(refused)(
  "a plan that cannot be measured is refused before anything is timed: %j",
  async (change, message) => {
    const journal = memoryJournal();
    const runner = syntheticRunner({
      laws: { prefill: { constant: 1, linear: 0, quadratic: 0 } },
      maxLength: 2048,
    });
    const options = { clock: manualClock(), random: seededRandom(1), journal };
    await expect(measure(runner, { ...measurable, ...change }, options)).rejects.toThrow(message);
    expect(journal.samples).toEqual([]);
  },
);
