import { describe, expect, test } from "vitest";
import { seededRandom } from "../base/random.js";
import { memoryJournal } from "../runs/memory-journal.js";
import type { Cell, Sample } from "../runs/schema.js";
import { manualClock } from "./clock.js";
import { measure } from "./loop.js";
import { assess, referenceDrift } from "./stability.js";
import { type SyntheticOptions, syntheticRunner } from "./synthetic.js";

const prefill = (n: number): Cell => ({ phase: "prefill", n, depth: 0, batch: 1 });
const reference: Cell = { phase: "reference", n: 64, depth: 0, batch: 1 };
const cells = [128, 256, 512, 1024, 2048, 4096].map(prefill);
const quiet = { cores: 8, load: 0.1, power: null } as const;

const laws = {
  prefill: { constant: 0.02, linear: 1e-4, quadratic: 1e-8 },
  reference: { constant: 0.1, linear: 0, quadratic: 0 },
};

async function samplesOf(seed: number, repeat: number, options: Partial<SyntheticOptions>): Promise<readonly Sample[]> {
  const runner = syntheticRunner({ laws, noise: 0.02, seed, ...options });
  const plan = { cells, reference, repeat, warmups: 1, timeLimitSeconds: null };
  const chance = { clock: manualClock(), random: seededRandom(seed + 1), journal: memoryJournal() };
  return (await measure(runner, plan, chance)).samples;
}

async function codesOf(seed: number, repeat: number, options: Partial<SyntheticOptions>): Promise<string[]> {
  const samples = await samplesOf(seed, repeat, options);
  return assess({ samples, plan: { cells, reference, repeat }, machine: quiet }).map(({ code }) => code);
}

/** How often each code was given over fresh seeds. */
async function rates(
  repeat: number,
  disease: (seed: number) => Partial<SyntheticOptions>,
): Promise<(code: string) => number> {
  const trials = 60;
  const counts = new Map<string, number>();
  for (let trial = 0; trial < trials; trial += 1) {
    const seed = 1000 + 17 * trial;
    for (const code of await codesOf(seed, repeat, disease(seed))) counts.set(code, (counts.get(code) ?? 0) + 1);
  }
  return (code) => (counts.get(code) ?? 0) / trials;
}

const codes = ["drift", "spread", "two-modes", "warming-up", "few-repeats", "not-measured", "rejected-samples"];

describe("a healthy machine", () => {
  test.each([3, 5, 9])("is hardly ever accused with %i repeats", async (repeat) => {
    const rate = await rates(repeat, () => ({ noise: 0.03 }));
    for (const code of codes) expect({ code, rate: rate(code) }).toEqual({ code, rate: expect.closeTo(0, 1) });
  });

  test("with a late outlier now and then has no two modes and no drift", async () => {
    const rate = await rates(5, (seed) => {
      const random = seededRandom(seed);
      return { disturb: (seconds) => (random() < 0.04 ? seconds * (1 - 0.5 * Math.log(1 - random())) : seconds) };
    });
    expect(rate("two-modes")).toBeLessThanOrEqual(0.05);
    expect(rate("drift")).toBeLessThanOrEqual(0.05);
    expect(rate("warming-up")).toBeLessThanOrEqual(0.05);
  });
});

describe("drift of the reference", () => {
  test.each([0.15, 0.4])("of %f over the run is found", async (whole) => {
    const rate = await rates(5, () => ({ disturb: (seconds, _cell, at) => seconds * (1 + (whole * at) / 7) }));
    expect(rate("drift")).toBeGreaterThanOrEqual(0.9);
  });

  test("is stated with its sign and size", async () => {
    const faster = await samplesOf(4, 9, { noise: 0, disturb: (seconds, _cell, at) => seconds * Math.exp(-0.01 * at) });
    const last = faster.filter(({ phase, warmup }) => phase === "reference" && !warmup);
    const change = (last.at(-1)?.seconds ?? 0) / (last[0]?.seconds ?? 1) - 1;
    expect(change).toBeLessThan(-0.05);
    expect(referenceDrift(faster)).toBeCloseTo(change, 1);
    const warnings = assess({ samples: faster, plan: { cells, reference, repeat: 9 }, machine: quiet });
    expect(warnings.find(({ code }) => code === "drift")?.message).toMatch(/became \d+(\.\d+)? % faster/);
  });

  test("too small to matter is not mentioned", async () => {
    const rate = await rates(5, () => ({ noise: 0.002, disturb: (seconds, _cell, at) => seconds * (1 + 0.003 * at) }));
    expect(rate("drift")).toBe(0);
  });
});

describe("other reasons to doubt", () => {
  test.each([0.3, 0.6])("two modes %f apart are found", async (slower) => {
    const rate = await rates(6, (seed) => {
      const random = seededRandom(seed);
      return { disturb: (seconds) => (random() < 0.35 ? seconds * (1 + slower) : seconds) };
    });
    expect(rate("two-modes")).toBeGreaterThanOrEqual(0.9);
  });

  test.each([0.25, 0.5])("a scatter of %f is found", async (noise) => {
    expect((await rates(5, () => ({ noise })))("spread")).toBeGreaterThanOrEqual(0.9);
    const samples = await samplesOf(1, 5, { noise });
    const warnings = assess({ samples, plan: { cells, reference, repeat: 5 }, machine: quiet });
    expect(warnings.find(({ code }) => code === "spread")?.message).toMatch(/^repeats of (prefill of|the reference)/);
  });

  test.each([0.15, 0.4])("a first block slower by %f is found", async (slower) => {
    const perBlock = cells.length + 2;
    const early = 1 + cells.length + perBlock;
    const rate = await rates(5, () => ({
      disturb: (seconds, _cell, _at, calls) => (calls < early ? seconds * (1 + slower) : seconds),
    }));
    expect(rate("warming-up")).toBeGreaterThanOrEqual(0.9);
  });

  test("few repeats, cells without a sample and rejected samples are named", async () => {
    const samples = await samplesOf(1, 2, { fail: ({ n }) => (n === 4096 ? "out of memory" : null) });
    const warnings = assess({ samples, plan: { cells, reference, repeat: 2 }, machine: quiet });
    const message = (wanted: string): string | undefined => warnings.find(({ code }) => code === wanted)?.message;
    expect(message("few-repeats")).toContain("fewer than 3 repeats of prefill of 128 tokens");
    expect(message("not-measured")).toContain("prefill of 4k tokens");
    expect(message("rejected-samples")).toContain("out of memory");
  });

  test("a busy machine and a battery are named", () => {
    const assessed = (machine: Parameters<typeof assess>[0]["machine"]) =>
      assess({ samples: [], plan: { cells: [], reference: null, repeat: 1 }, machine }).map(({ code }) => code);
    expect(assessed({ cores: 4, load: 2.5, power: "battery" })).toEqual(["busy-machine", "on-battery"]);
    expect(assessed({ cores: 8, load: 2.5, power: "mains" })).toEqual([]);
    expect(assessed({ cores: 8, load: null, power: null })).toEqual([]);
  });
});
