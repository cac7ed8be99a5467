import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { writeRandomGguf } from "../../bench/random-gguf.mjs";
import type { Listening } from "../../src/demo/http.js";
import { startEngineServer } from "../../src/demo/engine-server.js";
import { systemClock } from "../../src/measure/clock.js";
import { type LlamaEngine, openLlama } from "../../src/measure/llama-binding.js";
import { openLlamaRunner } from "../../src/measure/llama.js";
import { type OpenAiRunner, openOpenAiRunner } from "../../src/measure/openai.js";
import type { Outcome, Runner } from "../../src/measure/runner.js";
import type { Cell } from "../../src/runs/schema.js";
import { temporaryFolder } from "../cli/harness.js";
import { llamaHere } from "../support/llama-here.js";

// Some seconds on a machine at rest.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });

const shapes = { layers: 4, hidden: 256, heads: 8, kvHeads: 4, headDim: 32, ffn: 768, vocabulary: 8192 };
const contextLength = 2048;
const options = { contextLength, sequences: 1, threads: 1, attention: "fused" } as const;
const context = { clock: systemClock, signal: new AbortController().signal };

const folder = temporaryFolder();
const path = join(folder.path, "small.gguf");

describe.skipIf(!llamaHere)("one engine, in process and behind a server", () => {
  let engine: LlamaEngine;
  let server: Listening;
  let inside: Runner;
  let outside: OpenAiRunner;

  beforeAll(async () => {
    writeRandomGguf(path, { ...shapes, context: contextLength, type: "f16" });
    engine = await openLlama({ ...options, path });
    const [sequence] = engine.sequences;
    if (sequence === undefined) throw new Error("one sequence was asked for");
    server = await startEngineServer({ ...engine, sequence, build: "llama.cpp" }, { model: "small" });
    inside = await openLlamaRunner({ ...options, path, seed: 1 });
    outside = await openOpenAiRunner(
      {
        address: new URL(server.url),
        model: "small",
        api: "auto",
        key: null,
        seed: 1,
        nonce: 1,
        timeoutSeconds: 60,
        decodeSteps: 4,
      },
      context,
    );
  });

  afterAll(async () => {
    await outside?.close();
    await inside?.close();
    await server?.close();
    await engine?.close();
    folder.remove();
  });

  test("the server is found to take token ids, count, and tell its times and its cache", () => {
    expect(outside.describe().options).toMatchObject({ prompts: "ids", "fixed-length answers": true });
    expect(outside.asked()).toMatchObject({
      "prompts counted": true,
      "server timings": true,
      "cached tokens reported": true,
      "/tokenize": true,
      "context limit": contextLength,
    });
  });

  test("greedy answers are the same tokens, from an empty cache and from a filled one", async () => {
    const alone = await openLlama({ ...options, path });
    const [sequence] = alone.sequences;
    const prompt = Array.from({ length: 700 }, (_, index) => (index * 331) % shapes.vocabulary);
    const expected: number[] = [];
    let next = null;
    for (let from = 0; from < prompt.length; from += alone.batchTokens) {
      next = await sequence?.append(prompt.slice(from, from + alone.batchTokens), true);
    }
    while (expected.length < 24 && next !== null && next !== undefined) {
      expected.push(next);
      next = await sequence?.append([next], true);
    }
    await alone.close();
    for (const cached of [0, prompt.length - 1]) {
      const body = { prompt, max_tokens: 24, ignore_eos: true, return_token_ids: true };
      const answer = await fetch(`${server.url}/completions`, { method: "POST", body: JSON.stringify(body) });
      expect(await answer.json()).toMatchObject({
        choices: [{ token_ids: expected }],
        usage: { prompt_tokens: 700, completion_tokens: 24, prompt_tokens_details: { cached_tokens: cached } },
      });
    }
  });

  // Taken in turns, the fastest of each: what else this machine does slows both alike, and once in a while neither.
  test.each<[string, Cell]>([
    ["prefill", { phase: "prefill", n: 256, depth: 0, batch: 1 }],
    ["long prefill", { phase: "prefill", n: 1000, depth: 0, batch: 1 }],
    ["decode", { phase: "decode", n: 1, depth: 1024, batch: 1 }],
  ])("both runners agree on the time of a %s", async (_, cell) => {
    const fastest = {
      inside: Number.POSITIVE_INFINITY,
      told: Number.POSITIVE_INFINITY,
      seen: Number.POSITIVE_INFINITY,
    };
    const ratios = (): [told: number, seen: number] => [fastest.told / fastest.inside, fastest.seen / fastest.inside];
    const agree = ([told, seen]: [number, number]): boolean => told > 0.7 && told < 1.4 && seen > 0.7 && seen < 1.6;
    for (let turn = 0; turn < 7 || (turn < 60 && !agree(ratios())); turn += 1) {
      await inside.prepare?.(cell, context);
      const own = timed(await inside.run(cell, context));
      const other = await outside.run(cell, context);
      const seen = timed(other);
      const told = cell.phase === "decode" ? other.request?.serverTokenSeconds : other.request?.serverPrefillSeconds;
      if (told == null) throw new Error("the server told no time");
      if (cell.phase === "prefill") expect(seen).toBeGreaterThan(told);
      fastest.inside = Math.min(fastest.inside, own);
      fastest.told = Math.min(fastest.told, told);
      fastest.seen = Math.min(fastest.seen, seen);
    }
    // From outside the request and the stream come on top, little of a long step.
    expect(agree(ratios()), `told and seen over in process: ${ratios().join(", ")}`).toBe(true);
  });
});

function timed(outcome: Outcome): number {
  if (outcome.status !== "ok") throw new Error(outcome.reason);
  return outcome.seconds;
}
