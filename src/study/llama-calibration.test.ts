import { describe, expect, test } from "vitest";
import { machine as testMachine } from "../../test/support/runs.js";
import { parseDeviceRecord } from "../hardware/record.js";
import { manualClock } from "../measure/clock.js";
import type { Runner } from "../measure/runner.js";
import type { Cell } from "../runs/schema.js";
import { type LlamaRuntime, calibrateLlama } from "./llama-calibration.js";
import { type LlamaShapes, llamaPlan } from "./llama-calibration-plan.js";

const machine = { ...testMachine, cores: 4, memoryBytes: 2 ** 34 };
const date = new Date("2026-11-27T12:00:00Z");

/** Seconds of a plain machine: 100 GFLOP/s, a nanosecond per pair and head, a millisecond to start. */
function seconds({ layers, hidden, heads, ffn }: LlamaShapes, { n, depth }: Cell): number {
  const products = Math.max(n, 2) * hidden * (3 * hidden + 3 * ffn) * 2e-11;
  return 1e-3 + layers * (products + heads * n * (depth + n / 2) * 1e-9);
}

/** A machine on a clock that only its own work moves; every third step is disturbed. */
function machineOn(clock: ReturnType<typeof manualClock>) {
  const log: { readonly model: number; readonly cell: Cell }[] = [];
  const state = { opened: 0, closed: 0, ended: 0, filled: 0, threads: 0 };
  let steps = 0;
  const runtime: LlamaRuntime = {
    version: "3.22.0, b10000",
    open: async (shapes, threads) => {
      state.threads = threads;
      state.opened += 1;
      const model = state.opened;
      let cached = 0;
      clock.advance(0.1);
      const runner: Runner = {
        name: "llama",
        capabilities: { phases: ["prefill"], maxLength: 8193, maxBatch: 1 },
        describe: () => {
          throw new Error("nobody asks");
        },
        prepare: async ({ depth }) => {
          state.filled += Math.max(0, depth - cached);
          cached = depth;
        },
        run: async (cell) => {
          steps += 1;
          const time = seconds(shapes, cell) + (steps % 3 === 0 ? 0.02 : 0);
          clock.advance(time);
          log.push({ model, cell });
          cached = cell.depth + cell.n;
          return { status: "ok", seconds: time, steps: 1 };
        },
        close: async () => {
          state.closed += 1;
        },
      };
      return runner;
    },
    close: () => {
      state.ended += 1;
    },
  };
  return { runtime, log, state };
}

describe("calibrate llama.cpp", () => {
  test.each([true, false])("times every size at two moments at least (quick: %s)", async (quick) => {
    const clock = manualClock();
    const { runtime, log, state } = machineOn(clock);
    const record = await calibrateLlama({ runtime, clock, machine, date, quick });
    expect(parseDeviceRecord(JSON.parse(JSON.stringify(record)), "local-llama.json")).toEqual(record);
    const { calibration } = record;
    expect(record.name).toBe("local-llama");
    expect(calibration).toMatchObject({ engine: "llama.cpp-cpu", dtype: "float16", threads: 4, longest: 8192 });
    expect(calibration?.seconds).toBeCloseTo(clock.now(), 6);
    const plan = llamaPlan(quick ? "quick" : "full");
    expect(calibration?.measurements).toHaveLength(plan.reduce((sum, { cells }) => sum + cells.length, 0));
    for (const { runs } of calibration?.measurements ?? []) expect(runs).toBeGreaterThanOrEqual(2);
    // Every model is opened once and closed, and its cache is filled by the pieces that are timed, by nothing else.
    expect(state).toMatchObject({ opened: plan.length, closed: plan.length, ended: 1, filled: 0 });
    const visits = log.filter(({ model }, index) => model !== log[index - 1]?.model).map(({ model }) => model);
    expect(visits.length).toBeGreaterThanOrEqual(3 * plan.length - 3);
    const { perPairDim = 0, perPair = 0 } = calibration?.attention ?? {};
    expect(Math.abs(Math.log((128 * perPairDim + perPair) / 1e-9))).toBeLessThan(0.15);
  });

  test("tries no more rounds than its time allows, and one at least", async () => {
    const clock = manualClock();
    const { runtime, log } = machineOn(clock);
    await calibrateLlama({ runtime, clock, machine, date, quick: true, timeLimit: 0.001, threads: 1 });
    const first = log.findIndex(({ cell }) => cell.depth > 0);
    const deep = log.slice(first).filter(({ model, cell }) => model === log[first]?.model && cell.depth === 3584);
    expect(deep.length).toBeGreaterThan(0);
    expect(clock.now()).toBeLessThan(7);
  });

  test("lies around what it is told to wait for, times long inputs in between, and counts no waiting in its cost", async () => {
    const clock = manualClock();
    const { runtime, log } = machineOn(clock);
    const models = llamaPlan("quick").length;
    const moments: (typeof log)[] = [];
    const pause = async (): Promise<void> => {
      clock.advance(1000);
      moments.push(log.splice(0));
    };
    const { calibration } = await calibrateLlama({
      runtime,
      clock,
      machine,
      date,
      quick: true,
      between: [pause, pause, pause],
    });
    expect(calibration?.seconds).toBeCloseTo(clock.now() - 3000, 6);
    const modelsIn = (some: typeof log): number => new Set(some.map(({ model }) => model)).size;
    expect([...moments, log].map(modelsIn)).toEqual([models, 1, 1, models]);
    const deepest = (some: typeof log): number => Math.max(...some.map(({ cell }) => cell.depth));
    expect([...moments, log].map(deepest)).toEqual([7680, 7680, 7680, 7680]);
  });

  test("stops when it is told to, and leaves nothing open", async () => {
    const clock = manualClock();
    const { runtime, state } = machineOn(clock);
    const stop = new AbortController();
    const calibrating = calibrateLlama({
      runtime,
      clock,
      machine,
      date,
      quick: true,
      signal: stop.signal,
      onProgress: ({ round }) => {
        if (round === 2) stop.abort();
      },
    });
    await expect(calibrating).rejects.toThrow("aborted");
    expect(state.closed).toBe(state.opened);
    expect(state.ended).toBe(1);
  });
});
