import { describe, expect, test } from "vitest";
import { file, llamaRow, read, refused } from "../../../test/support/sample-files.js";
import { readSamples } from "./read.js";

describe("llama-bench", () => {
  test("samples in JSON and JSON lines are prefill and decode steps apart", async () => {
    const rows = [
      llamaRow(),
      llamaRow({ n_prompt: 1024, samples_ns: [150e6, 152e6] }),
      llamaRow({ n_prompt: 0, n_gen: 128, samples_ns: [1.28e9, 1.2928e9] }),
      llamaRow({ n_prompt: 0, n_gen: 128, n_depth: 4096, samples_ns: [1.408e9, 1.408e9] }),
      llamaRow({ n_prompt: 512, n_gen: 128 }),
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
    const rows = (change: Record<string, unknown>) =>
      JSON.stringify([llamaRow(), llamaRow({ n_prompt: 1024, ...change })]);
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
    expect(await timed(during(3, 4, 128), during(1, 2, 512), during(5, 6, 512))).not.toContain("under-load");
    expect(await timed(during(5, 8, 128), during(1, 2, 512), during(6, 7, 512))).toContain("under-load");
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

  test("GuideLLM and AIPerf: what the prefix cache had of a prompt is its depth, not its length", async () => {
    const cells = [
      [512, 256],
      [512, 256],
      [1024, 512],
      [1024, null],
    ] as const;
    const report = {
      benchmarks: [
        {
          config: { strategy: { type_: "synchronous" } },
          requests: {
            successful: cells.map(([prompt_tokens, cached_tokens]) => ({
              prompt_tokens,
              cached_tokens,
              output_tokens: 1,
              time_to_first_token_ms: 100,
            })),
          },
        },
      ],
    };
    const records = cells.map(([prompt, cached]) => ({
      metadata: { benchmark_phase: "profiling" },
      metrics: {
        input_sequence_length: { value: prompt, unit: "tokens" },
        ...(cached === null ? {} : { usage_prompt_cache_read_tokens: { value: cached, unit: "tokens" } }),
        time_to_first_token: { value: 100, unit: "ms" },
      },
      error: null,
    }));
    for (const text of [JSON.stringify(report), records.map((record) => JSON.stringify(record)).join("\n")]) {
      const { series, notes } = await read(text);
      // 256 and 512 new tokens at depths of their own; 1024 after none.
      expect(series.map(({ axis, fixed, points }) => [axis, fixed, points.map(({ n }) => n)])).toEqual([
        ["length", 0, [1024]],
        ["length", 256, [256, 256]],
        ["length", 512, [512]],
      ]);
      expect(notes.map(({ code }) => code)).toContain("prompts-cached");
    }
    const all = { prompt_tokens: 64, cached_tokens: 64, output_tokens: 1, time_to_first_token_ms: 10 };
    const whole = {
      benchmarks: [{ requests: { successful: [all, { ...all, prompt_tokens: 128, cached_tokens: 127 }] } }],
    };
    const { series } = await read(JSON.stringify(whole));
    expect(series.map(({ axis, fixed, lengths }) => [axis, fixed, lengths])).toEqual([["depth", 1, 2]]);
  });
});
