import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { writeRandomGguf } from "../../bench/random-gguf.mjs";
import { readMachine } from "../../src/measure/environment.js";
import { llamaVersion } from "../../src/measure/llama-binding.js";
import { explainDocument } from "../../src/study/documents/explain.js";
import { fitDocument } from "../../src/study/documents/fit.js";
import { measureDocument } from "../../src/study/documents/measure.js";
import { predictDocument } from "../../src/study/documents/predict.js";
import { calibratedLlama } from "../support/calibrated-device.js";
import { llamaHere } from "../support/llama-here.js";
import { command, refuses, temporaryFolder } from "./harness.js";

vi.setConfig({ testTimeout: 60_000 });

const shapes = { layers: 2, hidden: 64, heads: 4, kvHeads: 2, headDim: 16, ffn: 128, vocabulary: 300, context: 4096 };
const folder = temporaryFolder();
const path = (name: string): string => join(folder.path, name);
const gguf = path("tiny.gguf");
const home = path("home");

/** Keeps a record of this machine, with one thread, as if it had been measured now. */
async function keep(changes: Record<string, unknown> = {}): Promise<void> {
  const { cpu } = await readMachine();
  const measured = new Date().toISOString();
  const calibration = { ...calibratedLlama.calibration, cpu, threads: 1, measured, ...changes };
  mkdirSync(join(home, ".cache", "nsquared"), { recursive: true });
  const file = join(home, ".cache", "nsquared", "local-llama.json");
  writeFileSync(file, JSON.stringify({ ...calibratedLlama, calibration }));
}

beforeAll(async () => {
  writeRandomGguf(gguf, { ...shapes, type: "f16" });
  await keep();
});
afterAll(folder.remove);

const at = (words: readonly string[]) => command(words, undefined, home);

describe("calibrate --runtime llama", () => {
  test("is of the processor", async () => {
    await refuses(
      ["calibrate", "--runtime", "llama", "--device", "webgpu"],
      /--runtime llama: --device is "webgpu"; expected cpu/,
    );
  });

  test("times, where --from takes timings from files", async () => {
    await refuses(
      ["calibrate", "--runtime", "llama", "--from", "x.csv", "--on", "h100"],
      /--from: --runtime is "llama"; without --from/,
    );
  });

  test("knows two runtimes", async () => {
    await refuses(["calibrate", "--runtime", "vllm"], "--runtime", "onnx, llama");
  });

  test.skipIf(!llamaHere)("that is stopped by hand keeps nothing", async () => {
    const out = path("stopped.json");
    const words = ["calibrate", "--runtime", "llama", "--quick", "--out", out];
    const { code, err } = await command(words, AbortSignal.abort());
    expect(code).toBe(130);
    expect(err).toContain("measuring this machine with llama.cpp's kernels");
    expect(existsSync(out)).toBe(false);
  });
});

describe("what a calibration with llama.cpp is for", () => {
  test("--on local-llama says how to get there", async () => {
    await refuses(["predict", gguf, "--on", "local-llama"], "--on local-llama", "nsquared calibrate --runtime llama");
  });

  test("predicts a GGUF file in chunks of 512 tokens", async () => {
    const { code, out } = await at(["predict", gguf, "--on", "local-llama", "--lengths", "512,4k", "--json"]);
    expect(code).toBe(0);
    const { points, data, notes } = predictDocument.parse(JSON.parse(out));
    expect(data).toEqual({ basis: "calibrated", range: { from: 1, to: 8192 } });
    expect(notes.join()).toContain("prefill in chunks of 512 tokens");
    const [one, eight] = points.map(({ prefill }) => prefill.seconds);
    expect(one).toBeGreaterThan(5e-4);
    expect(eight).toBeGreaterThan(8 * (one ?? 0));
  });

  test("is less sure of products with weights that were not timed, and says so", async () => {
    const words = ["predict", "SmolLM2-135M", "--on", "local-llama", "--lengths", "512", "--json"];
    const predicted = async (...more: string[]) =>
      predictDocument.parse(JSON.parse((await at([...words, ...more])).out));
    const [timed, other] = [await predicted(), await predicted("--dtype", "Q4_K_M")];
    const width = ({ points }: typeof timed): number => {
      const { low, high } = points[0]?.prefill ?? { low: 1, high: 1 };
      return Math.log(high / low);
    };
    expect(width(other)).toBeGreaterThan(1.5 * width(timed));
    expect(other.notes.join()).toContain("weights in Q4_K_M were not timed");
    expect(timed.notes.join()).not.toContain("were not timed");
  });

  test("refuses naive attention, which was not timed", async () => {
    const { code, err } = await at(["predict", gguf, "--on", "local-llama", "--attention", "naive"]);
    expect(code).toBe(2);
    expect(err).toMatch(/local-llama: attention is "naive"; expected fused/);
  });

  test.skipIf(!llamaHere)("gives a run of llama.cpp its physical law", async () => {
    await keep({ engineVersion: await llamaVersion() });
    const out = path("run.json");
    const measuring = ["measure", gguf, "--threads", "1", "--out"];
    const measured = await at([...measuring, out, "--lengths", "16,32,64,128", "--repeat", "3"]);
    expect(measured.code).toBe(0);
    const fitted = async (...more: string[]) =>
      fitDocument.parse(JSON.parse((await at(["fit", out, "--model", gguf, "--json", ...more])).out));
    // Of this machine, this runtime and these threads: it is taken without being named.
    for (const fit of [await fitted(), await fitted("--on", "local-llama")]) {
      expect(fit.law.kind).toBe("physical");
      expect(fit.law.operators).toMatchObject({ device: "local-llama" });
      expect(fit.law.efficiencies?.map(({ name }) => name)).toContain("attention");
    }
    const explained = await at(["explain", out, "--model", gguf, "--on", "local-llama", "--json"]);
    expect(explainDocument.parse(JSON.parse(explained.out)).device).toBe("local-llama");
    const words = [...measuring, path("until.json"), "--until", "60%@1k", "--time", "20s", "--json"];
    const until = await at(words);
    expect(until.err).not.toContain("samples alone");
    expect(measureDocument.parse(JSON.parse(until.out)).until?.law).toBe("physical");
  });

  test.skipIf(!llamaHere)("is left aside where it is of other threads, or old", async () => {
    const until = ["measure", gguf, "--until", "60%@512", "--time", "5s", "--threads", "1", "--out"];
    await keep({ threads: 7, engineVersion: await llamaVersion() });
    expect((await at([...until, path("threads.json")])).err).toContain("left aside, because it is for 7 threads");
    await keep({ measured: "2026-01-01T00:00:00.000Z", engineVersion: await llamaVersion() });
    expect((await at([...until, path("old.json")])).err).toContain("left aside, because it is more than a day old");
  });
});
