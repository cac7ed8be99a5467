import { describe, expect, test } from "vitest";
import { seededRandom } from "../base/random.js";
import { memoryJournal } from "../runs/memory-journal.js";
import { type Cell, cellKey, isUsable, type Plan, type Sample } from "../runs/schema.js";
import { manualClock } from "./clock.js";
import { type MeasureOptions, type Measurement, measure } from "./loop.js";
import type { ProgressEvent } from "./progress.js";
import type { Runner } from "./runner.js";
import { type SyntheticOptions, syntheticRunner } from "./synthetic.js";

const prefill = (n: number): Cell => ({ phase: "prefill", n, depth: 0, batch: 1 });
const decode = (depth: number): Cell => ({ phase: "decode", n: 1, depth, batch: 1 });
const reference: Cell = { phase: "reference", n: 64, depth: 0, batch: 1 };

/** One second for 1024 tokens, four for 2048. */
const quadratic = { constant: 0, linear: 0, quadratic: 2 ** -20 };
const laws = {
  prefill: quadratic,
  decode: { constant: 0.01, linear: 0, quadratic: 0 },
  reference: { constant: 0.1, linear: 0, quadratic: 0 },
};

function plan(change: Partial<Plan> = {}): Plan {
  return {
    cells: [prefill(256), prefill(512)],
    reference: null,
    repeat: 3,
    warmups: 1,
    timeLimitSeconds: null,
    ...change,
  };
}

async function run(
  wanted: Plan,
  options: Partial<MeasureOptions> = {},
  runner: Runner | Partial<SyntheticOptions> = {},
): Promise<Measurement> {
  const used = "run" in runner ? runner : syntheticRunner({ laws, ...runner });
  const defaults = { clock: manualClock(50), random: seededRandom(1), journal: memoryJournal() };
  return measure(used, wanted, { ...defaults, ...options });
}

function blockOf(samples: readonly Sample[], block: number): Sample[] {
  return samples.filter((sample) => sample.block === block);
}

function keys(samples: readonly Sample[]): string[] {
  return samples.map(cellKey);
}

function codes({ warnings }: Measurement): string[] {
  return warnings.map(({ code }) => code);
}

describe("the order of measuring", () => {
  const cells = [128, 256, 512, 1024].map(prefill).concat([64, 128].map(decode));

  test("every block holds every cell once, the reference first and last", async () => {
    const { samples, status } = await run(plan({ cells, reference, repeat: 5 }));
    expect(status).toBe("complete");
    for (let block = 0; block < 5; block += 1) {
      const order = keys(blockOf(samples, block));
      expect(order.at(0)).toBe(cellKey(reference));
      expect(order.at(-1)).toBe(cellKey(reference));
      expect(order.slice(1, -1).sort()).toEqual(cells.map(cellKey).sort());
    }
    expect(blockOf(samples, 5)).toEqual([]);
  });

  test("blocks are shuffled, differently from one another and alike for the same seed", async () => {
    const orders = async (seed: number): Promise<string[]> => {
      const { samples } = await run(plan({ cells, repeat: 4 }), { random: seededRandom(seed) });
      return [0, 1, 2, 3].map((block) => keys(blockOf(samples, block)).join("|"));
    };
    const first = await orders(7);
    expect(new Set(first).size).toBeGreaterThan(1);
    expect(await orders(7)).toEqual(first);
    expect(await orders(8)).not.toEqual(first);
  });

  test("warm-ups come first, shortest first, marked and apart from the blocks", async () => {
    const { samples } = await run(plan({ cells: [prefill(512), prefill(128)], reference, warmups: 2 }));
    const warmups = samples.filter(({ warmup }) => warmup);
    expect(warmups.map(({ phase, n }) => `${phase} ${n}`)).toEqual([
      "reference 64",
      "reference 64",
      "prefill 128",
      "prefill 128",
      "prefill 512",
      "prefill 512",
    ]);
    expect(samples.slice(0, 6)).toEqual(warmups);
    expect(warmups.every(({ block }) => block === -1)).toBe(true);
    expect(samples.slice(6).every(({ block, warmup }) => block >= 0 && !warmup)).toBe(true);
  });

  test("a cell asked for twice is measured once a block", async () => {
    const { samples } = await run(plan({ cells: [prefill(256), prefill(256)] }));
    expect(blockOf(samples, 0)).toHaveLength(1);
  });

  test("samples carry the law's seconds and the time since the beginning", async () => {
    const { samples, seconds } = await run(plan({ cells: [prefill(1024)], repeat: 2, warmups: 1 }));
    expect(samples.map((sample) => sample.seconds)).toEqual([1, 1, 1]);
    expect(samples.map(({ at }) => at)).toEqual([1, 2, 3]);
    expect(seconds).toBe(3);
  });
});

