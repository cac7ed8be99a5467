import { afterEach, describe, expect, test } from "vitest";
import { type DemoLaw, healthyLaw } from "../demo/law.js";
import type { Quirk } from "../demo/quirks.js";
import { type DemoServer, startDemoServer } from "../demo/server.js";
import type { Cell } from "../runs/schema.js";
import { systemClock } from "./clock.js";
import { type OpenAiOptions, type OpenAiRunner, openOpenAiRunner } from "./openai.js";

const fast: DemoLaw = {
  ...healthyLaw,
  constant: 0.004,
  linear: 1e-5,
  quadratic: 0,
  decode: { constant: 0.002, linear: 0 },
  jitter: 0,
};
const context = { clock: systemClock, signal: new AbortController().signal };
const asked: Omit<OpenAiOptions, "address"> = {
  model: "demo",
  api: "auto",
  key: null,
  seed: 1,
  nonce: 1,
  timeoutSeconds: 20,
  decodeSteps: 8,
};
const servers: DemoServer[] = [];
const runners: OpenAiRunner[] = [];

async function open(quirks: readonly Quirk[], more: Partial<OpenAiOptions> = {}): Promise<OpenAiRunner> {
  const server = await startDemoServer({ law: fast, seed: 1, quirks });
  servers.push(server);
  const options: OpenAiOptions = { ...asked, address: new URL(server.url), ...more };
  const runner = await openOpenAiRunner(options, context);
  runners.push(runner);
  return runner;
}

