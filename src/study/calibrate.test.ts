import { describe, expect, test } from "vitest";
import { machine as testMachine } from "../../test/support/runs.js";
import { parseDeviceRecord } from "../hardware/record.js";
import { manualClock } from "../measure/clock.js";
import type { Micro } from "../onnx/micro.js";

import { type MicroRuntime, calibrate } from "./calibrate.js";
import { onnxRuntime } from "../hardware/calibrated-runtime.js";
import { calibrationPlan, chainLength, describeMicro } from "./calibration-plan.js";

const machine = { ...testMachine, cores: 4, memoryBytes: 2 ** 34 };

/** Seconds of one operator of a plain machine: FLOPs, bytes and a little for starting. */
function seconds(micro: Micro): number {
  switch (micro.kind) {
    case "matmul":
      return 2e-6 + Math.max(micro.m * 1e-11, 1.6e-10) * micro.k * micro.n;
    case "product":
      return 1e-11 * micro.batch * micro.rows * micro.inner * micro.columns;
    case "attention":
      return 1e-5 + 1e-11 * micro.heads * micro.headDim * micro.n * (micro.n + 2 * micro.depth);
    case "elementwise":
      return 2e-6 + 1e-10 * micro.elements;
    case "norm":
    case "softmax":
      return 2e-6 + 1e-10 * micro.rows * micro.width;
  }
}

/** A machine on a clock that only its own work moves; every third run is disturbed. */
function machineOn(clock: ReturnType<typeof manualClock>, provider: MicroRuntime["provider"] = "cpu") {
  const opened: Micro[] = [];
  const closed: Micro[] = [];
  const timed: string[] = [];
  const emptied = new Set<string>();
  let calls = 0;
  const runtime: MicroRuntime = {
    name: "onnxruntime",
    version: "1.30.0",
    provider,
    open: async (micro) => {
      opened.push(micro);
      clock.advance(0.05);
      return {
        time: async (sized, { repeats, limit = Number.POSITIVE_INFINITY, fewest = 1, signal, before }) => {
          if (before !== undefined) emptied.add(describeMicro(sized));
          const times: number[] = [];
          timed.push(describeMicro(sized));
          const begin = clock.now();
          while (times.length < repeats && (times.length < fewest || clock.now() - begin <= limit)) {
            signal?.throwIfAborted();
            calls += 1;
            const disturbed = calls % 3 === 0 ? 4 : 1;
            const time = disturbed * (5e-5 + chainLength(sized) * seconds(sized));
            clock.advance(time);
            times.push(time);
          }
          return times;
        },
        close: async () => {
          closed.push(micro);
        },
      };
    },
  };
  return { runtime, opened, closed, timed, emptied };
}

/** The same micro-models in any order. */
function sorted(micros: readonly Micro[]): string[] {
  return micros.map(describeMicro).sort();
}

const longAttention = "attention heads=2 kvHeads=1 headDim=64 n=8192 depth=0 batch=1";

function visitsOf(timed: readonly string[], what: string): number {
  return timed.filter((one) => one === what).length;
}

function visitsOfOften(size: "full" | "quick"): number {
  return calibrationPlan(size).flatMap(({ often, cells }) => (often ? cells : [])).length;
}

/** Sizes that one round times, each as often as it does. */
function visitsOfRound(size: "full" | "quick"): number {
  return calibrationPlan(size).flatMap(({ cells }) => cells).length + visitsOfOften(size);
}