describe("the journal", () => {
  test("has each sample before the next step starts", async () => {
    const journal = memoryJournal();
    const runner = syntheticRunner({ laws });
    let started = 0;
    const watched: Runner = {
      ...runner,
      run: (cell, context) => {
        expect(journal.samples).toHaveLength(started);
        started += 1;
        return runner.run(cell, context);
      },
    };
    const { samples } = await run(plan({ reference }), { journal }, watched);
    expect(started).toBe(samples.length);
  });

  test("that cannot be written ends the measurement with its error", async () => {
    const journal = { ...memoryJournal(), sample: () => Promise.reject(new Error("disk full")) };
    await expect(run(plan(), { journal })).rejects.toThrow("disk full");
  });
});

describe("Ctrl-C", () => {
  test("keeps what was measured and says so", async () => {
    const stop = new AbortController();
    const journal = memoryJournal();
    const progress = ({ done }: ProgressEvent): void => {
      if (done === 5) stop.abort();
    };
    const measurement = await run(plan({ repeat: 10 }), { journal, signal: stop.signal, progress });
    expect(measurement.status).toBe("interrupted");
    expect(measurement.samples).toHaveLength(5);
    expect(journal.samples).toEqual(measurement.samples);
    expect(codes(measurement)).toEqual(["interrupted"]);
  });

  test("lets a step that finishes all the same count", async () => {
    const stop = new AbortController();
    const runner: Runner = {
      ...syntheticRunner({ laws }),
      run: async () => {
        stop.abort();
        return { status: "ok", seconds: 0.5, steps: 3 };
      },
    };
    const { samples, status } = await run(plan(), { signal: stop.signal }, runner);
    expect(status).toBe("interrupted");
    expect(samples).toMatchObject([{ seconds: 0.5, steps: 3, rejected: null }]);
  });

  test("discards a step that gave up because of it", async () => {
    const stop = new AbortController();
    const runner: Runner = {
      ...syntheticRunner({ laws }),
      run: () => {
        stop.abort();
        return Promise.resolve({ status: "failed", reason: "aborted" });
      },
    };
    const { samples, status } = await run(plan(), { signal: stop.signal }, runner);
    expect(samples).toEqual([]);
    expect(status).toBe("interrupted");
  });

  test("before the first step measures nothing", async () => {
    const { samples, status } = await run(plan(), { signal: AbortSignal.abort() });
    expect(samples).toEqual([]);
    expect(status).toBe("interrupted");
  });
});

