import { describe, expect, test } from "vitest";
import { seededRandom } from "../base/random.js";
import { manualClock } from "../measure/clock.js";
import { measure } from "../measure/loop.js";
import { syntheticRunner } from "../measure/synthetic.js";
import { memoryJournal } from "../runs/memory-journal.js";
import { cellOf, withDepth } from "./measure.js";
import { reachedBy, untilRule, type UntilPlan } from "./until.js";

const law = { constant: 0.01, linear: 1e-4, quadratic: 2e-8 };
const step = { constant: 0.02, linear: 2e-7, quadratic: 0 };
const secondsAt = (n: number) => law.constant + law.linear * n + law.quadratic * n * n;

const usual: UntilPlan = {
  goal: { halfWidth: 0.1, n: 32_768 },
  phase: "prefill",
  batch: 1,
  depth: 0,
  start: [128, 256, 512, 1024],
  repeat: 3,
  warmups: 1,
  seconds: 120,
  longest: 32_768,
  curve: null,
};

async function measured(wanted: Partial<UntilPlan>, seed = 1, noise = 0.02) {
  const plan: UntilPlan = { ...usual, ...wanted };
  const rule = untilRule([plan]);
  const clock = manualClock();
  const run = await measure(
    syntheticRunner({ laws: { prefill: law, decode: step }, noise, seed }),
    {
      cells: plan.start.map((n) => withDepth(cellOf(plan.phase, n, 1), plan.depth)),
      reference: null,
      repeat: plan.repeat,
      warmups: plan.warmups,
      timeLimitSeconds: plan.seconds,
    },
    { clock, journal: memoryJournal(), random: seededRandom(1), next: rule.next },
  );
  return { run, reason: rule.stoppedFor(), reached: reachedBy(run.samples, plan), plan };
}

describe("measuring until an interval is narrow enough", () => {
  test("stops when it is, in less than measuring the length itself would take, and the interval holds the truth", async () => {
    let holds = 0;
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const { run, reason, reached } = await measured({}, seed);
      expect(reason).toBe("reached");
      expect(reached?.reached).toBe(true);
      expect(reached?.halfWidth).toBeLessThanOrEqual(0.1);
      const { low = 0, high = 0, seconds = 1 } = reached?.prediction ?? {};
      expect((high - low) / 2 / seconds).toBeLessThanOrEqual(0.1);
      expect(run.seconds).toBeLessThan(3 * secondsAt(32_768));
      expect(new Set(run.samples.map(({ n }) => n)).size).toBeGreaterThan(4);
      if (low < secondsAt(32_768) && secondsAt(32_768) < high) holds += 1;
    }
    // A rule that looks before each block and stops when it likes what it sees holds a little less often than its 95 %.
    expect(holds).toBeGreaterThanOrEqual(5);
  });

  test("stops when the time is spent, with what it has", async () => {
    const { run, reason, reached } = await measured({ goal: { halfWidth: 0.001, n: 32_768 }, seconds: 10 });
    expect(reason).toBe("time");
    expect(reached?.reached).toBe(false);
    expect(run.seconds).toBeLessThanOrEqual(10 * 1.1);
    expect(run.seconds).toBeGreaterThan(5);
  });

  test("asks for nothing longer than the machine can run", async () => {
    const { run } = await measured({ longest: 4096, seconds: 8 });
    expect(Math.max(...run.samples.map(({ n }) => n))).toBeLessThanOrEqual(4096);
  });

  test("the physical law reaches the goal with less measuring, where its spreads are narrow", async () => {
    const { run: blind } = await measured({});
    const curve = {
      components: [
        { name: "gemm", seconds: (n: number) => law.constant + law.linear * n, logSpread: 0.02 },
        { name: "attention", seconds: (n: number) => law.quadratic * n * n, logSpread: 0.02 },
      ],
    };
    const { run, reason, reached } = await measured({ curve });
    expect(reason).toBe("reached");
    expect(reached?.law).toBe("physical");
    expect(run.seconds).toBeLessThan(blind.seconds);
  });

  test("a decode step's length is its context, whose law is a straight line", async () => {
    const { run, reached } = await measured({ phase: "decode", goal: { halfWidth: 0.05, n: 32_768 }, seconds: 20 });
    expect(reached?.reached).toBe(true);
    expect(reached?.law).toBe("linear");
    expect(new Set(run.samples.map(({ n }) => n))).toEqual(new Set([1]));
    expect(reached?.prediction.low).toBeLessThan(step.constant + step.linear * 32_768);
    expect(reached?.prediction.high).toBeGreaterThan(step.constant + step.linear * 32_768);
  });

  test("prefills after cached tokens are all after as many", async () => {
    const { run, reached } = await measured({ depth: 4096 });
    expect(reached?.reached).toBe(true);
    expect(new Set(run.samples.map(({ depth }) => depth))).toEqual(new Set([4096]));
  });

  test("several laws share the blocks and the time, and one that is known takes no more of either", async () => {
    const base: UntilPlan = { ...usual, goal: { halfWidth: 0.1, n: 16_384 }, longest: 16_384 };
    const plans: UntilPlan[] = [base, { ...base, phase: "decode" }];
    const rule = untilRule(plans);
    const run = await measure(
      syntheticRunner({ laws: { prefill: law, decode: step }, noise: 0.02, seed: 3 }),
      {
        cells: plans.flatMap((plan) => plan.start.map((n) => cellOf(plan.phase, n, 1))),
        reference: null,
        repeat: 3,
        warmups: 1,
        timeLimitSeconds: 120,
      },
      { clock: manualClock(), journal: memoryJournal(), random: seededRandom(1), next: rule.next },
    );
    expect(rule.stoppedFor()).toBe("reached");
    expect(plans.map((plan) => reachedBy(run.samples, plan)?.reached)).toEqual([true, true]);
    const last = (phase: string) =>
      Math.max(...run.samples.filter((one) => one.phase === phase).map(({ block }) => block));
    expect(last("decode")).not.toBe(last("prefill"));
  });
});
