import { type Random, seededRandom, shuffled } from "../base/random.js";
import type { Seconds } from "../base/units.js";
import { llamaCpp, llamaEngine } from "../hardware/calibrated-runtime.js";
import type { DeviceRecord } from "../hardware/record.js";
import type { RunContext, Runner } from "../measure/runner.js";
import type { CalibrateOptions } from "./calibrate.js";
import { calibratedRecord } from "./calibrated-record.js";
import { type LlamaTimed, fitLlama, llamaDtype } from "./llama-calibration-fit.js";
import {
  type LlamaCell,
  type LlamaGroup,
  type LlamaShapes,
  describeLlama,
  llamaPlan,
  longestInPlan,
} from "./llama-calibration-plan.js";
import { Rounds } from "./rounds.js";

/** Whatever runs tiny models: llama.cpp, or a machine made up by a test. */
export interface LlamaRuntime {
  readonly version: string;
  /** Stays open until the calibration ends. Needs room for `longestInPlan` tokens and one more. */
  open(shapes: LlamaShapes, threads: number): Promise<Runner>;
  /** Once all that it opened is closed. */
  close(): void;
}

export interface CalibrateLlamaOptions extends Omit<CalibrateOptions, "runtime"> {
  readonly runtime: LlamaRuntime;
}

const limits = { full: 18, quick: 7 } as const;
const mostRounds = 6;
/**
 * Seconds and runs that a short cell may take in a round. The threads wait for each other by spinning: whatever takes a core
 * from one of them holds up all, by ten milliseconds or more, which is most of a short cell.
 */
const perCell = 0.02;
const mostRuns = 6;

interface Timings {
  readonly shapes: LlamaShapes;
  readonly cell: LlamaCell;
  readonly times: Seconds[];
}

/**
 * Measures what llama.cpp does on this machine: times tiny models with random weights in rounds, each in a new random order,
 * until the time is up, and fits the rates of a device record to the quickest runs of each: noise only ever adds.
 *
 * @returns a record for the device `local-llama`, its cost in seconds included
 */
export async function calibrateLlama(options: CalibrateLlamaOptions): Promise<DeviceRecord> {
  const { clock, machine, runtime, signal } = options;
  const threads = options.threads ?? machine.cores;
  const size = options.quick === true ? "quick" : "full";
  const begin = clock.now();
  const { timings, waited } = await timeModels(options, threads, size, seededRandom(options.seed ?? 1));
  signal?.throwIfAborted();
  const cells = [...timings.values()].map((one) => ({ ...one, seconds: Math.min(...one.times) }));
  const rates = fitLlama(cells.map(({ shapes, cell, seconds }): LlamaTimed => ({ shapes, cell, seconds })));
  return calibratedRecord({
    name: "local-llama",
    vendor: machine.cpu,
    class: "cpu",
    machine,
    runtime: llamaCpp,
    engine: llamaEngine,
    engineVersion: runtime.version,
    threads,
    dtype: llamaDtype,
    date: options.date,
    seconds: clock.now() - begin - waited,
    longest: longestInPlan,
    source: `measured with llama.cpp (node-llama-cpp ${runtime.version}), ${threads} threads`,
    bytesPerSecond: 1 / Math.max(1e-15, rates.gemm.perWeightByte),
    memory: { value: machine.memoryBytes, source: "memory that this process may use", uncertain: false },
    rates,
    cells: cells.map(({ shapes, cell, times, seconds }) => ({ what: describeLlama(shapes, cell), seconds, times })),
  });
}

/** A model of the plan that is open. */
interface Open {
  readonly group: LlamaGroup;
  readonly runner: Runner;
}

async function timeModels(
  options: CalibrateLlamaOptions,
  threads: number,
  size: "full" | "quick",
  random: Random,
): Promise<{ readonly timings: Map<string, Timings>; readonly waited: Seconds }> {
  const { clock, runtime, signal, onProgress, between } = options;
  const limit = options.timeLimit ?? limits[size];
  const asked = options.timeLimit !== undefined;
  const begin = clock.now();
  const open: Open[] = [];
  const timings = new Map<string, Timings>();
  const rounds = new Rounds({ clock, limit, asked, most: mostRounds, between });
  try {
    for (const group of llamaPlan(size)) {
      signal?.throwIfAborted();
      open.push({ group, runner: await runtime.open(group.shapes, threads) });
    }
    const context: RunContext = { clock, signal: signal ?? new AbortController().signal };
    for (const one of open) await warmUp(one, context);
    for await (const { round, whole } of rounds) {
      const some = open.filter(({ group }) => whole || group.often);
      for (const [done, { group, runner }] of shuffled(some, random).entries()) {
        const elapsedSeconds = clock.now() - begin - rounds.waited;
        const [first = { n: 1, depth: 0 }] = group.cells;
        onProgress?.({
          round,
          done,
          total: some.length,
          elapsedSeconds,
          what: describeLlama(group.shapes, first),
        });
        // The caches hold the model before.
        await timeCell(runner, first, context);
        for (const cell of ordered(group.cells, random)) {
          const key = describeLlama(group.shapes, cell);
          const known = timings.get(key) ?? { shapes: group.shapes, cell, times: [] };
          timings.set(key, known);
          const cellBegin = clock.now();
          for (let run = 0; run < mostRuns && (run === 0 || clock.now() - cellBegin < perCell); run += 1) {
            known.times.push(await timeCell(runner, cell, context));
          }
        }
      }
    }
  } finally {
    for (const { runner } of open) await runner.close();
    runtime.close();
  }
  return { timings, waited: rounds.waited };
}

/** Depths ascend, and pieces come last, so that the cache is filled once and by what is timed; else chance decides. */
function ordered(cells: readonly LlamaCell[], random: Random): LlamaCell[] {
  const last = ({ n, depth }: LlamaCell): number => (depth === 0 ? 0 : n);
  return shuffled(cells, random).sort((left, right) => left.depth - right.depth || last(left) - last(right));
}

/** The first run of a model touches its memory for the first time: the longest that needs no cache. */
async function warmUp({ group, runner }: Open, context: RunContext): Promise<void> {
  const n = Math.max(...group.cells.flatMap((cell) => (cell.depth === 0 ? [cell.n] : [])));
  await timeCell(runner, { n, depth: 0 }, context);
}

async function timeCell(runner: Runner, { n, depth }: LlamaCell, context: RunContext): Promise<Seconds> {
  const cell = { phase: "prefill", n, depth, batch: 1 } as const;
  await runner.prepare?.(cell, context);
  const outcome = await runner.run(cell, context);
  if (outcome.status === "ok") return outcome.seconds;
  throw new Error(`llama.cpp did not run ${n} tokens after ${depth}: ${outcome.reason}`);
}