describe("the time limit", () => {
  // A block of 256 + 512 takes 1/16 + 1/4 = 0.3125 s, and so do the warm-ups.
  test("stops before a block that would not fit", async () => {
    const measurement = await run(plan({ repeat: 100, timeLimitSeconds: 1.6 }));
    expect(measurement.seconds).toBeLessThanOrEqual(1.6);
    expect(measurement.samples.filter(isUsable)).toHaveLength(2 * 4);
    expect(measurement.status).toBe("complete");
    expect(codes(measurement)).toEqual(["time-limit"]);
    expect(measurement.warnings[0]?.message).toContain("after 4 complete blocks");
  });

  test("changes nothing where everything fits", async () => {
    expect((await run(plan({ timeLimitSeconds: 2 }))).warnings).toEqual([]);
  });

  test("leaves out the longest lengths, unseen, when not even one block fits", async () => {
    const cells = [256, 512, 1024, 2048, 4096].map(prefill);
    const measurement = await run(plan({ cells, timeLimitSeconds: 6 }));
    const lengths = new Set(measurement.samples.map(({ n }) => n));
    expect([...lengths].sort((a, b) => a - b)).toEqual([256, 512, 1024]);
    expect(codes(measurement)).toContain("time-limit-lengths");
    expect(measurement.warnings[0]?.message).toContain("prefill of 2k tokens");
    expect(measurement.warnings[0]?.message).toContain("prefill of 4k tokens");
    expect(measurement.seconds).toBeLessThanOrEqual(6);
    expect(measurement.samples.filter((sample) => isUsable(sample) && sample.n === 1024).length).toBeGreaterThan(0);
  });

  test("leaves the longest out of the blocks when its warm-up took longer than foreseen", async () => {
    const disturb = (seconds: number, cell: Cell): number => (cell.n === 512 ? 5 : seconds);
    const measurement = await run(plan({ timeLimitSeconds: 6 }), {}, { disturb });
    expect(blockOf(measurement.samples, 0).map(({ n }) => n)).toEqual([256]);
    expect(codes(measurement)).toContain("time-limit-lengths");
  });

  test("cuts a block that runs far over its estimate and keeps its samples", async () => {
    const cells = Array.from({ length: 20 }, (_, index) => prefill(200 + index));
    const disturb = (seconds: number, _cell: Cell, _at: number, calls: number): number => (calls < 25 ? seconds : 10);
    const measurement = await run(plan({ cells, timeLimitSeconds: 20, repeat: 9 }), {}, { disturb });
    expect(measurement.seconds).toBeLessThanOrEqual(20 * 1.1 + 10);
    expect(measurement.samples.length).toBe(25 + 3);
    expect(measurement.warnings.at(-1)?.message).toContain("after 0 complete blocks");
  });
});

describe("a cell that fails", () => {
  const fail = ({ n }: Cell): string | null => (n === 512 ? "out of memory" : null);

  test("is recorded with its reason, without seconds, and the rest goes on", async () => {
    const measurement = await run(plan({ repeat: 4, warmups: 0 }), {}, { fail });
    const failed = measurement.samples.filter(({ n }) => n === 512);
    expect(failed).toHaveLength(2);
    expect(failed.every(({ seconds, rejected }) => seconds === null && rejected === "out of memory")).toBe(true);
    expect(measurement.samples.filter(isUsable)).toHaveLength(4);
    expect(measurement.status).toBe("incomplete");
    expect(codes(measurement)).toEqual(["cell-failed"]);
  });

  test("once only is tried again", async () => {
    const once = ({ n }: Cell, calls: number): string | null => (n === 512 && calls < 2 ? "hiccup" : null);
    const measurement = await run(plan({ repeat: 4, warmups: 1 }), {}, { fail: once });
    expect(measurement.samples.filter((sample) => isUsable(sample) && sample.n === 512)).toHaveLength(4);
    expect(codes(measurement)).toEqual([]);
  });

  test("by throwing is a failure like any other, in one bounded line", async () => {
    const runner: Runner = {
      ...syntheticRunner({ laws }),
      run: () => Promise.reject(new Error(`boom\n${"x".repeat(1e4)}`)),
    };
    const { samples, status } = await run(plan(), {}, runner);
    expect(status).toBe("incomplete");
    expect(samples[0]?.rejected).toMatch(/^boom x+$/);
    expect(samples[0]?.rejected?.length).toBeLessThanOrEqual(2000);
  });

  test("as what it runs on is gone ends it all at once", async () => {
    const runner = syntheticRunner({ laws });
    let calls = 0;
    const dying: Runner = {
      ...runner,
      run: (cell, context) => {
        calls += 1;
        return calls > 5
          ? Promise.resolve({ status: "failed", reason: "the server is gone", gone: true })
          : runner.run(cell, context);
      },
    };
    const measurement = await run(plan({ repeat: 50, warmups: 0 }), {}, dying);
    expect(measurement.samples).toHaveLength(6);
    expect(measurement.status).toBe("incomplete");
    expect(measurement.warnings).toEqual([
      { code: "ended", message: "ended early: the server is gone; samples that are kept and of use: 5" },
    ]);
  });

  test("after it had worked, and others like it, ends it all soon", async () => {
    const measurement = await run(
      plan({ repeat: 50, warmups: 0 }),
      {},
      { fail: (_cell, calls) => (calls > 7 ? "HTTP 502: bad gateway" : null) },
    );
    expect(measurement.samples.length).toBeLessThanOrEqual(7 + 6);
    expect(codes(measurement).at(-1)).toBe("ended");
  });

  test("when all do, measuring ends", async () => {
    const { samples, status } = await run(plan({ repeat: 1000, reference }), {}, { fail: () => "server is gone" });
    expect(status).toBe("incomplete");
    expect(samples.length).toBeLessThan(12);
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])(
    "a reading of %s s is a failure, never a time",
    async (seconds) => {
      const runner: Runner = {
        ...syntheticRunner({ laws }),
        run: () => Promise.resolve({ status: "ok", seconds, steps: 1 }),
      };
      const { samples } = await run(plan({ repeat: 1 }), {}, runner);
      expect(samples.every((sample) => sample.seconds === null && sample.rejected !== null)).toBe(true);
    },
  );

  test("a rejected sample keeps its seconds and its reason and is not usable", async () => {
    const runner: Runner = {
      ...syntheticRunner({ laws }),
      run: () => Promise.resolve({ status: "rejected", seconds: 2, steps: 1, reason: "prefix cache hit" }),
    };
    const { samples, status } = await run(plan({ repeat: 1, warmups: 0 }), {}, runner);
    expect(samples).toMatchObject([
      { seconds: 2, rejected: "prefix cache hit" },
      { seconds: 2, rejected: "prefix cache hit" },
    ]);
    expect(samples.some(isUsable)).toBe(false);
    expect(status).toBe("incomplete");
  });

  test("a rejected sample leaves a run complete where another one of its cell is of use", async () => {
    let turn = 0;
    const runner: Runner = {
      ...syntheticRunner({ laws }),
      run: () => {
        turn += 1;
        return Promise.resolve(
          turn <= 2
            ? { status: "rejected", seconds: 2, steps: 1, reason: "prefix cache hit" }
            : { status: "ok", seconds: 2, steps: 1 },
        );
      },
    };
    const { samples, status } = await run(plan({ repeat: 2, warmups: 0 }), {}, runner);
    expect(samples.filter(isUsable)).toHaveLength(2);
    expect(status).toBe("complete");
  });
});