afterEach(async () => {
  await Promise.all(runners.splice(0).map((runner) => runner.close()));
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

const prefill = (n: number, more: Partial<Cell> = {}): Cell => ({ phase: "prefill", n, depth: 0, batch: 1, ...more });
const decode = (depth: number): Cell => ({ phase: "decode", n: 1, depth, batch: 1 });

describe("the probe", () => {
  test("finds token ids, streams, counts and the context limit", async () => {
    const { probe } = await open([]);
    expect(probe).toMatchObject({ prompts: "ids", counts: true, contextLimit: 32_768, tokenizes: true });
    expect(probe.dialect).toMatchObject({ api: "completions", stream: true, fixedLength: true });
  });

  test.each<[Quirk[], Record<string, unknown>, Record<string, unknown>]>([
    [["no-token-ids"], { prompts: "text" }, { api: "completions" }],
    [["no-completions"], { prompts: "text" }, { api: "chat" }],
    [["no-ignore-eos"], { prompts: "ids" }, { fixedLength: false }],
    [["no-stream"], { prompts: "ids" }, { stream: false }],
    [["no-usage"], { counts: false, scaled: true }, { stream: true }],
    [["no-stream-options"], { counts: false, scaled: true }, { stream: true, streamUsage: false }],
    [["unnamed-limit"], { contextLimit: null, server: "nsquared-demo" }, {}],
    [["llama-timings"], { serverTimings: true, reportsCached: true }, {}],
    [["no-tokenize"], { tokenizes: false }, {}],
    [["llama-props"], { contextLimit: 32_768, version: "b6000-demo", server: "nsquared-demo" }, {}],
    [["tgi-info"], { contextLimit: 32_768, version: "3.3.6-demo" }, {}],
    [["ollama-ps"], { contextLimit: 32_768, version: "0.12.0-demo", server: "ollama" }, {}],
    [["lm-studio-models"], { contextLimit: 32_768, version: null, server: "lm-studio" }, {}],
    [["cache-hits"], { reportsCached: true }, {}],
  ])("with %s it asks in other words", async (quirks, found, dialect) => {
    const { probe } = await open(quirks);
    expect(probe).toMatchObject(found);
    expect(probe.dialect).toMatchObject(dialect);
  });

  test("a chat's template is found by two lengths, in a short context, too", async () => {
    const server = await startDemoServer({ law: { ...fast, contextLimit: 128 }, seed: 1 });
    servers.push(server);
    const short = await openOpenAiRunner({ ...asked, api: "chat", address: new URL(server.url) }, context);
    runners.push(short);
    expect(short.probe).toMatchObject({ counts: true, scale: { perUnit: 1, extra: 7 } });
    expect((await open([], { api: "chat" })).probe.scale).toEqual({ perUnit: 1, extra: 7 });
  });

  test.each<[Quirk, string]>([
    ["html", "no-server"],
    ["unauthorised", "unauthorised"],
    ["empty", "no-server"],
  ])("with %s it says so: %s", async (quirk, code) => {
    await expect(open([quirk])).rejects.toMatchObject({ code });
  });

  test("takes the key, and refuses an unknown model with those there are", async () => {
    await open(["unauthorised"], { key: "demo" });
    await expect(open([], { model: "other" })).rejects.toMatchObject({
      code: "unknown-model",
      message: expect.stringContaining("demo"),
    });
  });

  test("a server that never answers times out, one that is not there is refused", async () => {
    await expect(open(["hangs"], { timeoutSeconds: 0.2 })).rejects.toMatchObject({
      message: expect.stringContaining("took too long"),
    });
    await expect(open([], { address: new URL("http://127.0.0.1:9/v1") })).rejects.toMatchObject({ code: "no-server" });
    await expect(open([], { address: new URL("https://127.0.0.1:9/v1") })).rejects.toMatchObject({ code: "no-server" });
  });

  test("https where http is meant says so", async () => {
    const server = await startDemoServer({ law: fast, seed: 1 });
    servers.push(server);
    const address = new URL(server.url.replace("http:", "https:"));
    await expect(open([], { address })).rejects.toMatchObject({ message: expect.stringContaining("TLS") });
  });
});

describe("a sample", () => {
  const readable: Quirk[] = [
    "comments",
    "crlf",
    "multi-line-data",
    "split-utf8",
    "role-first",
    "usage-every",
    "usage-zeros",
    "several-tokens",
    "reasoning",
    "silent-first",
    "rate-limited",
    "unavailable",
  ];
  test.each(readable)("is timed in spite of %s, by both APIs", async (quirk) => {
    for (const api of ["completions", "chat"] as const) {
      const runner = await open([quirk], { api });
      const first = await runner.run(prefill(500), context);
      expect(first).toMatchObject({ status: "ok", request: { promptTokens: 500 } });
      // The law says 9 ms; a late timer may make it longer, nothing makes it shorter.
      expect(first.request?.firstTokenSeconds).toBeGreaterThan(0.0085);
      const further = await runner.run(decode(300), context);
      expect(further).toMatchObject({ status: "ok", steps: 8 });
      // 7 ms and eight steps of 2 ms; how that divides between the first token and the others is up to timers.
      expect(further.request?.endToEndSeconds).toBeGreaterThan(0.0225);
      expect(further.request?.tokenSeconds).toBeGreaterThan(0);
    }
  });

  test("has the server's own progress through the prompt beside it", async () => {
    const { request } = await (await open(["llama-timings"])).run(prefill(5000), context);
    expect(request?.serverProgress?.map(({ tokens }) => tokens)).toEqual([2048, 4096, 5000]);
    expect(request?.serverProgress?.at(-1)?.seconds).toBeCloseTo(request?.serverPrefillSeconds ?? 0, 9);
    // Progress is no token.
    expect(request?.firstTokenSeconds).toBeGreaterThan(0.053);
  });

  test.each([1, 4])(
    "has its wanted length though the vocabulary splits words, once it was counted: %i at once",
    async (batch) => {
      const runner = await open(["short-tokens"], { api: "chat" });
      for (const n of [333, 4000]) {
        await runner.run(prefill(n, { batch }), context);
        for (let turn = 0; turn < 3; turn += 1) {
          const { status, request } = await runner.run(prefill(n, { batch }), context);
          expect(status).toBe("ok");
          expect(Math.abs((request?.promptTokens ?? 0) - n)).toBeLessThanOrEqual(1);
        }
      }
    },
  );

  test("has its wanted length behind a cached prefix, too", async () => {
    const runner = await open(["short-tokens", "no-token-ids", "reports-cached"]);
    const cell = prefill(538 - 256, { depth: 256 });
    expect(await runner.run(cell, context)).toMatchObject({ reason: expect.stringContaining("counted 534") });
    for (let turn = 0; turn < 3; turn += 1) {
      expect(await runner.run(cell, context)).toMatchObject({ status: "ok" });
    }
  });

  test("is called cut where a longer prompt is counted as no longer", async () => {
    const runner = await open(["truncates"]);
    const reasons: unknown[] = [];
    for (let turn = 0; turn < 3; turn += 1) reasons.push(await runner.run(prefill(1020), context));
    const counted = "a prompt of 1020 tokens was sent, the server counted 1000";
    const reason = `${counted}; the server cuts prompts silently`;
    expect(reasons).toMatchObject([{ reason: counted }, { reason }, { reason }]);
  });

  test("counts the refusals before it", async () => {
    const runner = await open(["rate-limited"]);
    const outcomes = [];
    for (let turn = 0; turn < 3; turn += 1) outcomes.push(await runner.run(prefill(50 + turn), context));
    expect(Math.max(...outcomes.map(({ request }) => request?.retries ?? 0))).toBe(1);
  });

  test.each<[Quirk, Cell, string, string]>([
    ["truncates", prefill(2000), "rejected", "the server cuts prompts silently"],
    ["stops-early", decode(300), "rejected", "ended after 4 of 9 tokens"],
  ])("with %s is rejected with the reason", async (quirk, cell, status, reason) => {
    const outcome = await (await open([quirk])).run(cell, context);
    expect(outcome).toMatchObject({ status, reason: expect.stringContaining(reason) });
  });

  test.each<[Quirk, string]>([
    ["cut", "cut in the middle"],
    ["error-in-stream", "CUDA error: out of memory"],
    ["error-line", "decode failed: no space in the cache"],
  ])("with %s has failed, and no time", async (quirk, reason) => {
    // The probe asks for two tokens: the fault begins with the second.
    await expect(open([quirk])).rejects.toMatchObject({ message: expect.stringContaining(reason) });
  });

  test("never finds its own prompt in the server's cache, and reuses a prefix where it should", async () => {
    const runner = await open(["reports-cached"]);
    for (let turn = 0; turn < 3; turn += 1) {
      expect(await runner.run(prefill(640), context)).toMatchObject({ status: "ok", request: { cachedTokens: 0 } });
    }
    const deep = await runner.run(prefill(64, { depth: 640 }), context);
    expect(deep).toMatchObject({ status: "ok", request: { promptTokens: 704, cachedTokens: 640 } });
  });

  test("a later run with the same seed finds nothing of an earlier one in the server's cache", async () => {
    const first = await open(["reports-cached"]);
    const address = new URL(servers.at(-1)?.url ?? "");
    const later = await openOpenAiRunner({ ...asked, address, nonce: 2 }, context);
    runners.push(later);
    for (const runner of [first, later]) {
      expect(await runner.run(prefill(640), context)).toMatchObject({ status: "ok", request: { cachedTokens: 0 } });
    }
  });

  test("of requests at once is rejected where the server refused some of them at first", async () => {
    const runner = await open(["rate-limited"]);
    expect(await runner.run(prefill(100, { batch: 6 }), context)).toMatchObject({
      status: "rejected",
      reason: expect.stringMatching(/\d of 6 requests were refused at first/),
    });
  });

  test("is doubted where this process was too busy to stamp it, and only there", async () => {
    const runner = await open([]);
    await runner.run(decode(128), context);
    await runner.run(prefill(20_000), context);
    expect(runner.warnings()).toEqual([]);
    let running = true;
    const spin = (): void => {
      const end = performance.now() + 5;
      while (performance.now() < end);
      if (running) setImmediate(spin);
    };
    spin();
    await runner.run(prefill(20_000), context);
    running = false;
    expect(runner.warnings()).toMatchObject([{ code: "client-saturated" }]);
  });

  test("where nobody counts the prompts is doubted", async () => {
    expect((await open(["no-usage"])).warnings()).toMatchObject([{ code: "uncounted" }]);
  });

  test("that ran out of time keeps what came before", async () => {
    const runner = await open([], { timeoutSeconds: 0.15, decodeSteps: 400 });
    const outcome = await runner.run(decode(1000), context);
    expect(outcome).toMatchObject({ status: "failed", request: { timedOut: true } });
    expect(outcome.request?.firstTokenSeconds).toBeGreaterThan(0.01);
    expect(outcome.request?.endToEndSeconds).toBeGreaterThan(outcome.request?.firstTokenSeconds ?? 1);
  });

  test("is the middle of requests at once", async () => {
    const runner = await open([]);
    const outcome = await runner.run(prefill(100, { batch: 8 }), context);
    expect(outcome.status).toBe("ok");
    expect(runner.spentTokens().input).toBeGreaterThanOrEqual(800);
  });

  test("of a server without streams is the time of a whole answer of one token", async () => {
    const runner = await open(["no-stream"]);
    expect(runner.capabilities.phases).not.toContain("decode");
    expect(await runner.run(prefill(500), context)).toMatchObject({ status: "ok", request: { promptTokens: 500 } });
  });
});
