import { describe, expect, test } from "vitest";
import { type ConfigFolder, readConfigFile } from "../../test/reference/data.js";
import { priceGraph } from "../cost/table.js";
import { buildGraph } from "../graph/build.js";
import { readConfig } from "../model/hf/read-config.js";
import { findDevice } from "./catalog/devices.js";
import { engineOf } from "./engine.js";
import { kernelOn } from "./kernel-lookup.js";
import { mixerSeconds } from "./kernels.js";
import { mixerFloor, mixerRoofline } from "./mixer-floor.js";
import { chunkedMixers, mixerTimes } from "./mixers.js";
import { timeOperators } from "./time.js";

const prefill = { variable: "n", values: { c: 0, b: 1, m: 0 } } as const;
const rowsOf = (folder: ConfigFolder, name: string) =>
  priceGraph(buildGraph(readConfig(readConfigFile(folder, name), name, name), { phase: "prefill" }));
const h100 = findDevice("h100");

describe("chunked mixers", () => {
  test.each([
    ["configs", "Qwen__Qwen3.5-35B-A3B.json", "delta-heads"],
    ["class-defaults", "kimi_linear.json", "delta-channels"],
    ["configs", "nvidia__NVIDIA-Nemotron-3-Nano-30B-A3B-BF16.json", "decay"],
  ] as const)("of %s/%s are %s", (folder, name, kind) => {
    const mixers = chunkedMixers(rowsOf(folder, name), prefill);
    expect(new Set(mixers.map((mixer) => mixer.kind))).toEqual(new Set([kind]));
    for (const { rows } of mixers) expect(rows.some(({ operator }) => operator.kind === "scan")).toBe(true);
  });

  test("are none in a decode step, and none in a Transformer", () => {
    const setting = { variable: "c", values: { n: 1, b: 1, m: 0 } } as const;
    expect(chunkedMixers(rowsOf("configs", "Qwen__Qwen3.5-35B-A3B.json"), setting)).toEqual([]);
    expect(chunkedMixers(rowsOf("configs", "meta-llama__Llama-3.1-8B-Instruct.json"), prefill)).toEqual([]);
  });

  test("take together what their chain was timed to take, once", () => {
    const rows = rowsOf("configs", "Qwen__Qwen3.5-35B-A3B.json");
    const engine = { ...engineOf(h100, "vllm"), factors: {} };
    const [mixer] = chunkedMixers(rows, prefill);
    if (mixer === undefined) throw new Error("no mixer");
    const times = [...mixerTimes(mixer, h100, prefill, engine).values()];
    const { fit } = kernelOn("delta-heads", h100, "vllm", "bfloat16");
    const expected = mixerSeconds(fit, mixerFloor(mixer.rows, h100, prefill)(4096), 4096);
    expect(times.reduce((sum, { work }) => sum + work(4096), 0)).toBeCloseTo(expected, 12);
    expect(times.reduce((sum, { overhead }) => sum + overhead, 0)).toBe(fit.overhead);
    const inModel = timeOperators(rows, h100, prefill, engine).filter(({ row }) => mixer.rows.includes(row));
    expect(inModel.map(({ time }) => time.work(4096))).toEqual(times.map(({ work }) => work(4096)));
  });

  test("gain less by faster memory and products than these do: vectors stay as they are", () => {
    const [mixer] = chunkedMixers(rowsOf("configs", "Qwen__Qwen3.5-35B-A3B.json"), prefill);
    if (mixer === undefined) throw new Error("no mixer");
    const twice = {
      ...h100,
      bandwidth: { ...h100.bandwidth, value: 2 * h100.bandwidth.value },
      peaks: Object.fromEntries(
        Object.entries(h100.peaks).map(([dtype, peak]) => [
          dtype,
          dtype === "float32" ? peak : { ...peak, value: 2 * peak.value },
        ]),
      ),
    };
    const times = (make: typeof mixerFloor) =>
      make(mixer.rows, h100, prefill)(4096) / make(mixer.rows, twice, prefill)(4096);
    expect(times(mixerRoofline)).toBeCloseTo(2, 1);
    expect(times(mixerFloor)).toBeGreaterThan(1.3);
    expect(times(mixerFloor)).toBeLessThan(1.7);
  });
});
