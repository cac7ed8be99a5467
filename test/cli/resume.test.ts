import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { readRun } from "../../src/runs/read.js";
import { command, temporaryFolder, writeConfig } from "./harness.js";

vi.setConfig({ testTimeout: 60_000 });

const folder = temporaryFolder();
afterAll(folder.remove);

const file = (name: string): string => join(folder.path, name);

test("a run whose longest length is whole is resumed so that both fit together", async () => {
  const config = writeConfig(folder.path);
  const words = ["measure", config, "--lengths", "16,32,64", "--repeat", "2", "--threads", "1"];
  const [out, more] = [file("run.json"), file("more.json")];
  expect((await command([...words, "--out", out])).code).toBe(0);
  const whole = await readRun(out);
  // As if it had been stopped before the last sample of the shortest.
  const last = whole.samples.findLastIndex(({ n }) => n === 16);
  const cut = { ...whole, status: "interrupted", samples: whole.samples.filter((_, index) => index !== last) };
  const early = file("early.json");
  writeFileSync(early, JSON.stringify(cut));
  const resumed = await command([...words, "--out", more, "--resume", early]);
  expect([resumed.code, resumed.out]).toEqual([0, expect.stringContaining(`next: nsquared fit ${early} ${more}`)]);
  const child = await readRun(more);
  expect(child.parent).toBe(whole.id);
  expect(child.samples.flatMap(({ phase, n, warmup }) => (phase === "prefill" && !warmup ? [n] : []))).toEqual([16]);
  const both = await command(["fit", early, more, "--json"]);
  expect([both.code, both.err]).toEqual([0, ""]);
  expect(JSON.parse(both.out)).toMatchObject({ samples: 6 });
});

test("what could not be put together afterwards is refused before it is measured", async () => {
  const config = writeConfig(folder.path, {}, "other.json");
  const words = ["measure", config, "--lengths", "16,32", "--repeat", "1", "--threads", "1"];
  const out = file("one.json");
  expect((await command([...words, "--out", out])).code).toBe(0);
  const whole = await readRun(out);
  const samples = whole.samples.filter(({ n }) => n !== 32);
  for (const [change, message] of [
    [{ runtime: { ...whole.runtime, version: "0.9.0" } }, /runtime\.version is "[\d.]+"; "0\.9\.0", as in the run/],
    [{ machine: { ...whole.machine, cpu: "Z80" } }, /machine\.cpu is ".*"; "Z80", as in the run to resume/],
    [{ runtime: { ...whole.runtime, threads: 2 } }, /runtime\.threads is 1; 2, as in the run to resume/],
  ] as const) {
    const early = file("early-one.json");
    writeFileSync(early, JSON.stringify({ ...whole, ...change, status: "interrupted", samples }));
    const more = file("never.json");
    const { code, err } = await command([...words, "--out", more, "--resume", early]);
    expect([code, err]).toEqual([2, expect.stringMatching(message)]);
    await expect(readRun(more)).rejects.toThrow("no such file");
  }
});