describe("a stop rule of one's own", () => {
  test("sees the samples so far and decides the cells of each block", async () => {
    const seen: number[] = [];
    const next = (samples: readonly Sample[], block: number): readonly Cell[] | null => {
      seen.push(samples.length);
      return [[prefill(128)], [prefill(128), prefill(256)], null][block] ?? null;
    };
    const { samples, status } = await run(plan(), { next });
    expect(seen).toEqual([0, 2, 5]);
    expect(samples.map(({ n, block }) => [n, block])).toEqual(
      expect.arrayContaining([
        [128, -1],
        [128, 0],
        [256, -1],
        [128, 1],
        [256, 1],
      ]),
    );
    expect(samples).toHaveLength(5);
    expect(status).toBe("complete");
  });
});

describe("progress", () => {
  test("counts up to the total, and the time left falls to nothing", async () => {
    const events: ProgressEvent[] = [];
    const cells = [256, 512, 1024].map(prefill);
    const { samples } = await run(plan({ cells, reference }), { progress: (event) => events.push(event) });
    expect(events).toHaveLength(samples.length + 1);
    expect(events.map(({ done }) => done)).toEqual([...events.keys()]);
    expect(new Set(events.map(({ total }) => total))).toEqual(new Set([samples.length]));
    expect(events[0]).toMatchObject({ stage: "warmup", current: reference, secondsLeft: null, last: null });
    expect(events.at(-1)).toMatchObject({ stage: "end", current: null, secondsLeft: 0, last: samples.at(-1) });
    const inBlocks = events.filter(({ stage }) => stage === "block");
    for (const { elapsedSeconds, secondsLeft } of inBlocks) {
      // Nothing is noisy here, so elapsed and left always add up to the whole.
      expect(elapsedSeconds + (secondsLeft ?? Number.NaN)).toBeCloseTo(events.at(-1)?.elapsedSeconds ?? 0, 9);
    }
  });

  test("never promises more than the time limit leaves", async () => {
    const events: ProgressEvent[] = [];
    await run(plan({ repeat: 1000, timeLimitSeconds: 5 }), { progress: (event) => events.push(event) });
    for (const { elapsedSeconds, secondsLeft } of events)
      expect((secondsLeft ?? 0) + elapsedSeconds).toBeLessThanOrEqual(5);
  });
});
