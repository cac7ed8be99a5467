import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeRandomGguf } from "../../bench/random-gguf.mjs";
import { runSchema } from "../../src/runs/schema.js";
import { measureDocument } from "../../src/study/documents/measure.js";
import { llamaHere } from "../support/llama-here.js";
import { command, temporaryFolder, writeConfig } from "./harness.js";

const shapes = { layers: 2, hidden: 64, heads: 4, kvHeads: 2, headDim: 16, ffn: 128, vocabulary: 300, context: 4096 };
const folder = temporaryFolder();
const path = (name: string): string => join(folder.path, name);
beforeAll(() => {
  writeRandomGguf(path("tiny.gguf"), shapes);
});
afterAll(folder.remove);

describe.skipIf(!llamaHere)("measure of a GGUF file", () => {
  test("runs in llama.cpp, prefill and decode, and its run can be fitted", async () => {
    const run = path("run.json");
    const words = ["measure", path("tiny.gguf"), "--lengths", "32,64,128,256", "--phase", "prefill,decode"];
    const measured = await command([...words, "--repeat", "3", "--threads", "1", "--out", run]);
    expect(measured.err).toContain("in llama.cpp on 1 thread");
    expect(measured.code).toBe(0);
    expect(measured.out).toMatch(/node-llama-cpp \d+\.\d+\.\d+, 1 threads?, fused attention/);
    const { runtime, samples, model } = runSchema.parse(JSON.parse(readFileSync(run, "utf8")));
    expect(runtime).toMatchObject({ runner: "llama", threads: 1, options: { modelBytes: expect.any(Number) } });
    expect(model.source).toBe(path("tiny.gguf"));
    expect(samples.filter(({ warmup, phase }) => !warmup && phase !== "reference")).toHaveLength(24);
    const fitted = await command(["fit", run, "--json"]);
    expect(fitted.code).toBe(0);
    expect(JSON.parse(fitted.out)).toMatchObject({ schema: "nsquared/fit@1", phase: "prefill", samples: 12 });
  });

  test("chooses its lengths towards a goal, by llama.cpp's own samples", async () => {
    const words = ["measure", path("tiny.gguf"), "--until", "60%@1k", "--time", "20s", "--threads", "1", "--json"];
    const { code, out, err } = await command([...words, "--out", path("until.json")]);
    expect(code).toBe(0);
    expect(err).toContain(
      "not calibrated for llama.cpp (nsquared calibrate --runtime llama): the interval will be of the samples",
    );
    const { until, samples } = measureDocument.parse(JSON.parse(out));
    expect(until?.n).toBe(1024);
    expect(until?.reached).toBe(until?.reason === "reached");
    expect(Math.max(...samples.map(({ n }) => n))).toBeLessThanOrEqual(1024);
  });

  test("runs in ONNX Runtime where that is asked for", async () => {
    const words = ["measure", path("tiny.gguf"), "--runtime", "onnx", "--lengths", "32", "--repeat", "1"];
    const { code, out } = await command([...words, "--out", path("onnx.json")]);
    expect(code).toBe(0);
    expect(out).toContain("onnxruntime-node");
  });
});

/** Exit code 2, one line on standard error that says all of `wanted`; what was being done may stand above it. */
async function refuses(words: readonly string[], ...wanted: RegExp[]): Promise<void> {
  const { code, out, err } = await command(["measure", ...words, "--out", path("never.json")]);
  expect(out).toBe("");
  expect(err).not.toMatch(/\n\s+at /);
  const last = err.trimEnd().split("\n").at(-1) ?? "";
  for (const text of wanted) expect(last).toMatch(text);
  expect(code).toBe(2);
}

describe("a GGUF file that cannot be run is refused in one line", () => {
  test("not a GGUF file", async () => {
    writeFileSync(path("text.gguf"), "hello, this is no model");
    await refuses([path("text.gguf")], /text\.gguf: first four bytes is "68 65 6c 6c"; not GGUF/);
  });

  test("cut off in the weights", async () => {
    writeRandomGguf(path("cut.gguf"), shapes);
    truncateSync(path("cut.gguf"), 200_000);
    await refuses([path("cut.gguf")], /cut\.gguf: .*the tensor cannot be in it/);
  });

  test("cut off in the header", async () => {
    writeRandomGguf(path("stump.gguf"), shapes);
    truncateSync(path("stump.gguf"), 700);
    await refuses([path("stump.gguf")], /stump\.gguf: /);
  });

  test("an architecture that is not known", async () => {
    const file = readFileSync(path("tiny.gguf"));
    file.write("lxama", file.indexOf("llama"));
    writeFileSync(path("odd.gguf"), file);
    await refuses([path("odd.gguf")], /odd\.gguf: .*lxama/);
  });

  test.skipIf(!llamaHere)("a tensor that llama.cpp misses", async () => {
    const file = readFileSync(path("tiny.gguf"));
    file.write("blk.1.ffn_dxxn", file.indexOf("blk.1.ffn_down"));
    writeFileSync(path("lacks.gguf"), file);
    await refuses([path("lacks.gguf")], /lacks\.gguf: llama\.cpp does not load it: .*ffn_down/);
  });

  test("a context beyond the memory", async () => {
    await refuses(
      [path("tiny.gguf"), "--lengths", "64,400M"],
      /memory needed is .*are available; take shorter lengths/,
    );
  });

  test("a model that is no GGUF file", async () => {
    await refuses(
      [writeConfig(folder.path), "--runtime", "llama"],
      /--runtime llama: model is .*llama\.cpp runs GGUF files/,
    );
  });
});
