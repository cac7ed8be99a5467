import { describe, expect, test } from "vitest";
import { header, machine, prefill, run } from "../../test/support/runs.js";
import { mergeRuns } from "./merge.js";
import { formatRun, parseRun } from "./parse.js";
import type { Run } from "./schema.js";

const later = "2026-11-23T13:00:00.000Z";
const now = "2026-11-24T00:00:00.000Z";

function second(change: Partial<Run> = {}): Run {
  return run({ id: "b", created: later, ...change });
}

describe("merging runs", () => {
  test("joins all samples under one numbering of blocks and times", () => {
    const merged = mergeRuns([second(), run({ id: "a" })], now);
    expect(merged.samples.map(({ block, at, warmup }) => [block, at, warmup])).toEqual([
      [-1, 1, true],
      [0, 2, false],
      [1, 3, false],
      [-1, 5, true],
      [2, 6, false],
      [3, 7, false],
    ]);
    expect(merged).toMatchObject({ mergedFrom: ["a", "b"], created: now, seconds: 8, status: "complete" });
    expect(merged.plan.repeat).toBe(6);
    expect(merged.id).toMatch(/^tiny-20261124-000000-/);
    expect(parseRun(formatRun(merged), "merged.json")).toEqual(merged);
  });

  test("unites plans and warnings and keeps the worst status", () => {
    const warning = { code: "spread", message: "they scatter" };
    const other = second({
      plan: { ...header().plan, cells: [prefill(128), prefill(256)] },
      warnings: [warning],
      status: "interrupted",
    });
    const merged = mergeRuns([run({ warnings: [warning] }), other], now);
    expect(merged.plan.cells).toEqual([prefill(128), prefill(256)]);
    expect(merged.warnings).toEqual([warning]);
    expect(merged.status).toBe("interrupted");
  });

  const { runtime, model } = header();
  const reference = (n: number): Partial<Run> => ({
    plan: { ...header().plan, reference: { phase: "reference", n, depth: 0, batch: 1 } },
  });
  test.each<[string, Partial<Run>]>([
    ["model.digest", { model: { ...model, digest: "sha256:2" } }],
    ["runtime.version", { runtime: { ...runtime, version: "2" } }],
    ["runtime.threads", { runtime: { ...runtime, threads: 4 } }],
    ["runtime.dtype", { runtime: { ...runtime, dtype: "float16" } }],
    ["runtime.attention", { runtime: { ...runtime, attention: "naive" } }],
    ["runtime.options.arena", { runtime: { ...runtime, options: { arena: false } } }],
    ["runtime.options.window", { runtime: { ...runtime, options: { arena: true, window: 256 } } }],
    ["machine.cpu", { machine: { ...machine, cpu: "Other CPU" } }],
    ["machine.cores", { machine: { ...machine, cores: 4 } }],
    ["machine.node", { machine: { ...machine, node: "v22.0.0" } }],
  ])("refuses when %s differs, and names it", (key, change) => {
    const merge = (): Run => mergeRuns([run({ id: "a" }), second(change)], now);
    expect(merge).toThrow(new RegExp(`^incompatible runs: ${key.replaceAll(".", "\\.")} is .* in a and .* in b$`));
  });

  test("refuses different reference workloads, but not one beside none", () => {
    expect(() => mergeRuns([run(reference(64)), second(reference(128))], now)).toThrow("plan.reference");
    expect(mergeRuns([run(), second(reference(128))], now).plan.reference?.n).toBe(128);
  });

  test("allows another load, another seed, another config text", () => {
    const other = second({ machine: { ...machine, load: 9 }, seed: 7, model: { ...model, config: { a: 1 } } });
    expect(mergeRuns([run(), other], now).samples).toHaveLength(6);
  });

  test("refuses to count a run twice, also inside another merge", () => {
    expect(() => mergeRuns([run(), run()], now)).toThrow("each run once");
    const merged = mergeRuns([run({ id: "a" }), second()], now);
    expect(() => mergeRuns([merged, second()], now)).toThrow("each run once");
    expect(() => mergeRuns([], now)).toThrow("at least one run");
  });
});
