import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { readMachine } from "../../src/measure/environment.js";
import { readRun } from "../../src/runs/read.js";
import { compareDocument } from "../../src/study/documents/compare.js";
import { calibratedDevice } from "../support/calibrated-device.js";
import { command, temporaryFolder, writeConfig } from "./harness.js";

vi.setConfig({ testTimeout: 60_000 });

const folder = temporaryFolder();
afterAll(folder.remove);

/** A home whose machine was calibrated with one thread. */
function calibratedHome(cpu: string): string {
  const home = join(folder.path, "home");
  const cache = join(home, ".cache", "nsquared");
  mkdirSync(cache, { recursive: true });
  const { calibration, ...device } = calibratedDevice;
  const record = { ...device, name: "local", calibration: { ...calibration, threads: 1, cpu } };
  writeFileSync(join(cache, "local.json"), JSON.stringify(record));
  return home;
}

test("a run is predicted from this machine's calibration only where that is of what executed it", async () => {
  const out = join(folder.path, "run.json");
  const words = ["measure", writeConfig(folder.path), "--lengths", "16,32", "--repeat", "1", "--threads", "1"];
  expect((await command([...words, "--out", out])).code).toBe(0);
  const run = await readRun(out);
  const home = calibratedHome(run.machine.cpu);
  const report = (path: string, ...more: string[]) =>
    command(["report", path, "--no-html", "--json", ...more], undefined, home);
  const own = await report(out);
  expect([own.err, JSON.parse(own.out)]).toEqual(["", expect.objectContaining({ device: "local" })]);
  const other = join(folder.path, "llama.json");
  const runtime = { ...run.runtime, runner: "llama", name: "node-llama-cpp" };
  writeFileSync(other, JSON.stringify({ ...run, runtime }));
  const unknown = await report(other);
  expect(unknown.err).toContain("this machine has not been measured yet; run nsquared calibrate --runtime llama");
  expect(JSON.parse(unknown.out)).toMatchObject({ device: null });
  expect(JSON.parse((await report(other, "--on", "local")).out)).toMatchObject({ device: "local" });
  const few = join(folder.path, "q4.json");
  expect((await command([...words, "--weights", "q4", "--out", few])).code).toBe(0);
  expect((await report(few)).err).toContain("on cpu with 1 thread and matrices as q4;");
});

test("a comparison is predicted from a calibration with its threads, but for matrices of few bits", async () => {
  const home = calibratedHome((await readMachine()).cpu);
  const compared = async (name: string, ...more: string[]) => {
    const words = ["compare", "full", "mqa", "q8", "--like", writeConfig(folder.path), "--lengths", "16,32"];
    const out = ["--out", join(folder.path, name), "--no-page", "--no-memory", "--repeat", "1", "--json"];
    const { out: printed, err } = await command([...words, ...out, ...more], undefined, home);
    const { device, contenders } = compareDocument.parse(JSON.parse(printed));
    const told = contenders.map(({ phases: [phase] }) => [
      typeof phase?.points[0]?.predicted,
      phase?.overtake?.predicted.known,
    ]);
    return { err, device, told };
  };
  const own = await compared("own.json", "--threads", "1");
  expect(own.device).toBe("local");
  expect(own.told).toEqual([
    ["number", undefined],
    ["number", true],
    ["object", false],
  ]);
  const other = await compared("other.json", "--threads", "2");
  expect(other.device).toBeNull();
  expect(other.err).toContain("no predicted seconds: the calibration of this machine is not of");
});

test("the run of a comparison is refused as such", async () => {
  const out = join(folder.path, "compared.json");
  const words = ["compare", "full", "window:16", "--like", writeConfig(folder.path), "--lengths", "16,32"];
  expect(await command([...words, "--repeat", "1", "--out", out])).toMatchObject({ code: 0 });
  const { code, err } = await command(["report", out, "--no-html"]);
  expect([code, err]).toEqual([2, expect.stringContaining("nsquared compare writes the page of a comparison")]);
});
