import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { significant, tokens } from "../../src/base/format.js";
import { devices } from "../../src/hardware/catalog/devices.js";
import type { PredictDocument, PredictTableDocument } from "../../src/study/documents/predict.js";
import { command, refuses, temporaryFolder } from "./harness.js";

const folder = temporaryFolder();
afterAll(folder.remove);

const llama = ["predict", "Llama-3.1-8B", "--on", "h100", "--lengths", "1k,8k"];

async function predicted(...words: string[]): Promise<PredictDocument> {
  const { code, out, err } = await command([...words, "--json"]);
  expect(err).toBe("");
  expect(code).toBe(0);
  const document: PredictDocument = JSON.parse(out);
  return document;
}

test("nsquared predict --help lists every device that an unknown one is sent to it for", async () => {
  const { out } = await command(["predict", "--help"]);
  const text = out.replaceAll(/\s+/g, " ");
  for (const { name } of devices) expect(text).toContain(name);
});

describe("nsquared predict names its data", () => {
  test.each<[string, string[], PredictDocument["data"], RegExp]>([
    ["kernels", ["--on", "h100"], { basis: "kernels", range: { from: 1, to: 16_384 } }, /kernels of H100.* up to 16k/],
    [
      "runs",
      ["--on", "rtx3090", "--engine", "llama.cpp-cuda"],
      { basis: "end-to-end", range: { from: 256, to: 8192 } },
      /runs of llama.cpp-cuda up to .*k tokens/,
    ],
    ["a data sheet", ["--on", "epyc-9654"], { basis: "class", range: null }, /from its data sheet/],
  ])("%s", async (_name, options, data, headline) => {
    const words = ["predict", "Llama-3.1-8B", ...options, "--lengths", "2k"];
    expect((await predicted(...words)).data).toEqual(data);
    expect((await command(words)).out).toMatch(headline);
  });
});

describe("nsquared predict refuses", () => {
  test.each<[string, string[], (string | RegExp)[]]>([
    ["an unknown device, with the nearest names", ["--on", "h1000"], ["h1000", "perhaps", "h100"]],
    ["an unknown engine, with the nearest names", ["--engine", "vlm"], ["vlm", "perhaps vllm"]],
    ["an engine without kernels for the device", ["--engine", "mlx"], ["mlx", "does not run on H100", "vllm, "]],
    ["devices that do not divide the heads", ["--tp", "3"], ["--tp", "3", "32 heads", "1, 2, 4, 8"]],
    ["devices between two numbers of KV heads", ["--tp", "32", "--cp", "0"], ["--cp", "0"]],
    ["stages that do not divide the layers", ["--pp", "5"], ["--pp", "5", "32 layers"]],
    ["experts where there are none", ["--ep", "2"], ["--ep", "2", "no experts"]],
    ["parallelism without a known interconnect", ["--on", "m2-ultra", "--tp", "2"], ["M2 Ultra", "--interconnect"]],
    ["an interconnect of nothing", ["--tp", "2", "--interconnect", "0"], ["--interconnect", "above 0"]],
    ["a chunk of nothing", ["--chunk", "0"], ["--chunk", "0"]],
    ["a prompt that is cached whole", ["--prefix-cached", "1"], ["--prefix-cached", "below 1"]],
    ["a negative share", ["--prefix-cached", "-0.5"], ["--prefix-cached"]],
    ["a request without an answer", ["--request", "4k"], ["--request", "4k:512"]],
    ["a request of no tokens", ["--request", "4k:0"], ["--request", "0"]],
    ["a conversation without turns", ["--turns", "0x500:200"], ["--turns", "10x500:200"]],
    ["an unknown number format", ["--dtype", "fp12"], ["--dtype", "fp12", "bf16", "Q4_K_M"]],
    ["a GGUF type of the cache", ["--kv-dtype", "Q4_K_M"], ["--kv-dtype", /expected one of fp64, .*, int4\.\n/]],
    ["an unknown latency", ["--limit", "lag<5s"], ["--limit", "ttft<5s"]],
    ["a latency without a unit that is one", ["--limit", "ttft<5parsecs"], ["--limit"]],
    ["negative power", ["--power", "-3"], ["--power", "above 0"]],
    ["a free machine", ["--price", "0"], ["--price", "above 0"]],
    ["a trace that is not there", ["--trace", "/nonexistent/trace.csv"], ["/nonexistent/trace.csv"]],
    ["an order that it does not know", ["--sort", "beauty"], ["--sort", "seconds"]],
  ])("%s", async (_name, options, wanted) => {
    await refuses([...llama, ...options], ...wanted);
  });

  test.each<[string, string, (string | RegExp)[]]>([
    ["an empty trace", "", ["at least one line"]],
    ["a trace without lengths", "time,user\n1,2\n", ["time,user", "input"]],
    ["a header alone", "input,output\n", ["at least one line"]],
    ["a length that is none", "input,output\n100,20\nmany,20\n", [/request 2 \(line 3\)/, "many"]],
    ["a negative length", "input\n-5\n", ["-5"]],
    ["a length without end", "input\n1e300\n", ["1e300"]],
    ["a broken length", "input\n10.5\n", ["10.5"]],
  ])("%s", async (name, text, wanted) => {
    const path = join(folder.path, `${name.replace(/\W+/g, "-")}.csv`);
    writeFileSync(path, text);
    await refuses([...llama, "--trace", path], ...wanted);
  });

  test("a decode latency of an encoder", async () => {
    const bert = "test/data/models/class-defaults/bert.json";
    await refuses(["predict", bert, "--on", "h100", "--limit", "tpot<5ms"], "no decoder");
    await refuses(["predict", bert, "--on", "h100", "--request", "100:20"], "no decoder");
  });
});

