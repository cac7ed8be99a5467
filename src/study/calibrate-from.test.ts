import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { calibratedDevice } from "../../test/support/calibrated-device.js";
import { readConfigFile } from "../../test/reference/data.js";
import { seededRandom } from "../base/random.js";
import { findDevice } from "../hardware/catalog/devices.js";
import { dataOf } from "../hardware/data.js";
import { engineOf } from "../hardware/engine.js";
import { attentionSeconds, gemmSeconds } from "../hardware/kernels.js";
import { kernelOn } from "../hardware/kernel-lookup.js";
import { deviceRecordSchema, parseDeviceRecord } from "../hardware/record.js";
import { readConfig } from "../model/hf/read-config.js";
import { predictCurve } from "../predict/curve.js";
import { calibrateFrom } from "./calibrate-from.js";

const folder = mkdtempSync(join(tmpdir(), "nsquared-from-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});
const write = (name: string, lines: readonly string[]): string => {
  const path = join(folder, name);
  writeFileSync(path, `${lines.join("\n")}\n`);
  return path;
};

const sourced = (value: number) => ({ value, source: "made up for tests" });
/** Somebody's GPU that no catalog has. */
const unknown = deviceRecordSchema.parse({
  schema: "nsquared/device@1",
  name: "Unknown 100",
  vendor: "made up",
  class: "datacenter-gpu",
  peaks: { bfloat16: sourced(400e12) },
  bandwidth: sourced(2e12),
  memory: sourced(64 * 2 ** 30),
  launch: sourced(5e-6),
});
/** What it does, which only its timings show. */
const truth = { overhead: 9e-6, compute: 0.55, bandwidth: 0.7, small: 0.02, cast: 0, sustained: 0.15 };

function gemmMilliseconds(m: number, n: number, k: number): number {
  const peak = (2 * m * n * k) / 400e12;
  const memory = (2 * (m * k + n * k) + 2 * m * n) / 2e12;
  return 1e3 * (truth.overhead + gemmSeconds(truth, peak, memory, 0, m, n, k));
}

const shapes = [1, 16, 256, 2048, 8192].flatMap((m) =>
  [
    [4096, 4096],
    [14_336, 4096],
    [1024, 8192],
  ].map(([n = 1, k = 1]): [number, number, number] => [m, n, k]),
);
const noise = seededRandom(7);
const gemmTable = write("gemm.csv", [
  "m,n,k,ms,dtype,hw_key",
  ...shapes.map(
    ([m, n, k]) => `${m},${n},${k},${gemmMilliseconds(m, n, k) * (1 + 0.02 * (noise() - 0.5))},bf16,Unknown 100`,
  ),
  "8192,4096,4096,9999,bf16,Another Device",
]);
const plain = { device: unknown, model: null, engineName: null };

describe("a table of kernels", () => {
  test("gives the device's own parameters back, and leaves out other devices' rows", async () => {
    const { record, kernels, warnings } = await calibrateFrom([gemmTable], { ...plain, name: "mine" });
    expect(parseDeviceRecord(JSON.parse(JSON.stringify(record)), "mine.json")).toEqual(record);
    expect(record.name).toBe("mine");
    const [report] = kernels;
    expect(report?.kernel).toMatchObject({ kind: "gemm", format: "16", rows: shapes.length, longest: 8192 });
    expect(report?.after).toBeLessThan(0.015);
    expect(report?.before).toBeGreaterThan(0.1);
    const found = kernelOn("gemm", record, "vllm", "bfloat16");
    expect(found.basis).toBe("kernels");
    expect(found.fit.compute).toBeCloseTo(truth.compute, 1);
    expect(found.fit.bandwidth).toBeCloseTo(truth.bandwidth, 1);
    expect(found.spread).toBeLessThan(kernelOn("gemm", unknown, "vllm", "bfloat16").spread);
    expect(warnings.map(({ message }) => message).join()).toContain("1 rows left out");
    expect(dataOf(record, engineOf(record, "hf-sdpa"), "bfloat16")).toEqual({
      basis: "kernels",
      range: { from: 1, to: 8192 },
    });
  });

  test("of three timings is enough to predict large products within 8 %", async () => {
    const anchors = write("anchors.csv", [
      "M,N,K,us",
      ...[
        [1, 4096, 4096],
        [4096, 4096, 4096],
        [8192, 8192, 8192],
      ].map(([m = 1, n = 1, k = 1]) => `${m},${n},${k},${1e3 * gemmMilliseconds(m, n, k)}`),
    ]);
    const { record } = await calibrateFrom([anchors], plain);
    const { fit } = kernelOn("gemm", record, "vllm", "bfloat16");
    for (const [m, n, k] of shapes.filter(([rows]) => rows >= 2048)) {
      const peak = (2 * m * n * k) / 400e12;
      const memory = (2 * (m * k + n * k) + 2 * m * n) / 2e12;
      const predicted = fit.overhead + gemmSeconds(fit, peak, memory, 0, m, n, k);
      expect(Math.abs(Math.log((1e3 * predicted) / gemmMilliseconds(m, n, k)))).toBeLessThan(0.08);
    }
  });

  test("of attention counts causal pairs, and single queries as decode", async () => {
    const at = (queries: number, keys: number): number => {
      const pairs = queries * (keys - queries) + (queries * (queries + 1)) / 2;
      const memory = (8 * keys * 256 * 2 + 2 * queries * 32 * 256) / 2e12;
      const fit = { overhead: 2e-5, compute: 0.45, small: 1, few: 0.2, softmax: 0.4 };
      return fit.overhead + attentionSeconds(fit, (2 * 32 * pairs * 256) / 400e12, memory, queries, 32, 256);
    };
    const rows = [512, 2048, 8192, 32_768].map((n) => `32,8,128,${n},${n},${at(n, n)}`);
    const cached = [4096, 32_768].map((n) => `32,8,128,1,${n},${1e-5 + (8 * n * 256 * 2) / 2e12 / 0.8}`);
    const path = write("attention.csv", ["heads,kv_heads,head_dim,n_q,n_kv,seconds", ...rows, ...cached]);
    const { kernels } = await calibrateFrom([path], plain);
    expect(kernels.map(({ kernel }) => kernel.kind)).toEqual(["attention", "decode"]);
    for (const { after } of kernels) expect(after).toBeLessThan(0.03);
  });

  test.each([
    ["a negative time", ["m,n,k,ms", "1,2048,2048,-3"], /row 2: ms is "-3"/],
    ["no time", ["m,n,k,hours", "1,2048,2048,1"], /a column of times/],
    [
      "only other devices",
      ["m,n,k,ms,hardware", "1,2048,2048,1,H100"],
      /timings of Unknown 100; left out: 1 of another/,
    ],
    ["an unknown dtype alone", ["m,n,k,ms,dtype", "1,2048,2048,1,ternary"], /ternary/],
  ])("with %s is refused", async (_what, lines, message) => {
    await expect(calibrateFrom([write("bad.csv", lines)], plain)).rejects.toThrow(message);
  });
});

test("the example of a device file in the documentation is one", () => {
  const text = readFileSync(new URL("../../docs/devices.md", import.meta.url), "utf8");
  const [, json = ""] = /```json\n([^`]*)```/.exec(text) ?? [];
  expect(parseDeviceRecord(JSON.parse(json), "docs/devices.md").peaks.float8?.uncertain).toBe(true);
});

describe("whole runs", () => {
  const name = "meta-llama__Llama-3.1-8B-Instruct";
  const model = readConfig(readConfigFile("configs", `${name}.json`), name, name);
  const device = findDevice("rtx-4090");
  const slower = 1.4;
  const { chunk } = engineOf(device, "llama.cpp-cuda");
  const seconds = (phase: "prefill" | "decode", length: number): number =>
    slower *
    predictCurve(model, device, {
      phase,
      engineName: "llama.cpp-cuda",
      ...(phase === "prefill" ? { chunk } : {}),
    }).seconds(length);
  const path = write("runs.csv", [
    "phase,n,depth,seconds",
    ...[512, 1024, 2048, 8192].map((n) => `prefill,${n},0,${seconds("prefill", n)}`),
    ...[512, 4096, 16_384].map((c) => `decode,1,${c},${seconds("decode", c)}`),
  ]);

  test("correct the engine's factors on this device, and narrow its intervals", async () => {
    const options = { device, model, engineName: "llama.cpp-cuda" };
    const { record, engine } = await calibrateFrom([path], options);
    expect(parseDeviceRecord(JSON.parse(JSON.stringify(record)), "mine.json")).toEqual(record);
    expect(engine?.before).toBeCloseTo(Math.log(slower), 2);
    expect(engine?.after).toBeLessThan(0.05);
    expect(engine?.engine.range).toEqual({ from: 512, to: 16_384 });
    const profile = engineOf(record);
    expect(profile.name).toBe("llama.cpp-cuda");
    expect(dataOf(record, profile, "bfloat16")).toEqual({ basis: "end-to-end", range: { from: 512, to: 16_384 } });
    const [before, after] = [device, record].map((one) =>
      predictCurve(model, one, { phase: "decode", engineName: "llama.cpp-cuda" }).interval(8192),
    );
    const width = (interval: { low: number; high: number } | undefined): number =>
      Math.log((interval?.high ?? 0) / (interval?.low ?? 1));
    expect(width(after)).toBeLessThan(width(before));
    expect(after?.low).toBeLessThan(seconds("decode", 8192));
    expect(after?.high).toBeGreaterThan(seconds("decode", 8192));
  });

  test("go on from a record of before: its kernels stay, and a second fit finds nothing left to correct", async () => {
    const kernels = (await calibrateFrom([gemmTable], plain)).record.fitted?.kernels ?? [];
    const before = { ...device, fitted: { kernels, engines: [], sources: ["gemm.csv"] } };
    const options = { model, engineName: "llama.cpp-cuda" };
    const { record } = await calibrateFrom([path], { ...options, device: before });
    expect(record.fitted?.kernels).toEqual(kernels);
    expect(record.fitted?.sources).toEqual(["gemm.csv", "runs.csv"]);
    const again = await calibrateFrom([path], { ...options, device: record });
    expect(again.record.fitted?.engines).toHaveLength(1);
    expect(again.record.fitted?.engines[0]?.factors.gemm).toBeCloseTo(record.fitted?.engines[0]?.factors.gemm ?? 0, 6);
    expect(again.record.fitted?.sources).toEqual(["gemm.csv", "runs.csv"]);
  });

  test("need a model, and a data sheet to start from", async () => {
    await expect(calibrateFrom([path], plain)).rejects.toThrow(/--model is missing/);
    await expect(calibrateFrom([path], { device: calibratedDevice, model, engineName: null })).rejects.toThrow(
      /starts from a data sheet/,
    );
    await expect(calibrateFrom([path], { device, model, engineName: "vlm" })).rejects.toThrow(/vllm/);
  });
});
