import { type Random, seededRandom, shuffled } from "../base/random.js";
import type { Bytes, Seconds } from "../base/units.js";
import { onnxRuntime } from "../hardware/calibrated-runtime.js";
import type { DeviceRecord } from "../hardware/record.js";
import { quantile } from "../math/quantile.js";
import type { Clock } from "../measure/clock.js";
import { cacheEvictor } from "../measure/cold.js";
import type { MicroSession } from "../measure/onnx-node-micro.js";
import type { Provider } from "../onnx/provider.js";
import type { Micro } from "../onnx/micro.js";
import type { Machine } from "../runs/schema.js";
import { calibratedRecord } from "./calibrated-record.js";
import { type Timed, fitCalibration } from "./calibration-fit.js";
import {
  activationBytes,
  calibrationPlan,
  chainLength,
  describeMicro,
  isCold,
  longestCalibrated,
  weightBytes,
} from "./calibration-plan.js";
import { Rounds } from "./rounds.js";

/** Whatever runs micro-models: ONNX Runtime, or a machine made up by a test. */
export interface MicroRuntime {
  readonly name: string;
  readonly version: string;
  readonly provider: Provider;
  open(micro: Micro, threads: number): Promise<TimedSession>;
}

/** What of a micro-model's session a calibration needs. */
type TimedSession = Pick<MicroSession, "time" | "close">;

export interface CalibrateOptions {
  readonly runtime: MicroRuntime;
  readonly clock: Clock;
  readonly machine: Machine;
  /** Threads of one operator; all cores where absent. */
  readonly threads?: number;
  /** Fewer sizes, fewer repeats. */
  readonly quick?: boolean;
  /** Wall seconds to stay within; one round is always finished, two where this is absent. */
  readonly timeLimit?: Seconds;
  /**
   * Awaited one after another, and no part of the cost: what disturbs a machine can last minutes, and moments that lie further apart,
   * or around what they are to foretell, see more of its moods. All sizes are timed before the first and after the last, those of
   * long inputs after each.
   */
  readonly between?: readonly (() => Promise<void>)[];
  /** When it began, for the record. */
  readonly date: Date;
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** Called before each group of measurements. */
  readonly onProgress?: (progress: CalibrateProgress) => void;
}

export interface CalibrateProgress {
  /** Round from 1. */
  readonly round: number;
  readonly done: number;
  readonly total: number;
  readonly elapsedSeconds: Seconds;
  readonly what: string;
}

const limits = { full: 22, quick: 9 } as const;
/** Seconds of timed runs per size and round, and runs that the longest sizes get even so. */
const perCell = { full: 0.06, quick: 0.05 } as const;
const fewestRuns = 2;
const mostRuns = 40;
/** Between whole rounds moments count, not runs: what is warm by then is timed at once, and what takes long is so once. */
const brief = { limit: 0.01, fewest: 1, warmUps: 0 } as const;
/** To empty the caches takes much longer than what is timed then. */
const mostColdRuns = 6;
const mostRounds = 8;
/**
 * To pack weights, and to touch memory for the first time, takes longer than to time what is done with them: sessions stay
 * open with their inputs, up to this share of the machine's memory.
 */
const heldShare = 1 / 8;
/** A size that takes more than this share of it is left out. */
const largestShare = 1 / 4;
/**
 * Quantile of all runs of a size that stands for it. What is foretold is the middle of a model's runs, on a machine in its usual
 * moods; a little below the middle is still of the better one where a size was timed at two moments and one of them was disturbed.
 */
const standing = 0.4;

/**
 * Measures this machine: times micro-models in rounds, each in a new random order, until the time is up, and fits the
 * rates of a device record to what is a little quicker than the middle of each size's runs.
 *
 * @returns a record for the device `local`, its cost in seconds included
 */