describe("nsquared predict says", () => {
  test("what runs where a device lacks a number format", async () => {
    const { notes } = await predicted(...llama, "--on", "a100", "--dtype", "fp8");
    expect(notes.join("\n")).toContain("has no float8 arithmetic");
  });

  test("by how much memory is exceeded, and the smallest change that fits", async () => {
    const words = ["predict", "Llama-3.1-8B", "--on", "rtx4090", "--lengths", "1k,128k"];
    const { exceeded, limits, points } = await predicted(...words);
    expect(points.map(({ memory }) => memory.fits)).toEqual([true, false]);
    expect(exceeded?.over).toBe((exceeded?.bytes ?? 0) - (exceeded?.available ?? 0));
    expect(exceeded?.remedies.length).toBeGreaterThan(1);
    for (const { bytes } of exceeded?.remedies ?? []) expect(bytes).toBeLessThanOrEqual(exceeded?.available ?? 0);
    expect(limits.memory?.n).toBe(exceeded?.remedies.at(-1)?.longest);
    // The first remedy is what it says: running it leaves nothing exceeded.
    const [first] = exceeded?.remedies ?? [];
    const changed = await predicted(...words, ...(first?.change.split(" ") ?? []));
    expect(changed.exceeded).toBeNull();
    expect(changed.points[1]?.memory.bytes).toBe(first?.bytes);
    const { out, code } = await command([...words, "--must-fit"]);
    expect(out).toMatch(/memory exceeded .* too much/);
    expect(code).toBe(1);
  });

  test("time to the first token only with what lies outside of the model", async () => {
    const alone = await predicted(...llama);
    expect(alone.points.map(({ ttft }) => ttft)).toEqual([null, null]);
    const stated = await predicted(...llama, "--network", "20ms", "--tokenizer", "5ms", "--request", "1k:100");
    const [point] = stated.points;
    expect(point?.ttft?.seconds).toBeCloseTo((point?.prefill.seconds ?? 0) + 0.025, 12);
    expect(stated.request?.ttft?.seconds).toBeCloseTo((point?.prefill.seconds ?? 0) + 0.025, 12);
  });

  test("the longest length within a latency, with its interval", async () => {
    const document = await predicted(
      ...llama,
      "--limit",
      "ttft<2s",
      "--limit",
      "tpot < 0.001ms",
      "--limit",
      "tpot<1000s",
    );
    const [ttft, tiny, huge] = document.limits.latency;
    const at = async (n: number | null | undefined) =>
      (await predicted("predict", "Llama-3.1-8B", "--on", "h100", "--lengths", String(n))).points[0]?.prefill;
    expect((await at(ttft?.n))?.seconds).toBeLessThanOrEqual(2);
    expect((await at((ttft?.n ?? 0) + 2))?.seconds).toBeGreaterThan(2);
    expect((await at(ttft?.low))?.high).toBeLessThanOrEqual(2);
    expect((await at(ttft?.high))?.low).toBeLessThanOrEqual(2);
    expect(tiny?.n).toBe(0);
    expect(huge?.n).toBeGreaterThan(1e8);
  });

  test("what a request costs in energy and money", async () => {
    const words = [...llama, "--request", "4k:512"];
    const designed = await predicted(...words);
    expect(designed.rates).toEqual({ watts: 700, wattsFrom: "tdp", price: null });
    expect(designed.request?.expense.cost).toBeNull();
    const stated = await predicted(...words, "--power", "350", "--price", "3.6");
    const seconds = stated.request?.total.seconds ?? 0;
    expect(stated.request?.expense.joules).toBeCloseTo(350 * seconds, 9);
    expect(stated.request?.expense.cost).toBeCloseTo(0.001 * seconds, 12);
    expect(designed.notes.join("\n")).toContain("700 W");
  });

  test("that a prefix cache saves what it does not compute again", async () => {
    const { conversation } = await predicted(...llama, "--turns", "20x2000:100");
    expect(conversation?.context).toBe(20 * 2100);
    expect(conversation?.turns).toHaveLength(20);
    expect(conversation?.total.seconds).toBeLessThan(0.9 * (conversation?.totalUncached.seconds ?? 0));
    expect(conversation?.turns[0]?.prefill.seconds).toBeCloseTo(
      conversation?.turns[0]?.prefillUncached.seconds ?? 0,
      9,
    );
  });

  test("that the mean of times is more than the time of the mean", async () => {
    const path = join(folder.path, "trace.csv");
    writeFileSync(path, "TIMESTAMP,ContextTokens,GeneratedTokens\n2024,1000,100\n2024,1000,50\n2024,90000,10\n");
    const { trace } = await predicted(...llama, "--trace", path);
    expect(trace).toMatchObject({ source: path, requests: 3 });
    expect(trace?.meanInput).toBeCloseTo(92_000 / 3, 6);
    expect(trace?.prefill.ratio).toBeGreaterThan(1.3);
    expect(trace?.total?.percentiles.p99).toBeGreaterThan(trace?.total?.percentiles.p50 ?? 0);
  });

  test("prefill alone for an encoder, and no square bracket of decode in its text", async () => {
    const words = ["predict", "test/data/models/class-defaults/bert.json", "--on", "h100", "--lengths", "128..512"];
    const { points, notes } = await predicted(...words);
    expect(points.every(({ decode, decodeUncached }) => decode === null && decodeUncached === null)).toBe(true);
    expect(notes.join("\n")).toContain("generates nothing");
    expect((await command(words)).out).not.toContain("decode /");
  });

  test("every operator where asked", async () => {
    const { points } = await predicted(...llama, "--operators");
    const [point] = points;
    const sum = point?.prefill.operators?.reduce((total, { seconds }) => total + seconds, 0) ?? 0;
    const runtime = point?.prefill.parts.find(({ name }) => name === "runtime")?.seconds ?? 0;
    expect((sum + runtime) / (point?.prefill.seconds ?? 1)).toBeCloseTo(1, 9);
  });
});

