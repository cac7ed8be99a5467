import { describe, expect, test } from "vitest";
import { normalDeviate, seededRandom } from "../base/random.js";
import type { DiagnosedSample } from "./diagnosed-sample.js";
import { type DiagnoseOptions, type Physics, diagnose, physicsOfSamples } from "./diagnose.js";

const sample = (n: number, seconds: number, more: Partial<DiagnosedSample> = {}): DiagnosedSample => ({
  n,
  seconds,
  serverSeconds: null,
  cachedTokens: null,
  at: null,
  ...more,
});

function causesOf(samples: readonly DiagnosedSample[], options: Partial<DiagnoseOptions> = {}): string[] {
  const { findings } = diagnose(samples, { physics: null, contextLimit: null, ...options });
  return findings.map(({ cause }) => cause);
}

const lengths = [256, 700, 1500, 3000, 6200, 11_000, 18_000, 32_000];
const healthy = (n: number): number => 0.02 + 4e-5 * n + 4e-9 * n ** 2;

/** Five repeats of each length in blocks, with 2 % noise. */
function repeated(law: (n: number, block: number) => number, more: Partial<DiagnosedSample> = {}): DiagnosedSample[] {
  const random = seededRandom(7);
  return [0, 1, 2, 3, 4].flatMap((block) =>
    lengths.map((n, index) =>
      sample(n, law(n, block) * Math.exp(0.02 * normalDeviate(random)), { at: 100 * block + index, ...more }),
    ),
  );
}

describe("published sweeps, one value per length", () => {
  test("short prompts that take as long as reading the weights are no overhead, and no padding", () => {
    // Llama-2-70B on eight H100 (Splitwise, ISCA 2024; bench/data/points.csv, sweep 7).
    const seconds = [0.0483314, 0.0518494, 0.083827, 0.15795, 0.310317, 0.642662, 1.33984];
    expect(causesOf(seconds.map((value, index) => sample(128 * 2 ** index, value)))).toEqual([]);
  });

  test("a server that pads to powers of two is found by one length between them", () => {
    // Llama-3.3-70B on 32 Wormhole (tenstorrent/tt-inference-server, issue 406; bench/data/points.csv, sweep 5).
    const points = [
      [128, 0.36149],
      [1024, 0.72351],
      [2048, 1.17737],
      [3072, 2.10825],
      [4096, 2.10819],
      [8192, 4.14166],
      [16_384, 8.65587],
      [32_000, 19.8267],
    ] as const;
    expect(causesOf(points.map(([n, value]) => sample(n, value)))).toEqual(["padding"]);
  });
});

describe("flat times", () => {
  const flat = (): number => 0.05;

  test("are a cached prefix or an overhead, as far as it is known whether the prompts were computed", () => {
    expect(causesOf(repeated(flat))).toEqual(["prefix-cache"]);
    expect(causesOf(repeated(flat), { fresh: true })).toEqual(["fixed-overhead"]);
    expect(causesOf(repeated(flat, { cachedTokens: 0 }))).toEqual(["fixed-overhead"]);
    expect(causesOf(repeated(flat, { cachedTokens: 40 }))).toEqual(["fixed-overhead"]);
  });
});

describe("first visits", () => {
  const cached = (n: number, block: number): number => (block === 0 ? healthy(n) : 0.02 + 1e-6 * n);

  test("that pay for the prompt show a cache, unless the prompts were fresh or nobody knows the order", () => {
    expect(causesOf(repeated(cached))).toEqual(["prefix-cache"]);
    expect(causesOf(repeated(cached), { fresh: true })).not.toContain("prefix-cache");
    expect(causesOf(repeated(cached, { at: null }))).not.toContain("throttling");
  });

  test("that pay for something else, all the same, are neither a cache nor a queue", () => {
    expect(causesOf(repeated((n, block) => healthy(n) + (block === 0 ? 0.5 : 0)))).toEqual([]);
  });
});