export async function calibrate(options: CalibrateOptions): Promise<DeviceRecord> {
  const { clock, machine, runtime, signal } = options;
  const threads = options.threads ?? machine.cores;
  const size = options.quick === true ? "quick" : "full";
  const limit = options.timeLimit ?? limits[size];
  const begin = clock.now();
  const { runs, waited } = await timeRounds(options, threads, size, limit, seededRandom(options.seed ?? 1));
  signal?.throwIfAborted();
  const cells = [...runs.values()].map(({ micro, times }) => ({ micro, times, seconds: quantile(times, standing) }));
  const timed: Timed[] = cells.map(({ micro, seconds }) => ({ micro, seconds }));
  const gpu = runtime.provider !== "cpu";
  const rates = fitCalibration(timed, gpu ? 1 : threads);
  const largest = rates.streams.scale[rates.streams.scale.length - 1]?.secondsPerByte ?? 1;
  return calibratedRecord({
    name: gpu ? `local-${runtime.provider}` : "local",
    vendor: gpu ? `the GPU beside ${machine.cpu}` : machine.cpu,
    class: gpu ? "consumer-gpu" : "cpu",
    machine,
    runtime: onnxRuntime,
    engine: runtime.name,
    engineVersion: runtime.version,
    threads,
    dtype: "float32",
    date: options.date,
    seconds: clock.now() - begin - waited,
    longest: longestCalibrated,
    source: `measured with ${runtime.name} ${runtime.version}, ${gpu ? runtime.provider : `${threads} threads`}`,
    bytesPerSecond: 1 / largest,
    memory: {
      value: machine.memoryBytes,
      source: gpu
        ? "memory of the machine: what the GPU has of its own is not known"
        : "memory that this process may use",
      uncertain: gpu,
    },
    rates,
    cells: cells.map(({ micro, times, seconds }) => ({
      what: describeMicro(micro),
      seconds: seconds / chainLength(micro),
      times,
    })),
  });
}

interface Runs {
  readonly micro: Micro;
  readonly times: Seconds[];
}

async function timeRounds(
  options: CalibrateOptions,
  threads: number,
  size: "full" | "quick",
  limit: Seconds,
  random: Random,
): Promise<{ readonly runs: Map<string, Runs>; readonly waited: Seconds }> {
  const { clock, machine, runtime, signal, onProgress, between } = options;
  const groups = calibrationPlan(size)
    .map((group) => ({
      ...group,
      cells: group.cells.filter((micro) => activationBytes(micro) <= machine.memoryBytes * largestShare),
    }))
    .filter(({ cells }) => cells.length > 0);
  const often = groups.filter((group) => group.often);
  const again = between === undefined ? often : [];
  const evict = cacheEvictor(machine.memoryBytes);
  const sessions = new OpenSessions(runtime, threads, machine.memoryBytes * heldShare);
  const runs = new Map<string, Runs>();
  const begin = clock.now();
  const rounds = new Rounds({ clock, limit, asked: options.timeLimit !== undefined, most: mostRounds, between });
  const timeGroup = async (cells: readonly Micro[], session: TimedSession, whole: boolean): Promise<void> => {
    for (const micro of shuffled(cells, random)) {
      const timing = {
        clock,
        repeats: mostRuns,
        ...(whole ? { limit: perCell[size], fewest: fewestRuns } : brief),
        ...(isCold(micro) && runtime.provider === "cpu" ? { before: evict, repeats: mostColdRuns } : {}),
        ...(signal === undefined ? {} : { signal }),
      };
      const times = await session.time(micro, timing);
      const key = describeMicro(micro);
      const known = runs.get(key);
      if (known === undefined) runs.set(key, { micro, times });
      else known.times.push(...times);
    }
  };
  try {
    for await (const { round, whole } of rounds) {
      const order = shuffled(whole ? [...groups, ...again] : often, random);
      for (const [done, { cells }] of order.entries()) {
        const [first] = cells;
        if (first === undefined) continue;
        const elapsedSeconds = clock.now() - begin - rounds.waited;
        onProgress?.({ round, done, total: order.length, elapsedSeconds, what: describeMicro(first) });
        await sessions.use(cells, (session) => timeGroup(cells, session, whole));
      }
    }
  } finally {
    await sessions.close();
  }
  return { runs, waited: rounds.waited };
}

/** Sessions of micro-models, which stay open for the next round as far as the memory allows. */
class OpenSessions {
  private readonly held = new Map<readonly Micro[], TimedSession>();
  private heldBytes: Bytes = 0;

  constructor(
    private readonly runtime: MicroRuntime,
    private readonly threads: number,
    private readonly most: Bytes,
  ) {}

  async use(cells: readonly Micro[], time: (session: TimedSession) => Promise<void>): Promise<void> {
    const [first] = cells;
    if (first === undefined) return;
    const known = this.held.get(cells);
    if (known !== undefined) {
      await time(known);
      return;
    }
    const session = await this.runtime.open(first, this.threads);
    const bytes = cells.reduce((sum, micro) => sum + activationBytes(micro), weightBytes(first));
    const holds = this.heldBytes + bytes <= this.most;
    if (holds) {
      this.held.set(cells, session);
      this.heldBytes += bytes;
    }
    try {
      await time(session);
    } finally {
      if (!holds) await session.close();
    }
  }

  async close(): Promise<void> {
    for (const session of this.held.values()) await session.close();
    this.held.clear();
  }
}
