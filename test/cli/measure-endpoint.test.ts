import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { readRun } from "../../src/runs/read.js";
import { type MeasureDocument, measureDocument } from "../../src/study/documents/measure.js";
import { file, measure, measureWithKey, serve } from "./endpoint.js";
import { command } from "./harness.js";

// A second or two each on a machine at rest.
vi.setConfig({ testTimeout: 120_000 });

describe("nsquared measure <address>", () => {
  test("recovers the server's law from outside", async () => {
    const out = file("run.json");
    const law = { constant: 0.05, linear: 1e-4, quadratic: 1e-7 };
    const url = await serve({ ...law, jitter: 0.01 });
    const { code } = await measure(url, out, "--lengths", "128..2k", "--repeat", "3");
    expect(code).toBe(0);
    // A level that a busy machine does not break once in twenty runs of the tests.
    const fitted = await command(["fit", out, "--level", "99.9%", "--json"]);
    const { coefficients } = (JSON.parse(fitted.out) as { law: { coefficients: Record<string, Interval> } }).law;
    expect(inside(coefficients["linear"], law.linear)).toBe(true);
    expect(inside(coefficients["quadratic"], law.quadratic)).toBe(true);
    // The client sees the connection, too: about a millisecond of the constant is not the server's.
    const constant = coefficients["constant"];
    expect(constant?.low).toBeLessThan(law.constant + 0.01);
    expect(constant?.high).toBeGreaterThan(law.constant);
  });

  test("keeps what it found out about the server, and no key", async () => {
    const out = file("run.json");
    const url = await serve({}, "unauthorised", "llama-timings");
    const flags = ["--out", out, "--lengths", "64", "--phase", "prefill,decode", "--repeat", "1"];
    const { code, err } = await measureWithKey(url, "DEMO_KEY", "demo", ...flags);
    expect(code).toBe(0);
    const kept = await readRun(out);
    expect(kept.probe).toMatchObject({ "server timings": true, "context limit": 32_768 });
    expect(kept.runtime.options).toMatchObject({ api: "completions", prompts: "ids", streams: true });
    expect(kept.samples.find(({ phase }) => phase === "decode")).toMatchObject({ depth: 64, steps: 32 });
    expect(kept.samples[0]?.request?.serverPrefillSeconds).toBeGreaterThan(0);
    const bearer = /bearer/i;
    expect([err, readFileSync(out, "utf8")].some((text) => bearer.test(text))).toBe(false);
  });

  test("measures until a length is known, and asks for nothing as long as what the server cuts", async () => {
    const law = { constant: 0.005, linear: 4e-5, quadratic: 0, jitter: 0.01 };
    const aim = ["--lengths", "64,128,256,512", "--json", "--warmups", "1"];
    const known = await measure(await serve(law), file("a.json"), ...aim, "--until", "25%@2k", "--time", "20s");
    expect(known.code).toBe(0);
    expect(known.err).toContain("first blocks: about ");
    const { until } = measureDocument.parse(JSON.parse(known.out));
    expect(until).toMatchObject({ n: 2048, reached: true, reason: "reached" });
    // The busier this machine, the later it sees the tokens.
    expect(until?.low).toBeLessThan(3 * (law.constant + law.linear * 2048));
    expect(until?.high).toBeGreaterThan(law.constant + law.linear * 2048);
    const cut = await measure(
      await serve(law, "truncates"),
      file("b.json"),
      ...aim,
      "--until",
      "1%@8k",
      "--time",
      "6s",
    );
    const { samples, until: short } = measureDocument.parse(JSON.parse(cut.out));
    expect(short?.reached).toBe(false);
    const refused = samples.flatMap(({ n, rejected, warmup }) => (warmup || rejected === null ? [] : [n]));
    expect(refused.length).toBeGreaterThan(0);
    expect(new Set(refused).size, "none is asked for again").toBe(refused.length);
  });

  test("keeps requests at once apart: a law and a row for each number of them", async () => {
    const out = file("run.json");
    const flags = ["--lengths", "64..512", "--repeat", "2", "--concurrency", "1,3"];
    const { code, out: shown } = await measure(await serve({}, "llama-timings"), out, ...flags);
    expect(code).toBe(0);
    expect(shown).toMatch(/phase +at once +n +median +server's own/);
    expect(shown.match(/^prefill +3 /gm)).toHaveLength(4);
    const samplesOf = async (...more: string[]): Promise<number> => {
      const fitted = await command(["fit", out, "--json", ...more]);
      return (JSON.parse(fitted.out) as { samples: number }).samples;
    };
    expect([await samplesOf(), await samplesOf("--batch", "3")]).toEqual([8, 8]);
    const fitted = await command(["fit", out, "--no-plot"]);
    expect(fitted.out).toContain("also there: prefill over length, batch 3, 4 lengths");
    const absent = await command(["fit", out, "--batch", "2"]);
    expect([absent.code, absent.err]).toEqual([2, expect.stringContaining('batch is "batch 2"')]);
  });

  test("varies the cached tokens before a prefill: a row and a law for each, and one law over both", async () => {
    const out = file("run.json");
    const flags = ["--lengths", "64,256,512", "--depths", "0,1k", "--repeat", "2", "--json"];
    const ran = await measure(await serve({}, "reports-cached", "llama-timings"), out, ...flags);
    expect(ran.code).toBe(0);
    const { lengths, samples } = JSON.parse(ran.out) as MeasureDocument;
    expect(lengths.map(({ cached, n }) => [cached, n])).toEqual([
      [0, 64],
      [0, 256],
      [0, 512],
      [1024, 64],
      [1024, 256],
      [1024, 512],
    ]);
    for (const { serverSeconds, seconds } of lengths) expect(serverSeconds ?? 0).toBeLessThan(seconds);
    expect(samples.every(({ serverSeconds }) => (serverSeconds ?? 0) > 0)).toBe(true);
    const fitted = await command(["fit", out, "--no-plot"]);
    expect(fitted.out).toMatch(/law over both n and c[^]*per pair n² \+ 2·n·c[^]*c = 0 +c = 1k +c = 2k +c = 4k/);
    expect(fitted.out).toContain("6 samples at 64 … 512");
    const deep = await command(["fit", out, "--no-plot", "--fixed", "1k"]);
    expect(deep.out).toContain("read as          run, over new tokens after 1k cached ones\n");
    const over = await command(["fit", out, "--no-plot", "--axis", "depth", "--json"]);
    expect(JSON.parse(over.out)).toMatchObject({ range: { from: 64, to: 1088 }, source: { axis: "depth", fixed: 64 } });
    const page = file("report.html");
    const report = await command(["report", out, "--out", page]);
    expect(report.out).toMatch(
      /Prefill after cached tokens law over n new and c cached tokens[^]*after 0 +after 1k +after 2k/,
    );
    expect(readFileSync(page, "utf8")).toContain("Time of a prefill after cached tokens");
  });

  test("gates and reports take its runs; a report names the server, and predicts where model and device are known", async () => {
    const out = file("run.json");
    // Long enough that a busy machine scatters it little.
    await measure(await serve({ constant: 0.1 }), out, "--lengths", "64..512", "--repeat", "3");
    const gate = await command(["check", out, "--limit", "ttft@512<10s", "--limit", "ttft@512<1ms"]);
    expect([gate.code, gate.out]).toEqual([1, expect.stringContaining("ttft@512<1ms")]);
    const page = file("report.html");
    const plain = await command(["report", out, "--out", page]);
    expect([plain.code, plain.err]).toEqual([0, expect.stringContaining("name the server's model with --model")]);
    const { source, name } = (await readRun(out)).model;
    expect(plain.out.split("\n").slice(0, 2)).toEqual([
      name,
      expect.stringMatching(new RegExp(`^made for 32k tokens · served at ${source} · nsquared-demo`)),
    ]);
    const html = readFileSync(page, "utf8");
    expect(html).toContain(`measured from outside at ${source}`);
    expect(html).toMatch(/<h3>Server<\/h3>[^]*no-op seconds[^]*Machine of the client/);
    const half = await command(["report", out, "--no-html", "--model", "SmolLM2-135M"]);
    expect([half.code, half.err]).toEqual([2, expect.stringContaining("--on is missing; a server tells neither")]);
    const both = await command(["report", out, "--no-html", "--model", "SmolLM2-135M", "--on", "h100"]);
    expect([both.code, both.out]).toEqual([0, expect.stringContaining("predicted")]);
  });
});

interface Interval {
  readonly low: number;
  readonly high: number;
}

function inside(interval: Interval | undefined, value: number): boolean {
  return interval !== undefined && interval.low <= value && value <= interval.high;
}
