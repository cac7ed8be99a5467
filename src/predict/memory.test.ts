import { describe, expect, test } from "vitest";
import { readConfigFile } from "../../test/reference/data.js";
import { buildGraph } from "../graph/build.js";
import { findDevice } from "../hardware/catalog/devices.js";
import { readConfig } from "../model/hf/read-config.js";
import { longestThatFits, memoryCurve } from "./memory.js";
import { predict } from "./predict.js";

const model = (name: string) => readConfig(readConfigFile("configs", `${name}.json`), name, name);
const smol = model("HuggingFaceTB__SmolLM2-135M");
const llama = model("meta-llama__Llama-3.1-8B-Instruct");

describe("memoryCurve", () => {
  const memory = memoryCurve(buildGraph(llama), 2);

  test("counts weights once, keys and values per token, layer and sequence", () => {
    expect(memory.weights).toBe(2 * 8_030_261_248);
    // 32 layers × 8 KV heads × 128 dims × keys and values × 2 bytes, two sequences.
    expect(memory.cache(1000)).toBe(2 * 1000 * 32 * 8 * 128 * 2 * 2);
  });

  test("counts the widest moment of a layer as activations", () => {
    // Gate, up and the residual stream: (2 · 14336 + 2 · 4096) values of 2 bytes at most, or fewer where one is reused.
    const perToken = memory.activations(1000) / 1000 / 2 / 2;
    expect(perToken).toBeGreaterThanOrEqual(2 * 14_336 + 4096);
    expect(perToken).toBeLessThanOrEqual(2 * 14_336 + 2 * 4096);
  });

  test("holds n² scores in naive attention, and none in fused: orders of magnitude apart at 32k", () => {
    const naive = memoryCurve(buildGraph(llama, { attention: "naive" }));
    const fused = memoryCurve(buildGraph(llama, { attention: "fused" }));
    expect(naive.activations(32_768)).toBeGreaterThanOrEqual(2 * 32 * 32_768 ** 2);
    expect(naive.activations(32_768) / fused.activations(32_768)).toBeGreaterThan(30);
    expect(naive.cache(32_768)).toBe(fused.cache(32_768));
  });
});

describe("longestThatFits", () => {
  test("is the last length that fits", () => {
    for (const attention of ["naive", "fused"] as const) {
      const memory = memoryCurve(buildGraph(smol, { attention }));
      for (const available of [1e9, 24e9, 80e9]) {
        const longest = longestThatFits(memory, available);
        if (longest === null) throw new Error("there is a limit");
        expect(memory.total(longest)).toBeLessThanOrEqual(available);
        expect(memory.total(longest + 1)).toBeGreaterThan(available);
      }
    }
  });

  test("is 0 where the weights alone do not fit", () => {
    const memory = memoryCurve(buildGraph(llama));
    expect(longestThatFits(memory, 8e9)).toBe(0);
  });

  test("agrees with what the points say fits", () => {
    const { limits, points } = predict(llama, findDevice("rtx4090"), { lengths: [1024, 8192, 65_536, 524_288] });
    for (const { n, memory } of points) expect(memory.fits).toBe(n <= (limits.memory?.n ?? 0));
    expect(points.map(({ memory }) => memory.fits)).toContain(true);
    expect(points.map(({ memory }) => memory.fits)).toContain(false);
  });
});
