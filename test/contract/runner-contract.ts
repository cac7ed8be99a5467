import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { seededRandom } from "../../src/base/random.js";
import { type Clock, systemClock } from "../../src/measure/clock.js";
import { measure } from "../../src/measure/loop.js";
import type { Outcome, RunContext, Runner } from "../../src/measure/runner.js";
import { memoryJournal } from "../../src/runs/memory-journal.js";
import { type Cell, type Phase, phases, runtimeInfoSchema, sampleSchema } from "../../src/runs/schema.js";

export interface RunnerUnderTest {
  readonly runner: Runner;
  /** Two small cells of each phase that the runner has, a shorter and a longer one. */
  readonly cells: Partial<Record<Phase, readonly [Cell, Cell]>>;
  /** The clock to run on; the system's unless given. */
  readonly clock?: Clock;
}

/** A clock that counts `factor` seconds for each second of another: a runner that reads its own clock gives itself away. */
function fasterClock(clock: Clock, factor: number): Clock {
  return {
    now: () => clock.now() * factor,
    sleep: (seconds, signal) => clock.sleep(seconds / factor, signal),
  };
}

function idle(clock: Clock): RunContext {
  return { clock, signal: new AbortController().signal };
}

async function call(runner: Runner, cell: Cell, context: RunContext): Promise<Outcome> {
  await runner.prepare?.(cell, context);
  return runner.run(cell, context);
}

/** The seconds of an outcome that must be good. */
function timed(outcome: Outcome): { seconds: number; steps: number } {
  if (outcome.status !== "ok") throw new Error(`expected an ok outcome, not "${outcome.reason}"`);
  return outcome;
}

/** What a runner says about a cell that it cannot run, whether it fails or throws. */
async function complaint(runner: Runner, cell: Cell, context: RunContext): Promise<string> {
  try {
    const outcome = await call(runner, cell, context);
    return outcome.status === "ok" ? "" : outcome.reason;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What every runner promises, whatever is behind it. */
export function runnerContract(name: string, make: () => Promise<RunnerUnderTest> | RunnerUnderTest): void {
  describe(`${name} keeps the promises of a runner`, () => {
    let made: RunnerUnderTest;
    let clock: Clock;
    let pairs: (readonly [Cell, Cell])[];
    beforeAll(async () => {
      made = await make();
      clock = made.clock ?? systemClock;
      pairs = Object.values(made.cells);
    });
    afterAll(() => made.runner.close());

    test("it has a name in kebab-case and describes its runtime, always alike", () => {
      const { runner } = made;
      expect(runner.name).toMatch(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/);
      const info = runtimeInfoSchema.parse(runner.describe());
      expect(info.runner).toBe(runner.name);
      expect(runner.describe()).toEqual(info);
    });

    test("it has at least one phase, and the suite has cells for each", () => {
      const { runner, cells } = made;
      expect(runner.capabilities.phases.length).toBeGreaterThan(0);
      expect(Object.keys(cells).sort()).toEqual([...runner.capabilities.phases].sort());
      for (const [phase, pair] of Object.entries(cells)) {
        for (const cell of pair) expect(cell.phase).toBe(phase);
      }
    });

    test("it times every phase within the time that passed", async () => {
      for (const cell of pairs.flat()) {
        const context = idle(clock);
        await made.runner.prepare?.(cell, context);
        const start = clock.now();
        const { seconds, steps } = timed(await made.runner.run(cell, context));
        const passed = clock.now() - start;
        expect(seconds).toBeGreaterThan(0);
        expect(Number.isSafeInteger(steps) && steps >= 1).toBe(true);
        expect(seconds * steps).toBeLessThanOrEqual(passed + 1e-9 * Math.max(1, start));
      }
    });

    test("it reads the clock that it is given and no other", async () => {
      const faster = fasterClock(clock, 1000);
      for (const [cell] of pairs) {
        const shares: number[] = [];
        // Where other work holds this process up, the tokens of a stream may all arrive at once: then again.
        for (let turn = 0; turn < 5 && Math.max(0, ...shares) <= 0.01; turn += 1) {
          const context = idle(faster);
          await made.runner.prepare?.(cell, context);
          const start = faster.now();
          const { seconds, steps } = timed(await made.runner.run(cell, context));
          shares.push((seconds * steps) / (faster.now() - start));
        }
        expect(Math.max(...shares)).toBeGreaterThan(0.01);
      }
    });

    test("it runs cells in any order, and the same cell again", async () => {
      const there = pairs.flat();
      for (const cell of [...there, ...there.toReversed()]) timed(await call(made.runner, cell, idle(clock)));
    });

    test("it gives a reason, not a time, for a phase that it does not have, and goes on", async ({ skip }) => {
      const { runner } = made;
      const missing = phases.find((phase) => !runner.capabilities.phases.includes(phase));
      skip(missing === undefined, `${name} has every phase`);
      const cell: Cell = { phase: missing ?? "prefill", n: 1, depth: 1, batch: 1 };
      expect(await complaint(runner, cell, idle(clock))).not.toBe("");
      for (const [own] of pairs) timed(await call(runner, own, idle(clock)));
    });

    test("it does not hang when it is stopped before a step, and goes on afterwards", async () => {
      for (const [cell] of pairs) {
        const context = { clock, signal: AbortSignal.abort() };
        await call(made.runner, cell, context).catch(() => undefined);
        timed(await call(made.runner, cell, idle(clock)));
      }
    });

    test("it can be stopped in the middle of a step, and goes on afterwards", async () => {
      for (const [, cell] of pairs) {
        const stop = new AbortController();
        const running = call(made.runner, cell, { clock, signal: stop.signal }).catch(() => undefined);
        stop.abort();
        await running;
        timed(await call(made.runner, cell, idle(clock)));
      }
    });

    test("it is measured into valid samples, each cell once in every block", async () => {
      const cells = pairs.flat().filter(({ phase }) => phase !== "reference");
      const reference = made.cells.reference?.[0] ?? null;
      const plan = { cells, reference, repeat: 2, warmups: 1, timeLimitSeconds: null };
      const journal = memoryJournal();
      const run = await measure(made.runner, plan, { clock, random: seededRandom(1), journal });
      expect(run.status).toBe("complete");
      expect(run.samples).toEqual(journal.samples);
      for (const sample of run.samples) expect(sampleSchema.parse(sample)).toEqual(sample);
      const references = reference === null ? 0 : 1;
      expect(run.samples).toHaveLength(cells.length * 3 + references * 5);
      expect(run.samples.every(({ rejected }) => rejected === null)).toBe(true);
    });

    test("it can be closed twice, and times nothing once closed", async () => {
      const { runner, cells, clock: own = systemClock } = await make();
      await runner.close();
      await runner.close();
      for (const [cell] of Object.values(cells)) expect(await complaint(runner, cell, idle(own))).not.toBe("");
    });
  });
}
