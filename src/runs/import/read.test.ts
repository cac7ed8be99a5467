import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { run } from "../../../test/support/runs.js";
import { formatRun } from "../parse.js";
import { readSamples } from "./read.js";

const folder = mkdtempSync(join(tmpdir(), "nsquared-import-"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

let files = 0;
function file(text: string): string {
  files += 1;
  const path = join(folder, `f${files}.txt`);
  writeFileSync(path, text);
  return path;
}

const read = (text: string) => readSamples([file(text)]);
const refused = async (text: string) => {
  try {
    await read(text);
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^\S+\.txt/, "f") : String(error);
  }
  throw new Error("was read");
};

const llama = (change: Record<string, unknown> = {}) => ({
  build_commit: "8cf427ff",
  cpu_info: "AMD Ryzen 7 7800X3D 8-Core Processor",
  gpu_info: "NVIDIA GeForce RTX 4080",
  backends: "CUDA",
  model_filename: "models/Qwen2.5-7B-Instruct-Q4_K_M.gguf",
  model_type: "qwen2 7B Q4_K - Medium",
  n_threads: 8,
  n_prompt: 512,
  n_gen: 0,
  n_depth: 0,
  avg_ns: 72135640,
  stddev_ns: 1453752,
  avg_ts: 7100.002165,
  stddev_ts: 140.34152,
  samples_ns: [74601900, 71632900],
  ...change,
});

describe("tables", () => {
  test("CSV columns are found by name, with their unit", async () => {
    const { series, units, model, format } = await read(
      "Model,Input tokens,Latency (ms),note\nm,128,100,a\nm,256,210,b\nm,128,101,c\n",
    );
    expect(format).toBe("csv/rows");
    expect(model).toBe("m");
    expect(units).toEqual(["Latency (ms) in ms"]);
    expect(series).toHaveLength(1);
    expect(series[0]?.points).toEqual([
      { n: 128, seconds: 0.1 },
      { n: 128, seconds: 0.101 },
      { n: 256, seconds: 0.21 },
    ]);
  });

  test.each([
    ["n,seconds\n8,2\n", 2],
    ["n;time\n8;350 ms\n", 0.35],
    ["n\ttime_us\n8\t500\n", 0.0005],
    ["n,tok/s\n8,4\n", 2],
    ["n,tokens_per_second\n8,16\n", 0.5],
    ["n,speed\n8,4.1k tok/s\n".replace("speed", "time"), 8 / 4100],
  ])("units are parsed: %j", async (text, seconds) => {
    const { series } = await read(text);
    expect(series[0]?.points[0]?.seconds).toBeCloseTo(seconds, 12);
  });

  test.each([
    ["date", "2026-11-26T10:00:00Z", 1_795_687_200],
    ["timestamp_ms", "1795687200250", 1_795_687_200.25],
    ["start_time", "1795687200000000000", 1_795_687_200],
    ["started", "12.5", 12.5],
  ])("a column of moments is kept with each sample: %s %s", async (name, text, at) => {
    const { series } = await read(`${name},n,seconds\n${text},128,0.1\n`);
    expect(series[0]?.points).toEqual([{ n: 128, seconds: 0.1, at }]);
  });

  test("llama-bench's rows and vLLM's requests say when they were measured", async () => {
    const row = { test_time: "2026-11-26T10:00:00Z", n_prompt: 128, n_gen: 0, samples_ns: [1e9, 2e9], avg_ns: 1.5e9 };
    const bench = await read(JSON.stringify([row]));
    expect(bench.series[0]?.points.map(({ at }) => at)).toEqual([1_795_687_201, 1_795_687_203]);
    const serve = { input_lens: [100, 200], ttfts: [0.1, 0.2], output_lens: [1, 1], start_times: [7, 9] };
    const requests = await read(JSON.stringify({ ...serve, max_concurrency: 1 }));
    expect(requests.series[0]?.points.map(({ at }) => at)).toEqual([7, 9]);
  });

  test("columns can be named where their names say nothing", async () => {
    const path = file("a,b\n128,5\n256,11\n");
    const { series } = await readSamples([path], { columns: { length: "a", time: "b:ms" } });
    expect(series[0]?.points.map((point) => point.seconds)).toEqual([0.005, 0.011]);
  });

  test("TTFT and TPOT of one row are a prefill and a decode step", async () => {
    const { series } = await read("input_len,ttft_ms,tpot_ms\n128,100,20\n256,200,21\n");
    expect(series.map(({ phase, axis }) => `${phase} ${axis}`)).toEqual(["prefill length", "decode depth"]);
    expect(series[1]?.points).toEqual([
      { n: 128, seconds: 0.02 },
      { n: 256, seconds: 0.021 },
    ]);
  });

  test("length and depth are different axes and never mixed", async () => {
    const rows = ["n,depth,seconds", "512,0,1", "1024,0,2", "512,4096,1.5", "512,8192,2.1"];
    const { series } = await read(rows.join("\n"));
    expect(series.map(({ axis, fixed, points }) => [axis, fixed, points.map(({ n }) => n)])).toEqual([
      ["length", 0, [512, 1024]],
      ["depth", 512, [512, 4608, 8704]],
    ]);
  });

  test("JSON lines and arrays of rows read like tables", async () => {
    const lines = await read('{"n":128,"seconds":0.1}\n{"n":256,"seconds":0.2}\n');
    const array = await read('[{"n":128,"seconds":0.1},\n{"n":256,"seconds":0.2}]');
    expect(lines.format).toBe("json-lines/rows");
    expect(array.format).toBe("json/rows");
    expect(array.series).toEqual(lines.series);
  });

  test("a table with very many rows and lengths is thinned and still a series", async () => {
    const rows = ["n,ms"];
    for (let i = 0; i < 60_000; i += 1) rows.push(`${100 + (i % 30_000)},${100 + (i % 30_000)}`);
    const { series, notes } = await read(rows.join("\n"));
    expect(series[0]?.count).toBe(60_000);
    expect(series[0]?.lengths).toBeLessThanOrEqual(257);
    expect(notes.map(({ code }) => code)).toEqual(["lengths-grouped"]);
    for (const { n, seconds } of series[0]?.points ?? []) expect(Math.abs((seconds * 1000) / n - 1)).toBeLessThan(0.03);
  });

  test("repeats beyond two thousand are drawn at random, and all are counted", async () => {
    const rows = ["n,ms"];
    for (let i = 0; i < 5000; i += 1) rows.push(`128,${i + 1}`, `256,7`);
    const { series } = await read(rows.join("\n"));
    const kept = series[0]?.points.filter(({ n }) => n === 128).map(({ seconds }) => seconds) ?? [];
    expect(series[0]?.count).toBe(10_000);
    expect(kept).toHaveLength(2000);
    expect(kept.reduce((sum, value) => sum + value, 0) / kept.length).toBeCloseTo(2.5, 0);
  });
});

describe("what cannot be right is refused in one line", () => {
  test.each([
    ["n,seconds\n128,0\n", /^f:2: time is 0; a positive time/],
    ["n,seconds\n128,1\n256,-1\n", /^f:3: time is -1/],
    ["n,seconds\n128,NaN\n", /^f:2: seconds is "NaN"/],
    ["n,seconds\n0,1\n", /^f:2: length is 0; tokens from 1/],
    ["n,seconds\nmany,1\n", /length is "many"; a number of tokens/],
    ["n,ms\n128,5\n256,7s\n", /units are mixed: the column is in ms/],
    ["n,time\n128,5ms\n256,7\n", /no unit|units are mixed/],
    ["n,latency\n128,5\n", /no unit: name one of/],
    ["n,latency_ms,seconds\n128,5,1\n", /one column of times, not latency_ms and seconds/],
    ["n,tokens,seconds\n128,1,1\n", /one column of length, not n and tokens/],
    ["when,what\n1,2\n", /columns is "when, what"; expected a column of lengths/],
    ["n,seconds\n128\n", /^f:2: columns is 1; 2, as in the header/],
    ["machine,n,seconds\na,128,1\nb,256,2\n", /^f:3: machine is "b", but "a" in \S+:2; samples that differ in it/],
    ["model,n,seconds\na,128,1\nb,256,2\n", /model is "b", but "a"/],
    ['{"n":128,"seconds":1}\n{"n":', /:2: line is .*one JSON object a line/],
    ['{"n":128,', /content is .*JSON that ends/],
    ["hello", /content is "hello"; expected a run file of nsquared, a CSV/],
    ["", /expected a run file/],
    ['{"a":1}\n{"a":2}\n', /columns is "a"/],
    ['{"a":1, "b":2}', /keys is "a, b"; expected a run file/],
    ["# by hand\n\nn,seconds\n128,0\n", /^f:4: time is 0/],
  ])("%j", async (text, message) => {
    expect(await refused(text)).toMatch(message);
  });
});

describe("llama-bench", () => {
  test("samples in JSON and JSON lines are prefill and decode steps apart", async () => {
    const rows = [
      llama(),
      llama({ n_prompt: 1024, samples_ns: [150e6, 152e6] }),
      llama({ n_prompt: 0, n_gen: 128, samples_ns: [1.28e9, 1.2928e9] }),
      llama({ n_prompt: 0, n_gen: 128, n_depth: 4096, samples_ns: [1.408e9, 1.408e9] }),
      llama({ n_prompt: 512, n_gen: 128 }),
    ];
    const json = await read(JSON.stringify(rows, null, 2));
    const lines = await read(rows.map((row) => JSON.stringify(row)).join("\n"));
    expect(json.format).toBe("json/llama-bench");
    expect(lines.format).toBe("json-lines/llama-bench");
    expect(lines.series).toEqual(json.series);
    expect(json.model).toBe("models/Qwen2.5-7B-Instruct-Q4_K_M.gguf");
    const [prefill, decode] = json.series;
    expect(prefill?.points[0]).toEqual({ n: 512, seconds: expect.closeTo(0.0746019, 9) });
    expect(decode?.points.map(({ n, seconds }) => [n, seconds.toFixed(6)])).toEqual([
      [63.5, "0.010000"],
      [63.5, "0.010100"],
      [4159.5, "0.011000"],
      [4159.5, "0.011000"],
    ]);
    expect(json.notes.map(({ code }) => code)).toEqual(["mixed-tests-left-out"]);
  });

  test("CSV has means and their spread, which becomes the assumed noise", async () => {
    const csv =
      "build_commit,cpu_info,gpu_info,model_filename,n_prompt,n_gen,n_depth,test_time,avg_ns,stddev_ns,avg_ts,stddev_ts\n" +
      '"8cf427ff","CPU","GPU","m.gguf","512","0","0","2025-04-24T11:57:09Z","70000000","700000","7285.6","100.0"\n' +
      '"8cf427ff","CPU","GPU","m.gguf","1024","0","0","2025-04-24T11:57:10Z","150000000","3000000","6826.6","100.0"\n';
    const { series, format } = await read(csv);
    expect(format).toBe("csv/llama-bench");
    expect(series[0]?.points.map(({ n, seconds }) => [n, seconds.toFixed(6)])).toEqual([
      [512, "0.070000"],
      [1024, "0.150000"],
    ]);
    expect(series[0]?.spread).toBeCloseTo(Math.sqrt((0.01 ** 2 + 0.02 ** 2) / 2), 6);
  });

  test("two models or two machines in one file do not mix", async () => {
    const rows = (change: Record<string, unknown>) => JSON.stringify([llama(), llama({ n_prompt: 1024, ...change })]);
    expect(await refused(rows({ model_filename: "other.gguf" }))).toMatch(
      /model_filename is "other.gguf", but "models/,
    );
    expect(await refused(rows({ gpu_info: "H100" }))).toMatch(/gpu_info is "H100"/);
    expect(await refused(rows({ n_threads: 4 }))).toMatch(/n_threads is "4"/);
  });
});

describe("serving benchmarks", () => {
  const detailed = {
    date: "20261101-120000",
    backend: "vllm",
    model_id: "org/model",
    max_concurrency: 1,
    completed: 2,
    input_lens: [128, 256, 512],
    output_lens: [3, 3, 0],
    ttfts: [0.1, 0.2, 0],
    itls: [[0.02, 0.03], [0.04, 0.04], []],
    errors: ["", "", "timed out"],
  };

  test("vllm bench serve: each request is a sample, failed ones are left out", async () => {
    const { series, notes, model } = await read(JSON.stringify(detailed));
    expect(model).toBe("org/model");
    expect(series[0]?.points).toEqual([
      { n: 128, seconds: 0.1 },
      { n: 256, seconds: 0.2 },
    ]);
    expect(series[1]?.points.map(({ n, seconds }) => [n, seconds.toFixed(4)])).toEqual([
      [129.5, "0.0250"],
      [257.5, "0.0400"],
    ]);
    expect(notes.map(({ code }) => code)).toEqual(["failed-left-out"]);
  });

  test("vllm bench serve: load is warned of, and two loads do not mix", async () => {
    const loaded = await read(JSON.stringify({ ...detailed, max_concurrency: 8 }));
    expect(loaded.notes.map(({ code }) => code)).toContain("under-load");
    const both = [detailed, { ...detailed, max_concurrency: 8 }].map((one) => JSON.stringify(one)).join("\n");
    expect(await refused(both)).toMatch(/max_concurrency is "8", but "1"/);
  });

  test("vllm bench serve: several results with means only make one series", async () => {
    const means = [512, 2048].map((n) =>
      file(
        JSON.stringify({
          model_id: "m",
          max_concurrency: 1,
          completed: 10,
          total_input_tokens: n * 10,
          mean_ttft_ms: n / 2,
          std_ttft_ms: n / 100,
        }),
      ),
    );
    const { series } = await readSamples(means);
    expect(series[0]?.points).toEqual([
      { n: 512, seconds: 0.256 },
      { n: 2048, seconds: 1.024 },
    ]);
    expect(series[0]?.spread).toBeCloseTo(0.02, 9);
  });

  test("GuideLLM: successful requests, with their own units", async () => {
    const request = (prompt_tokens: number, ms: number) => ({
      type_: "generative_request_stats",
      prompt_tokens,
      output_tokens: 9,
      time_to_first_token_ms: ms,
      inter_token_latency_ms: 20,
    });
    const report = {
      metadata: { version: 1, guidellm_version: "0.6.0" },
      args: { model: "org/model" },
      benchmarks: [
        {
          config: { strategy: { type_: "synchronous" } },
          requests: { successful: [request(128, 100), request(512, 300)], errored: [{}], incomplete: [] },
        },
      ],
    };
    const { series, model, notes } = await read(JSON.stringify(report));
    expect(model).toBe("org/model");
    expect(series[0]?.points).toEqual([
      { n: 128, seconds: 0.1 },
      { n: 512, seconds: 0.3 },
    ]);
    expect(series[1]?.points[0]).toEqual({ n: 132.5, seconds: 0.02 });
    expect(notes.map(({ code }) => code)).toEqual(["failed-left-out"]);
    const [benchmark] = report.benchmarks;
    const loaded = {
      config: { strategy: { type_: "concurrent", streams: 4 } },
      requests: { successful: [request(128, 900)] },
    };
    const second = {
      metadata: { version: 2, guidellm_version: "0.8.0" },
      config: { metadata: {}, spec: { backend: { kind: "openai_http", model: "org/other" } } },
      benchmarks: [
        {
          type_: "generative_benchmark",
          config: { strategy: { type_: "synchronous" } },
          requests: {
            successful: [
              { ...request(128, 100), request_start_time: 1_786_000_000.25 },
              { ...request(512, 300), request_start_time: 1_786_000_001.5 },
            ],
            errored: [],
            incomplete: [],
          },
        },
      ],
    };
    const newer = await read(JSON.stringify(second));
    expect(newer.model).toBe("org/other");
    expect(newer.series[0]?.points.map(({ at }) => at)).toEqual([1_786_000_000.25, 1_786_000_001.5]);
    const sweep = await read(JSON.stringify({ ...report, benchmarks: [benchmark, loaded] }));
    expect(sweep.series).toEqual(series);
    expect(sweep.notes.map(({ code }) => code)).toContain("loads-left-out");
    const more = { ...loaded, config: { strategy: { type_: "concurrent", streams: 8 } } };
    expect(await refused(JSON.stringify({ ...report, benchmarks: [loaded, more] }))).toMatch(
      /strategy is "concurrent 4, concurrent 8"; one load a file/,
    );
  });

  test("AIPerf: records of requests, warm-ups and failures left out; and the summary", async () => {
    const record = (n: number, ms: number, phase = "profiling") => ({
      metadata: { benchmark_phase: phase },
      metrics: {
        input_sequence_length: { value: n, unit: "tokens" },
        time_to_first_token: { value: ms, unit: "ms" },
        inter_token_latency: { value: 5, unit: "ms" },
        output_sequence_length: { value: 9, unit: "tokens" },
        inter_chunk_latency: { value: [4.9, 5.1], unit: "ms" },
      },
      error: null,
    });
    const failed = { metadata: {}, metrics: { error_isl: { value: 550, unit: "tokens" } }, error: { code: 499 } };
    const lines = [record(128, 1, "warmup"), record(128, 100), record(512, 300), failed];
    const { series, format, notes } = await read(lines.map((one) => JSON.stringify(one)).join("\n"));
    expect(format).toBe("json-lines/aiperf");
    expect(notes.map(({ code }) => code)).not.toContain("under-load");
    const during = (from: number, to: number, n: number) => {
      const one = record(n, 100);
      return { ...one, metadata: { ...one.metadata, request_start_ns: from * 1e9, request_end_ns: to * 1e9 } };
    };
    const timed = async (...records: object[]) =>
      (await read(records.map((one) => JSON.stringify(one)).join("\n"))).notes.map(({ code }) => code);
    expect(await timed(during(1, 2, 128), during(3, 4, 512))).not.toContain("under-load");
    const moments = await read([during(1.5, 2, 128), during(3, 4, 512)].map((one) => JSON.stringify(one)).join("\n"));
    expect(moments.series[0]?.points.map(({ at }) => at)).toEqual([1.5, 3]);
    expect(await timed(during(1, 3, 128), during(2, 4, 512))).toContain("under-load");
    expect(series[0]?.points).toEqual([
      { n: 128, seconds: 0.1 },
      { n: 512, seconds: 0.3 },
    ]);
    const summary = await read(
      JSON.stringify({
        schema_version: "1.5",
        input_config: { models: { items: [{ name: "org/model" }] } },
        input_sequence_length: { unit: "tokens", avg: 550 },
        time_to_first_token: { unit: "ms", avg: 250, std: 5 },
      }),
    );
    expect(summary.model).toBe("org/model");
    expect(summary.series[0]?.points).toEqual([{ n: 550, seconds: 0.25 }]);
    expect(summary.series[0]?.spread).toBeCloseTo(0.02, 9);
  });
});

describe("our own runs", () => {
  test("a run file keeps its blocks and its identity", async () => {
    const set = await read(formatRun(run()));
    expect(set.format).toBe("run");
    expect(set.run?.id).toBe(run().id);
    expect(set.series[0]?.points).toEqual([
      { n: 128, seconds: 0.25, block: 0 },
      { n: 128, seconds: 0.25, block: 1 },
    ]);
  });

  test("the same file twice is refused", async () => {
    const path = file("n,seconds\n128,1\n");
    await expect(readSamples([path, path])).rejects.toThrow(/each file once/);
  });

  test("runs and other files do not mix", async () => {
    const paths = [file(formatRun(run())), file("n,seconds\n128,1\n")];
    await expect(readSamples(paths)).rejects.toThrow(/run files do not mix with others/);
  });
});
