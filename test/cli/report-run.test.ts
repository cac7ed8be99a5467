import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { readRun } from "../../src/runs/read.js";
import { calibratedDevice } from "../support/calibrated-device.js";
import { command, temporaryFolder, writeConfig } from "./harness.js";

vi.setConfig({ testTimeout: 60_000 });

const folder = temporaryFolder();
afterAll(folder.remove);

test("a run is predicted from this machine's calibration only where that is of what executed it", async () => {
  const out = join(folder.path, "run.json");
  const words = ["measure", writeConfig(folder.path), "--lengths", "16,32", "--repeat", "1", "--threads", "1"];
  expect((await command([...words, "--out", out])).code).toBe(0);
  const run = await readRun(out);
  const home = join(folder.path, "home");
  const cache = join(home, ".cache", "nsquared");
  mkdirSync(cache, { recursive: true });
  const { calibration, ...device } = calibratedDevice;
  const record = { ...device, name: "local", calibration: { ...calibration, threads: 1, cpu: run.machine.cpu } };
  writeFileSync(join(cache, "local.json"), JSON.stringify(record));
  const report = (path: string, ...more: string[]) =>
    command(["report", path, "--no-html", "--json", ...more], undefined, home);
  const own = await report(out);
  expect([own.err, JSON.parse(own.out)]).toEqual(["", expect.objectContaining({ device: "local" })]);
  const other = join(folder.path, "llama.json");
  const runtime = { ...run.runtime, runner: "llama", name: "node-llama-cpp" };
  writeFileSync(other, JSON.stringify({ ...run, runtime }));
  const unknown = await report(other);
  expect(unknown.err).toContain("the calibration of this machine is not of node-llama-cpp on cpu with 1 thread;");
  expect(JSON.parse(unknown.out)).toMatchObject({ device: null });
  expect(JSON.parse((await report(other, "--on", "local")).out)).toMatchObject({ device: "local" });
});

test("the run of a comparison is refused as such", async () => {
  const out = join(folder.path, "compared.json");
  const words = ["compare", "full", "window:16", "--like", writeConfig(folder.path), "--lengths", "16,32"];
  expect(await command([...words, "--repeat", "1", "--out", out])).toMatchObject({ code: 0 });
  const { code, err } = await command(["report", out, "--no-html"]);
  expect([code, err]).toEqual([2, expect.stringContaining("nsquared compare writes the page of a comparison")]);
});
