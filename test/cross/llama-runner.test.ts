import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeRandomGguf } from "../../bench/random-gguf.mjs";
import { systemClock } from "../../src/measure/clock.js";
import { openLlama } from "../../src/measure/llama-binding.js";
import { type LlamaRunnerOptions, openLlamaRunner } from "../../src/measure/llama.js";
import type { Cell } from "../../src/runs/schema.js";
import { llamaPlan } from "../../src/study/llama-calibration-plan.js";
import { llamaRuntime } from "../../src/study/llama-runtime.js";
import { temporaryFolder } from "../cli/harness.js";
import { runnerContract } from "../contract/runner-contract.js";
import { llamaHere } from "../support/llama-here.js";

const shapes = { layers: 2, hidden: 64, heads: 4, kvHeads: 2, headDim: 16, ffn: 128, vocabulary: 300, context: 4096 };

const folder = temporaryFolder();
const path = join(folder.path, "tiny.gguf");
beforeAll(() => {
  writeRandomGguf(path, shapes);
});
afterAll(folder.remove);

const options: LlamaRunnerOptions = {
  path,
  contextLength: 1024,
  sequences: 2,
  threads: 1,
  attention: "fused",
  seed: 1,
};

function cell(phase: Cell["phase"], n: number, depth = 0, batch = 1): Cell {
  return { phase, n, depth, batch };
}

describe.skipIf(!llamaHere).each(["fused", "naive"] as const)("llama with %s attention", (attention) => {
  runnerContract("llama", async () => ({
    runner: await openLlamaRunner({ ...options, attention }),
    cells: {
      prefill: [cell("prefill", 16), cell("prefill", 700, 32)],
      decode: [cell("decode", 1, 16), cell("decode", 1, 600, 2)],
      "decode-uncached": [cell("decode-uncached", 17), cell("decode-uncached", 65)],
      reference: [cell("reference", 16), cell("reference", 32)],
    },
  }));
});

describe.skipIf(!llamaHere)("the engine behind it", () => {
  test("a text continued from its cache goes on as if it had been put through whole", async () => {
    const engine = await openLlama(options);
    const [whole, parts] = engine.sequences;
    if (whole === undefined || parts === undefined) throw new Error("two sequences were asked for");
    const text = Array.from({ length: 400 }, (_, index) => (index * 37) % engine.vocabulary);
    const expected = await whole.append(text, true);
    await parts.append(text.slice(0, 300), false);
    await parts.append(text.slice(0, 90), true);
    await parts.truncate(300);
    expect(parts.length).toBe(300);
    expect(await parts.append(text.slice(300), true)).toBe(expected);
    await engine.close();
  });

  test("text becomes tokens and text again", async () => {
    const engine = await openLlama(options);
    const tokens = engine.tokenize("naïve 文 text");
    expect(tokens).toHaveLength(new TextEncoder().encode("naïve 文 text").length);
    expect(engine.detokenize(tokens)).toBe("naïve 文 text");
    await engine.close();
  });

  test("the runner says what ran", async () => {
    const runner = await openLlamaRunner({ ...options, attention: "naive" });
    const info = runner.describe();
    expect(info).toMatchObject({
      runner: "llama",
      name: "node-llama-cpp",
      provider: "cpu",
      threads: 1,
      attention: "naive",
    });
    expect(info.version).toMatch(/^\d+\.\d+\.\d+/);
    expect(info.options).toMatchObject({ contextLength: 1024, sequences: 2, batchTokens: 512, cache: "F16" });
    await runner.close();
  });
});

describe.skipIf(!llamaHere)("what cannot be run is refused in one line", () => {
  test("a length, and a batch, that it was not opened for", async () => {
    const runner = await openLlamaRunner(options);
    const context = { clock: systemClock, signal: new AbortController().signal };
    await expect(runner.run(cell("prefill", 1025), context)).rejects.toThrow(/1025.*at most 1024/);
    await expect(runner.run(cell("prefill", 8, 0, 3), context)).rejects.toThrow(/3.*at most 2/);
    await runner.close();
  });

  test("a file that is not GGUF", async () => {
    const bad = join(folder.path, "text.gguf");
    writeFileSync(bad, "hello, this is not a model");
    await expect(openLlama({ ...options, path: bad })).rejects.toThrow(/text\.gguf: llama\.cpp does not load it/);
  });

  test("a file that is cut off", async () => {
    const bad = join(folder.path, "cut.gguf");
    writeRandomGguf(bad, shapes);
    truncateSync(bad, 200_000);
    await expect(openLlama({ ...options, path: bad })).rejects.toThrow(/cut\.gguf: llama\.cpp does not load it/);
  });

  test("a context that fits no memory", async () => {
    const huge = { ...options, sequences: 1, contextLength: 2 ** 26 };
    await expect(openLlama(huge)).rejects.toThrow(/a context of 67108864 tokens does not fit this machine's memory/);
    await expect(openLlama({ ...huge, contextLength: 2 ** 33 })).rejects.toThrow(/8589934592; at most 67108864/);
  });
});

describe.skipIf(!llamaHere)("the tiny models of a calibration", () => {
  test("are written, opened side by side and timed, and leave nothing behind", async () => {
    const runtime = await llamaRuntime();
    const context = { clock: systemClock, signal: new AbortController().signal };
    const open = await Promise.all(
      llamaPlan("quick")
        .filter(({ shapes: { hidden } }) => hidden < 500)
        .map(async ({ shapes: tiny, cells }) => ({ cells, runner: await runtime.open(tiny, 1) })),
    );
    for (const { cells, runner } of open) {
      const [{ n, depth } = { n: 1, depth: 0 }] = cells;
      const outcome = await runner.run({ phase: "prefill", n, depth, batch: 1 }, context);
      expect(outcome).toMatchObject({ status: "ok", steps: 1 });
      await runner.close();
    }
    runtime.close();
    expect(runtime.version).toMatch(/^\d+\.\d+\.\d+, \S+$/);
  });
});