describe("nsquared predict on several devices", () => {
  test("puts them side by side, sorted, with the whole prediction of each", async () => {
    const words = [
      "predict",
      "Llama-3.1-8B",
      "--on",
      "l4,h100,a100",
      "--lengths",
      "1k,8k",
      "--price",
      "2",
      "--sort",
      "cost",
    ];
    const { out, code } = await command([...words, "--json"]);
    expect(code).toBe(0);
    const table: PredictTableDocument = JSON.parse(out);
    expect(table.rows.map(({ n }) => n)).toEqual([1024, 1024, 1024, 8192, 8192, 8192]);
    const costs = table.rows.slice(0, 3).map(({ expense }) => expense.cost ?? 0);
    expect(costs).toEqual([...costs].sort((a, b) => a - b));
    expect(table.predictions.map(({ device }) => device)).toHaveLength(3);
    expect((await command(words)).out).toContain("sorted by cost");
  });

  test("prices the whole catalog and says what is left out", async () => {
    const { out } = await command(["predict", "Llama-3.1-8B", "--on", "all", "--lengths", "8k", "--tp", "2", "--json"]);
    const table: PredictTableDocument = JSON.parse(out);
    expect(table.rows.length).toBeGreaterThan(3);
    expect(table.left.some(({ reason }) => reason.includes("--interconnect"))).toBe(true);
  });
});

