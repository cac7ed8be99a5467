import { expect, test } from "vitest";
import { seededRandom } from "../base/random.js";
import type { Cell } from "../runs/schema.js";
import { memoryJournal } from "../runs/memory-journal.js";
import { manualClock } from "./clock.js";
import { measure } from "./loop.js";
import { severalRunner } from "./several.js";
import { syntheticRunner } from "./synthetic.js";
import type { Runner } from "./runner.js";

const law = (linear: number) => ({ constant: 0.001, linear, quadratic: 0 });
const cells = ["fast", "slow"].flatMap((variant): Cell[] =>
  [100, 200].map((n) => ({ phase: "prefill", n, depth: 0, batch: 1, variant })),
);

function subjects(log: string[]): { name: string; open: () => Promise<Runner> }[] {
  return [
    ["fast", 1e-5],
    ["slow", 1e-3],
  ].map(([name, slope]) => ({
    name: String(name),
    open: () => {
      log.push(`open ${name}`);
      const inner = syntheticRunner({ laws: { prefill: law(Number(slope)), reference: law(1e-5) } });
      return Promise.resolve({
        ...inner,
        close: () => {
          log.push(`close ${name}`);
          return inner.close();
        },
      });
    },
  }));
}

const runtime = syntheticRunner({ laws: {} }).describe();

test.each([true, false])("samples say whose they are, with sessions together: %s", async (together) => {
  const log: string[] = [];
  const runner = severalRunner(subjects(log), { together, runtime, maxLength: 1000 });
  const journal = memoryJournal();
  const plan = { cells, reference: null, repeat: 3, warmups: 1, timeLimitSeconds: null };
  const { samples, status } = await measure(runner, plan, { clock: manualClock(), random: seededRandom(1), journal });
  await runner.close();
  expect(status).toBe("complete");
  expect(samples).toHaveLength(4 * (3 + 1));
  for (const { variant, n, seconds } of samples) {
    expect(seconds).toBeCloseTo(0.001 + n * (variant === "fast" ? 1e-5 : 1e-3), 9);
  }
  const opened = log.filter((line) => line.startsWith("open")).length;
  expect(log.filter((line) => line.startsWith("close"))).toHaveLength(opened);
  if (together) expect(opened).toBe(2);
  else expect(opened).toBeGreaterThan(2);
});
