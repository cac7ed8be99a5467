import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type DemoLaw, healthyLaw } from "../../src/demo/law.js";
import type { Quirk } from "../../src/demo/quirks.js";
import { type DemoServer, startDemoServer } from "../../src/demo/server.js";
import { run } from "../../src/cli/run.js";
import { measureDocument } from "../../src/study/documents/measure.js";
import { readRun } from "../../src/runs/read.js";
import type { MeasureDocument } from "../../src/study/documents/measure.js";
import { type Ran, command, temporaryFolder } from "./harness.js";

// A second or two each on a machine at rest.
vi.setConfig({ testTimeout: 120_000 });

const servers: DemoServer[] = [];
const folders: ReturnType<typeof temporaryFolder>[] = [];

async function serve(law: Partial<DemoLaw> = {}, ...quirks: Quirk[]): Promise<string> {
  const server = await startDemoServer({ law: { ...healthyLaw, constant: 0.003, ...law }, seed: 5, quirks });
  servers.push(server);
  return server.url;
}

function file(name: string): string {
  const folder = temporaryFolder();
  folders.push(folder);
  return join(folder.path, name);
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  for (const folder of folders.splice(0)) folder.remove();
});

const quick = ["--model-name", "demo", "--yes", "--warmups", "0"];

function measure(url: string, out: string, ...more: string[]): Promise<Ran> {
  return command(["measure", url, ...quick, "--out", out, ...more]);
}

/** A port where nothing listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return typeof address === "object" && address !== null ? address.port : 1;
}

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
    let err = "";
    const words = ["measure", url, ...quick, "--out", out, "--lengths", "64", "--phase", "prefill,decode"];
    const code = await run([...words, "--repeat", "1", "--api-key-env", "DEMO_KEY"], {
      out: () => undefined,
      err: (text) => {
        err += text;
      },
      outIsTerminal: false,
      errIsTerminal: false,
      columns: 100,
      environment: { DEMO_KEY: "demo" },
      directory: ".",
      signal: new AbortController().signal,
    });
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

describe("bad input about servers", () => {
  test.each<[string, readonly string[], string]>([
    ["an unknown model", ["--model-name", "gpt-9"], "a model it serves: demo"],
    ["no model name", [], "--model-name is missing"],
  ])("%s", async (_, flags, message) => {
    const { code, err } = await command(["measure", await serve(), "--yes", ...flags]);
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  });

  test.each<[string, Quirk, string]>([
    ["a web page", "html", "expected that of an OpenAI-compatible API; its address often ends in /v1"],
    ["a missing key", "unauthorised", "HTTP 401"],
  ])("%s", async (_, quirk, message) => {
    const { code, err } = await measure(await serve({}, quirk), file("r.json"));
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  });

  test.each<[string, readonly string[], string]>([
    ["a batch", ["--batch", "4"], "--concurrency"],
    ["threads", ["--threads", "2"], "a server's threads are its own"],
  ])("%s of its own", async (_, flags, message) => {
    const { code, err } = await measure(await serve(), file("r.json"), ...flags);
    expect([code, err]).toEqual([2, expect.stringContaining(message)]);
  });

  test("flags of servers for a model", async () => {
    const { code, err } = await command(["measure", "SmolLM2-135M", "--concurrency", "1,4"]);
    expect([code, err]).toEqual([2, expect.stringContaining("--batch, or the address of a server")]);
  });

  test("another protocol on that port", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.end("SSH-2.0-OpenSSH_9.2\r\n");
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 1;
    const { code, err } = await measure(`http://127.0.0.1:${port}/v1`, file("r.json"));
    server.close();
    expect([code, err]).toEqual([2, expect.stringContaining("does not speak HTTP")]);
  });

  test("Ctrl-C before the first sample measures nothing", async () => {
    const stop = new AbortController();
    let err = "";
    const running = run(["measure", await serve({}, "hangs"), ...quick], {
      out: () => undefined,
      err: (text) => {
        err += text;
      },
      outIsTerminal: false,
      errIsTerminal: false,
      columns: 100,
      environment: {},
      directory: ".",
      signal: stop.signal,
    });
    setTimeout(() => {
      stop.abort();
    }, 50);
    expect([await running, err]).toEqual([130, expect.stringContaining("nothing was measured")]);
  });

  test("a key with odd characters, without showing it", async () => {
    let err = "";
    const code = await run(["measure", "http://127.0.0.1:9/v1", ...quick, "--api-key-env", "ODD_KEY"], {
      out: () => undefined,
      err: (text) => {
        err += text;
      },
      outIsTerminal: false,
      errIsTerminal: false,
      columns: 100,
      environment: { ODD_KEY: "se cret" },
      directory: ".",
      signal: new AbortController().signal,
    });
    expect([code, err]).toEqual([2, expect.stringContaining("ODD_KEY: API key is")]);
    expect(err).not.toContain("cret");
  });

  test("no server, TLS where there is none, a password in the address", async () => {
    const gone = await measure(`http://127.0.0.1:${await freePort()}/v1`, file("r.json"));
    expect([gone.code, gone.err]).toEqual([2, expect.stringContaining("nothing listens there")]);
    const tls = await measure((await serve()).replace("http:", "https:"), file("r.json"));
    expect([tls.code, tls.err]).toEqual([2, expect.stringContaining("TLS")]);
    const secret = await measure("http://me:secret@127.0.0.1/v1", file("r.json"));
    expect(secret.code).toBe(2);
    expect(secret.err).not.toContain("secret");
  });
});

interface Interval {
  readonly low: number;
  readonly high: number;
}

function inside(interval: Interval | undefined, value: number): boolean {
  return interval !== undefined && interval.low <= value && value <= interval.high;
}
