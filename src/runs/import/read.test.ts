import { describe, expect, test } from "vitest";
import { run } from "../../../test/support/runs.js";
import { file, read, refused } from "../../../test/support/sample-files.js";
import { formatRun } from "../parse.js";
import { readSamples } from "./read.js";

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
    const points = series[0]?.points ?? [];
    for (const { n, seconds } of points) expect(Math.abs((seconds * 1000) / n - 1)).toBeLessThan(0.03);
    // A group of lengths stands where its samples have their mean, so that no group lies beside the curve.
    const logs = new Map<number, number[]>();
    for (const { n, seconds } of points) logs.set(n, [...(logs.get(n) ?? []), Math.log((seconds * 1000) / n)]);
    for (const group of logs.values()) {
      expect(Math.abs(group.reduce((sum, value) => sum + value, 0) / group.length)).toBeLessThan(1e-6);
    }
  });

  test("very many repeats of very many lengths are thinned evenly, and their means stay what they are", async () => {
    const rows = ["n,ms"];
    for (let i = 0; i < 400_000; i += 1)
      rows.push(`${(i % 200) + 1},${(i % 200) + 1 + (Math.floor(i / 200) % 3) - 1 + 5}`);
    const { series } = await read(rows.join("\n"));
    const points = series[0]?.points ?? [];
    expect(series[0]?.count).toBe(400_000);
    expect(points).toHaveLength(200_000);
    expect(new Set(points.map(({ n }) => n)).size).toBe(200);
    const of100 = points.filter(({ n }) => n === 100).map(({ seconds }) => seconds * 1000);
    expect(of100).toHaveLength(1000);
    expect(of100.reduce((sum, value) => sum + value, 0) / 1000).toBeCloseTo(105, 0);
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
    ["n,seconds\n", /samples is 0; no timed step in it; expected a run or samples, a row each/],
    ['{"a":1}\n{"a":2}\n', /columns is "a"/],
    ['{"a":1, "b":2}', /keys is "a, b"; expected a run file/],
    ["# by hand\n\nn,seconds\n128,0\n", /^f:4: time is 0/],
  ])("%j", async (text, message) => {
    expect(await refused(text)).toMatch(message);
  });
});

test("a file that is not there was wanted as a run or as samples", async () => {
  await expect(readSamples(["nowhere.csv"])).rejects.toThrow(/^nowhere\.csv: no such file; expected a run or samples$/);
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
