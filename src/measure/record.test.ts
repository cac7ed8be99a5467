import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { machine, prefill } from "../../test/support/runs.js";
import { seededRandom } from "../base/random.js";
import { readRun } from "../runs/read.js";
import { manualClock } from "./clock.js";
import { type Recorded, type RecordOptions, recordRun } from "./record.js";
import type { Runner } from "./runner.js";
import { syntheticRunner } from "./synthetic.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "nsquared-record-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function synthetic(): Runner {
  return syntheticRunner({ laws: { prefill: { constant: 0.1, linear: 1e-3, quadratic: 0 } } });
}

function record(change: Partial<RecordOptions> = {}): Promise<Recorded> {
  return recordRun({
    runner: synthetic(),
    plan: { cells: [prefill(128), prefill(256)], reference: null, repeat: 2, warmups: 1, timeLimitSeconds: null },
    model: { name: "org/Tiny-1M", source: "built-in", digest: "sha256:1", config: { hidden_size: 8 } },
    machine,
    seed: 5,
    random: seededRandom(5),
    clock: manualClock(),
    created: new Date("2026-11-23T14:22:05Z"),
    output: { folder },
    ...change,
  });
}

test("a recorded run is sealed under the model's name and holds what is needed to repeat it", async () => {
  const { run, path } = await record({ parent: "before" });
  expect(path).toBe(join(folder, "Tiny-1M-20261123-142205.json"));
  expect(await readdir(folder)).toEqual(["Tiny-1M-20261123-142205.json"]);
  expect(await readRun(path)).toEqual(run);
  expect(run).toMatchObject({
    schema: "nsquared/run@1",
    created: "2026-11-23T14:22:05.000Z",
    parent: "before",
    seed: 5,
    status: "complete",
    machine,
    runtime: { runner: "synthetic" },
    model: { digest: "sha256:1", config: { hidden_size: 8 } },
    plan: { repeat: 2, warmups: 1 },
  });
  expect(run.samples).toHaveLength(6);
  expect(run.warnings.map(({ code }) => code)).toEqual(["few-repeats"]);
});

test("two runs in the same second have two files", async () => {
  const first = await record();
  const second = await record();
  expect(second.path).not.toBe(first.path);
  expect(await readRun(first.path)).toEqual(first.run);
});

test("an interrupted run is sealed with what it has", async () => {
  const stop = new AbortController();
  const { run, path } = await record({ signal: stop.signal, progress: ({ done }) => done === 3 && stop.abort() });
  expect(run.status).toBe("interrupted");
  expect((await readRun(path)).samples).toHaveLength(3);
  expect(run.warnings.map(({ code }) => code)).toContain("interrupted");
});

test("an output that cannot be written is found before anything is timed", async () => {
  await writeFile(join(folder, "file"), "");
  let calls = 0;
  const runner: Runner = {
    ...synthetic(),
    run: () => {
      calls += 1;
      return Promise.resolve({ status: "failed", reason: "never" });
    },
  };
  await expect(record({ runner, output: { folder: join(folder, "file", "runs") } })).rejects.toMatchObject({
    code: "output-unwritable",
    exitCode: 2,
  });
  await expect(record({ runner, output: { file: join(folder, "file") } })).rejects.toMatchObject({
    code: "run-exists",
  });
  expect(calls).toBe(0);
});

test("a plan that the runner cannot run leaves no file behind", async () => {
  const plan = { cells: [], reference: null, repeat: 1, warmups: 0, timeLimitSeconds: null };
  await expect(record({ plan })).rejects.toMatchObject({ code: "plan-invalid" });
  expect(await readdir(folder)).toEqual([]);
});

test("when measuring breaks, the journal stays and is read as an incomplete run", async () => {
  const next = (_samples: unknown, block: number) => {
    if (block === 1) throw new Error("the rule broke");
    return [prefill(128)];
  };
  await expect(record({ next })).rejects.toThrow("the rule broke");
  const [journal] = await readdir(folder);
  expect(journal).toBe("Tiny-1M-20261123-142205.journal.jsonl");
  const left = await readRun(join(folder, "Tiny-1M-20261123-142205.json"));
  expect(left).toMatchObject({ status: "incomplete", samples: [{ warmup: true }, { block: 0, n: 128 }] });
});
