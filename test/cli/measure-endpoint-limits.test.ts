import { writeFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { readRun } from "../../src/runs/read.js";
import { file, measure, serve } from "./endpoint.js";
import { command } from "./harness.js";

// A second or two each on a machine at rest.
vi.setConfig({ testTimeout: 120_000 });

describe("how long a run goes on, and what it costs", () => {
  test("cuts the ladder at the context the server names, or finds it by bisection", async () => {
    const out = file("run.json");
    const named = await measure(await serve({ contextLimit: 300 }), out, "--lengths", "64..1k", "--repeat", "1");
    expect([named.code, named.err]).toEqual([0, expect.stringContaining("512, 1k are left out")]);
    expect((await readRun(out)).warnings.map(({ code }) => code)).toContain("context-limit");
    const none = await measure(await serve({ contextLimit: 300 }), file("b.json"), "--lengths", "512..1k");
    expect([none.code, none.err]).toEqual([2, expect.stringContaining("at most 300 tokens")]);
  });

  test("finds a limit that is not named, whether longer prompts are refused or cut", async () => {
    for (const [quirk, limit] of [
      ["no-tokenize", 600],
      ["truncates", 8192],
    ] as const) {
      const out = file("run.json");
      const url = await serve({ contextLimit: limit, linear: 0 }, "unnamed-limit", quirk);
      const ran = await measure(url, out, "--lengths", "128..4k", "--repeat", "1");
      expect([ran.code, ran.err]).toEqual([
        0,
        expect.stringMatching(/refused or cut longer prompts.* 4k are left out/),
      ]);
      // The quirk cuts at 1,000 tokens.
      const { plan, samples } = await readRun(out);
      expect(Math.max(...plan.cells.map(({ n }) => n))).toBe(512);
      expect(samples.every(({ rejected }) => rejected === null)).toBe(true);
    }
  });

  test("a server that dies leaves its samples, an incomplete run and exit code 3", async () => {
    const out = file("run.json");
    const ran = await measure(await serve({}, "dies"), out, "--lengths", "64..512", "--repeat", "4");
    expect([ran.code, ran.out]).toEqual([3, expect.stringContaining(`with --resume ${out}`)]);
    const kept = await readRun(out);
    expect(kept.status).toBe("incomplete");
    expect(kept.samples.filter(({ seconds }) => seconds !== null).length).toBeGreaterThan(5);
    // The request in which it died, and the one that found nobody: no cell is tried after that.
    expect(kept.samples.filter(({ seconds }) => seconds === null).length).toBeLessThanOrEqual(2);
    const ended = kept.warnings.find(({ code }) => code === "ended");
    expect(ended?.message).toMatch(
      /ended early: the server is gone: nothing listens there any more; samples that are kept and of use: \d+/,
    );
    const resumed = file("more.json");
    const again = await measure(kept.model.source, resumed, "--resume", out);
    expect([again.code, again.err]).toEqual([2, expect.stringContaining("nothing listens there")]);
  });

  test("--resume measures what is missing, in a run that names its parent", async () => {
    const [out, more] = [file("run.json"), file("more.json")];
    const url = await serve();
    await measure(url, out, "--lengths", "64,128", "--repeat", "2");
    const whole = await readRun(out);
    const nothing = await measure(url, more, "--resume", out);
    expect([nothing.code, nothing.err]).toEqual([2, expect.stringContaining("a run in which some are missing")]);
    // As if it had been stopped before its last sample.
    const last = whole.samples.findLastIndex(({ phase }) => phase === "prefill");
    const cut = { ...whole, status: "interrupted", samples: whole.samples.filter((_, index) => index !== last) };
    writeFileSync(out, JSON.stringify(cut));
    expect((await measure(url, more, "--resume", out)).code).toBe(0);
    const child = await readRun(more);
    expect(child.parent).toBe(whole.id);
    const both = await command(["fit", out, more, "--json"]);
    expect((JSON.parse(both.out) as { samples: number }).samples).toBe(4);
    const unlike = await measure(url, file("other.json"), "--resume", out, "--decode-tokens", "8");
    expect([unlike.code, unlike.err]).toEqual([
      2,
      expect.stringContaining("decode steps is 8; 32, as in the run to resume"),
    ]);
    expect(child.samples.filter(({ phase }) => phase === "prefill")).toHaveLength(1);
    const other = await measure(await serve(), file("x.json"), "--resume", out);
    expect([other.code, other.err]).toEqual([2, expect.stringContaining("model.digest")]);
  });

  test("stops at --max-tokens and says so", async () => {
    const out = file("run.json");
    const url = await serve();
    await measure(url, out, "--lengths", "64..512", "--repeat", "9", "--max-tokens", "2500");
    const { warnings, samples } = await readRun(out);
    expect(warnings.map(({ code }) => code)).toContain("token-limit");
    expect(samples.length).toBeLessThan(20);
  });

  test("a cap on tokens below what the shortest length takes ends before anything is timed", async () => {
    const { code, err } = await measure(await serve(), file("r.json"), "--lengths", "512,1k", "--max-tokens", "900");
    expect([code, err]).toEqual([
      2,
      expect.stringMatching(
        /--max-tokens: tokens is 900; at least 1\d{3}: \d+ were spent on asking, and .* of 512 take/,
      ),
    ]);
  });

  test("no more tokens than the cap are spent, asking and searching for the context included", async () => {
    const out = file("run.json");
    const url = await serve({ contextLimit: 600 }, "unnamed-limit");
    const flags = ["--lengths", "64..512", "--repeat", "9", "--max-tokens", "4000", "--warmups", "1"];
    expect((await measure(url, out, ...flags)).code).toBe(0);
    const { samples } = await readRun(out);
    const spent = samples.reduce((sum, { request }) => sum + (request?.promptTokens ?? 0) + 1, 0);
    expect(spent).toBeGreaterThan(1000);
    // Asking took four prompts of some words.
    expect(spent).toBeLessThan(4000 - 4 * 60);
  });

  test("a run towards a goal keeps the cap, warm-ups of new lengths included", async () => {
    const out = file("run.json");
    const url = await serve({ jitter: 0.05 });
    const flags = ["--lengths", "64,128,256", "--until", "0.1%@2k", "--time", "20s", "--max-tokens", "12000"];
    expect((await measure(url, out, ...flags, "--warmups", "2")).code).toBe(0);
    const { samples, warnings } = await readRun(out);
    const spent = samples.reduce((sum, { request }) => sum + (request?.promptTokens ?? 0) + 1, 0);
    expect(warnings.map(({ code }) => code)).toContain("token-limit");
    expect(spent).toBeGreaterThan(2000);
    expect(spent).toBeLessThan(12_000 - 4 * 60);
  });

  test("an answer that never comes does not outlast --time by more than once", async () => {
    const out = file("run.json");
    const url = await serve({ constant: 0.01, linear: 0.1 });
    const start = performance.now();
    const ran = await measure(url, out, "--lengths", "64,2k", "--time", "2s", "--phase", "prefill", "--api", "chat");
    expect(performance.now() - start).toBeLessThan(30_000);
    expect([ran.code, ran.err]).toEqual([2, expect.stringMatching(/no answer within 2 s.*a larger --timeout/)]);
  });

  test("says what it will cost, and wants a yes", async () => {
    const url = await serve();
    const asked = [
      "measure",
      url,
      "--model-name",
      "demo",
      "--price-in",
      "2",
      "--price-out",
      "8",
      "--out",
      file("r.json"),
    ];
    const refused = await command(asked);
    expect([refused.code, refused.err]).toEqual([2, expect.stringMatching(/requests.*price.*--yes/s)]);
  });
});