describe("beside what the server took for fresh prompts", () => {
  const physics = physicsOfSamples(repeated(healthy));

  test("prompts that share a cached beginning are found without a report, a model or a device", () => {
    const cached = repeated((n) => healthy(0.2 * n) + 8e-9 * 0.8 * n * 0.2 * n);
    expect(causesOf(cached)).toEqual([]);
    expect(causesOf(cached, { physics })).toEqual(["prefix-cache"]);
    expect(causesOf(repeated(healthy), { physics })).toEqual([]);
  });

  test("attention that became slower may be a kernel or a window", () => {
    const { findings } = diagnose(
      repeated((n) => healthy(n) + 12e-9 * n ** 2),
      { physics, contextLimit: null },
    );
    expect(findings.map(({ cause, alike }) => [cause, ...alike])).toEqual([["unfused", "idle-window"]]);
    expect(findings[0]?.evidence).toMatch(/attention takes [34]\.\d times its share of the run beside/);
  });

  test("a window that saves less than it did is seen by a third of attention, of a kernel less likely", () => {
    const slower = repeated((n) => healthy(n) + 1.5e-9 * n ** 2);
    const { findings } = diagnose(slower, { physics, contextLimit: null });
    expect(findings.map(({ cause, alike }) => [cause, ...alike])).toEqual([["idle-window", "unfused"]]);
    expect(findings[0]?.evidence).toMatch(/attention takes 1\.\d times its share of the run beside/);
  });
});

test("a run beside that hardly knows its own square makes nothing of a healthy one", () => {
  const random = seededRandom(11);
  const rough = (): number => Math.exp(0.06 * normalDeviate(random));
  let alarms = 0;
  for (let turn = 0; turn < 200; turn += 1) {
    const few = [1500, 3000, 6200, 11_000, 18_000].flatMap((n) => [0, 1].map(() => sample(n, healthy(n) * rough())));
    const run = lengths.flatMap((n) => [0, 1, 2].map(() => sample(n, healthy(n) * rough())));
    const causes = causesOf(run, { physics: physicsOfSamples(few), fresh: true });
    if (causes.includes("idle-window") || causes.includes("unfused")) alarms += 1;
  }
  expect(alarms).toBeLessThanOrEqual(10);
});

test("beside the model alone, attention of a few times its share may be a cache, unless prompts were fresh", () => {
  const law = (n: number): number => healthy(n) + 8e-9 * n ** 2;
  const physics: Physics = {
    seconds: healthy,
    attention: (n) => 4e-9 * n ** 2,
    withoutWindow: null,
    least: () => 0,
    paceKnown: false,
    mixSpread: 0.35,
  };
  const alikeOf = (fresh: boolean, sameGraph = false): string[][] =>
    diagnose(repeated(law), { physics, contextLimit: null, fresh, sameGraph }).findings.map(({ cause, alike }) => [
      cause,
      ...alike,
    ]);
  expect(alikeOf(false)).toEqual([["unfused", "prefix-cache"]]);
  expect(alikeOf(true)).toEqual([["unfused"]]);
  // What ran was the graph with its fused attention: this machine is only slower at it.
  expect(alikeOf(true, true)).toEqual([]);
});

test("waits of all lengths are a queue, as are those of one", () => {
  const random = seededRandom(3);
  const spread = repeated((n) => healthy(n) * (random() < 0.3 ? 1 - Math.log(1 - random()) : 1));
  expect(causesOf(spread, { fresh: true })).toEqual(["queueing"]);
});

test("time outside of the model counts where it is the most, not at the longest length alone", () => {
  const outside = repeated(healthy).map((each) => ({
    ...each,
    serverSeconds: each.seconds,
    seconds: each.seconds + 4e-6 * each.n,
  }));
  expect(causesOf(outside, { fresh: true })).toEqual(["outside-time"]);
});