describe("nsquared predict --engine", () => {
  test("predicts the runtime asked for, computing as that one does", async () => {
    const [served, consumer] = [
      await predicted(...llama, "--engine", "hf-eager"),
      await predicted(...llama, "--engine", "llama.cpp-cuda"),
    ];
    expect(served.engine).toBe("hf-eager");
    expect(served.attention).toBe("naive");
    expect(consumer.engine).toBe("llama.cpp-cuda");
    expect([consumer.attention, consumer.chunk]).toEqual(["naive", 512]);
    expect((await predicted(...llama, "--engine", "llama.cpp-cuda", "--attention", "fused")).attention).toBe("fused");
    expect((await predicted(...llama, "--engine", "llama.cpp-cuda", "--chunk", "none")).chunk).toBeNull();
  });

  test("puts engines side by side and leaves out those that do not run there, with the reason", async () => {
    const { out, err, code } = await command([...llama, "--engine", "vllm,hf-eager,mlx", "--json"]);
    expect([err, code]).toEqual(["", 0]);
    const table: PredictTableDocument = JSON.parse(out);
    const at8k = table.rows.filter(({ n }) => n === 8192);
    expect(at8k.map(({ engine }) => engine)).toEqual(["vllm", "hf-eager"]);
    expect(at8k[1]?.prefill.seconds).toBeGreaterThan(at8k[0]?.prefill.seconds ?? Number.POSITIVE_INFINITY);
    expect(table.left).toEqual([expect.objectContaining({ engine: "mlx" })]);
    expect(table.predictions.map(({ engine }) => engine)).toEqual(["vllm", "hf-eager"]);
  });
});

test("nsquared predict --html writes one page that names model, device and engine and needs nothing else", async () => {
  const path = join(folder.path, "prediction.html");
  const { code, err } = await command([...llama, "--html", path]);
  expect([err, code]).toEqual(["", 0]);
  const page = readFileSync(path, "utf8");
  for (const text of [
    "Llama-3.1-8B",
    "H100-SXM5-80GB",
    "vllm",
    "<svg",
    "predict Llama-3.1-8B --on h100 --lengths 1k,8k",
  ]) {
    expect(page).toContain(text);
  }
  expect(page).not.toMatch(/(?:src|href)="https?:/);
});

test("nsquared predict --html says what its seconds rest on, and answers what was asked beside the curves", async () => {
  const path = join(folder.path, "asked.html");
  const asked = ["--request", "4k:512", "--turns", "3x500:200", "--limit", "tpot<20ms", "--price", "2"];
  const { request, limits } = await predicted(...llama, ...asked);
  const { code } = await command([...llama, ...asked, "--html", path]);
  expect(code).toBe(0);
  const page = readFileSync(path, "utf8");
  expect(page).toContain("calibrated on kernels of H100-SXM5-80GB up to 16k tokens");
  expect(page).toContain("Request of 4k in, 512 out");
  expect(page).toContain(`price ${significant(request?.expense.cost ?? Number.NaN)}`);
  expect(page).toContain("Conversation of 3 turns");
  expect(page).toContain(`up to ${tokens(limits.latency[0]?.n ?? Number.NaN)} tokens, surely`);
});
