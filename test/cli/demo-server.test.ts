import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { writeRandomGguf } from "../../bench/random-gguf.mjs";
import { run } from "../../src/cli/run.js";
import { readRun } from "../../src/runs/read.js";
import type { DemoServerDocument } from "../../src/study/documents/demo-server.js";
import { llamaHere } from "../support/llama-here.js";
import { command, temporaryFolder } from "./harness.js";

const folder = temporaryFolder();
afterAll(folder.remove);

/** A server as its command starts it: what it said once it listened, and how to end it. */
async function served(...words: string[]): Promise<{
  readonly document: DemoServerDocument;
  readonly end: () => Promise<number>;
}> {
  const stop = new AbortController();
  const said = await new Promise<{ out: string; ended: Promise<number> }>((resolve, reject) => {
    const ended: Promise<number> = run(["demo-server", "--port", "0", "--json", ...words], {
      out: (out) => {
        resolve({ out, ended });
      },
      err: (err) => {
        if (err.startsWith("error")) reject(new Error(err));
      },
      outIsTerminal: false,
      errIsTerminal: false,
      columns: 100,
      environment: {},
      directory: ".",
      signal: stop.signal,
    });
  });
  return {
    document: JSON.parse(said.out) as DemoServerDocument,
    end: () => {
      stop.abort();
      return said.ended;
    },
  };
}

test.skipIf(!llamaHere)("nsquared demo-server --gguf serves a model that nsquared measure times", async () => {
  const shapes = { layers: 1, hidden: 64, heads: 4, kvHeads: 2, headDim: 16, ffn: 128, vocabulary: 4096 };
  const path = join(folder.path, "tiny.gguf");
  writeRandomGguf(path, shapes);
  const { document, end } = await served("--gguf", path, "--context", "1k", "--threads", "1");
  expect(document).toMatchObject({ model: "tiny", law: null, engine: { contextLimit: 1024, threads: 1 } });
  const out = join(folder.path, "run.json");
  const flags = ["--lengths", "32,512", "--phase", "prefill,decode", "--repeat", "2", "--yes", "--out", out];
  const measured = await command(["measure", document.url, "--model-name", "tiny", ...flags]);
  expect([measured.code, measured.out]).toEqual([0, expect.stringContaining("server's own")]);
  const { probe, runtime, samples } = await readRun(out);
  expect(probe).toMatchObject({ "context limit": 1024 });
  expect(runtime).toMatchObject({ name: "nsquared", version: document.engine?.build });
  expect(samples.every(({ rejected }) => rejected === null)).toBe(true);
  expect(await end()).toBe(0);
});

test.each<[string, readonly string[], string]>([
  [
    "a law with a model",
    ["--gguf", "model.gguf", "--quirk", "cut"],
    '--quirk: --gguf is "model.gguf"; a real model\'s times are its own',
  ],
  ["a law's jitter with a model", ["--gguf", "model.gguf", "--per-context", "1e-6"], "--per-context"],
  ["threads without a model", ["--threads", "2"], "--threads: --gguf is missing"],
  ["a file that is not there", ["--gguf", "nothing.gguf"], "nothing.gguf"],
  ["a model that is no GGUF", ["--gguf", "SmolLM2-135M"], "llama.cpp runs GGUF files of this machine"],
])("nsquared demo-server refuses %s", async (_, words, message) => {
  const { code, err } = await command(["demo-server", ...words]);
  expect([code, err]).toEqual([2, expect.stringContaining(message)]);
});

test("nsquared demo-server refuses what it does not know, naming what there is", async () => {
  const quirk = await command(["demo-server", "--quirk", "odd"]);
  expect([quirk.code, quirk.err]).toEqual([2, expect.stringContaining("role-first")]);
  const disease = await command(["demo-server", "--disease", "flu=2"]);
  expect([disease.code, disease.err]).toEqual([2, expect.stringContaining("memory-pressure")]);
  const strength = await command(["demo-server", "--disease", "unfused=x"]);
  expect([strength.code, strength.err]).toEqual([2, expect.stringContaining("0 or more")]);
});