describe("calibrate", () => {
  const date = new Date("2026-11-23T12:00:00Z");

  test("of a GPU makes a record of a GPU, whose memory is not known", async () => {
    const clock = manualClock();
    const { runtime } = machineOn(clock, "webgpu");
    const record = await calibrate({ runtime, clock, machine, date, quick: true });
    expect(parseDeviceRecord(JSON.parse(JSON.stringify(record)), "local-webgpu.json")).toEqual(record);
    expect(record).toMatchObject({ name: "local-webgpu", class: "consumer-gpu", memory: { uncertain: true } });
    // Products on a GPU are other operators than on a processor, and were others before: records of then say so.
    expect(record.calibration?.plan).toBe(onnxRuntime.revision.gpu);
    expect(record.peaks.float32?.source).toContain("webgpu");
  });

  test("makes a valid record that survives disturbed runs and says what it cost", async () => {
    const clock = manualClock(100);
    const { runtime } = machineOn(clock);
    const record = await calibrate({ runtime, clock, machine, date });
    expect(parseDeviceRecord(JSON.parse(JSON.stringify(record)), "local.json")).toEqual(record);
    const { calibration } = record;
    if (calibration === null) throw new Error("a calibration was made");
    expect(calibration.gemm.perMac / 1e-11).toBeCloseTo(1, 1);
    expect(calibration.seconds).toBeCloseTo(clock.now() - 100, 9);
    expect(calibration).toMatchObject({ engine: "onnxruntime", engineVersion: "1.30.0", threads: 4, longest: 8192 });
    expect(calibration.measured).toBe("2026-11-23T12:00:00.000Z");
    expect(record.memory.value).toBe(2 ** 34);
    for (const measurement of calibration.measurements) expect(measurement.runs).toBeGreaterThan(0);
  });

  test("goes on in rounds until the time is up, each in another order, and closes what it opens", async () => {
    const clock = manualClock();
    const { runtime, opened, closed, timed } = machineOn(clock);
    const record = await calibrate({ runtime, clock, machine, date, timeLimit: 60 });
    expect(clock.now()).toBeLessThanOrEqual(60);
    expect(sorted(closed)).toEqual(sorted(opened));
    const visits = visitsOfRound("full");
    expect(timed.length / visits).toBeGreaterThan(1);
    const [first, second] = [timed.slice(0, visits), timed.slice(visits, 2 * visits)];
    expect(second).not.toEqual(first);
    expect([...second].sort()).toEqual([...first].sort());
    expect(record.calibration?.measurements.length).toBeGreaterThan(40);
  });

  test("takes less time when it is to be quick", async () => {
    const spent = async (quick: boolean): Promise<number> => {
      const clock = manualClock();
      await calibrate({ ...machineOn(clock), clock, machine, date, quick });
      return clock.now();
    };
    expect(await spent(true)).toBeLessThan(0.75 * (await spent(false)));
  });

  test("times every size at two moments, those of long inputs at four, unless a time limit leaves half of them", async () => {
    const visits = async (timeLimit?: number): Promise<{ short: number; long: number }> => {
      const clock = manualClock();
      const { runtime, timed } = machineOn(clock);
      const limit = timeLimit === undefined ? {} : { timeLimit };
      await calibrate({ runtime, clock, machine, date, quick: true, ...limit });
      return { short: visitsOf(timed, "matmul m=512 k=640 n=1792 length=24"), long: visitsOf(timed, longAttention) };
    };
    expect(await visits()).toEqual({ short: 2, long: 4 });
    expect(await visits(1)).toEqual({ short: 1, long: 2 });
  });

  test("opens what it times once where the memory holds all, and again what does not fit it", async () => {
    const openedWith = async (memoryBytes: number): Promise<{ all: number; distinct: number }> => {
      const clock = manualClock();
      const { runtime, opened } = machineOn(clock);
      await calibrate({ runtime, clock, machine: { ...machine, memoryBytes }, date, quick: true });
      return { all: opened.length, distinct: new Set(sorted(opened)).size };
    };
    const large = await openedWith(2 ** 36);
    expect(large.all).toBe(large.distinct);
    const small = await openedWith(2 ** 31);
    expect(small.all).toBeGreaterThan(small.distinct);
    expect(small.all).toBeLessThan(2 * small.distinct);
  });

  test("empties a processor's caches before what a step of decode reads, and not a GPU's", async () => {
    const emptiedOn = async (provider: MicroRuntime["provider"]): Promise<string[]> => {
      const clock = manualClock();
      const { runtime, emptied } = machineOn(clock, provider);
      await calibrate({ runtime, clock, machine, date, quick: true });
      return [...emptied].sort();
    };
    expect(await emptiedOn("cpu")).toEqual([
      "attention heads=24 kvHeads=8 headDim=64 n=1 depth=1023 batch=40",
      "attention heads=32 kvHeads=32 headDim=128 n=1 depth=1023 batch=5",
      "matmul m=1 k=2048 n=5632 length=2",
      "matmul m=1 k=640 n=1792 length=24",
    ]);
    expect(await emptiedOn("webgpu")).toEqual([]);
  });

  test("lies around what it is told to wait for, times long inputs in between, and counts no waiting in its cost", async () => {
    const clock = manualClock();
    const { runtime, timed } = machineOn(clock);
    const moments: string[][] = [];
    const pause = async (): Promise<void> => {
      clock.advance(1000);
      moments.push(timed.splice(0));
    };
    const between = [pause, pause, pause];
    const { calibration } = await calibrate({ runtime, clock, machine, date, quick: true, between });
    const rounds = [...moments, timed];
    expect(calibration?.seconds).toBeLessThan(100);
    const [all, long] = [calibrationPlan("quick").flatMap(({ cells }) => cells).length, visitsOfOften("quick")];
    expect(rounds.map((some) => some.length)).toEqual([all, long, long, all]);
    expect(rounds.map((some) => visitsOf(some, longAttention))).toEqual([1, 1, 1, 1]);
    expect(calibration?.measurements.find(({ what }) => what === longAttention)?.runs).toBe(6);
  });

  test("leaves out what would take more than a quarter of the memory", async () => {
    const clock = manualClock();
    const { runtime, timed } = machineOn(clock);
    await calibrate({ runtime, clock, machine: { ...machine, memoryBytes: 2 ** 30 }, date, quick: true });
    const products = timed.filter((what) => what.startsWith("product"));
    expect(products.some((what) => what.includes("rows=8192"))).toBe(true);
    expect(products.some((what) => what.includes("rows=24576"))).toBe(false);
  });

  test("stops when it is told to, and closes what is open", async () => {
    const clock = manualClock();
    const { runtime, opened, closed } = machineOn(clock);
    const abort = new AbortController();
    const onProgress = ({ done }: { done: number }): void => {
      if (done === 3) abort.abort();
    };
    await expect(calibrate({ runtime, clock, machine, date, signal: abort.signal, onProgress })).rejects.toThrow(
      /abort/,
    );
    expect(sorted(closed)).toEqual(sorted(opened));
  });

  test("keeps the number of threads it was asked for", async () => {
    const clock = manualClock();
    const { runtime } = machineOn(clock);
    const record = await calibrate({ runtime, clock, machine, date, threads: 1, quick: true });
    expect(record.calibration?.threads).toBe(1);
  });
});
