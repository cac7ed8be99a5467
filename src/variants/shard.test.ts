import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readConfigFile } from "../../test/reference/data.js";
import { weightBytes } from "../cost/parameters.js";
import { costLaw } from "../cost/law.js";
import { priceGraph } from "../cost/table.js";
import { buildGraph } from "../graph/build.js";
import { readConfig } from "../model/hf/read-config.js";
import type { ModelDescription } from "../model/types.js";
import { devicesOf, noParallelism, replicasOf, shardModel } from "./shard.js";

const config = (name: string): ModelDescription => readConfig(readConfigFile("configs", `${name}.json`), name, name);
const family = (name: string): ModelDescription =>
  readConfig(readConfigFile("class-defaults", `${name}.json`), name, name);

const llama = config("meta-llama__Llama-3.1-8B-Instruct");
const deepseek = config("deepseek-ai__DeepSeek-V3");
const gptOss = config("openai__gpt-oss-20b");
const flops = (model: ModelDescription, phase: "prefill" | "decode", length: number): number => {
  const { flops: law, variable } = costLaw(priceGraph(buildGraph(model, { phase })), phase);
  return law.at({ [variable]: length });
};

describe("a tensor-parallel device", () => {
  test.each([2, 4, 8])(
    "of %i does exactly its share of a Llama's products, and keeps its share of the weights",
    (tensor) => {
      const local = shardModel(llama, { ...noParallelism, tensor });
      for (const n of [1, 1000, 100_000]) {
        expect((flops(local, "prefill", n) * tensor) / flops(llama, "prefill", n)).toBeCloseTo(1, 12);
        expect((flops(local, "decode", n) * tensor) / flops(llama, "decode", n)).toBeCloseTo(1, 12);
      }
      // Norms are whole everywhere: 65 of 4096 values of 2 bytes.
      const norms = 65 * 4096 * 2;
      const [own, all] = [weightBytes(buildGraph(local)), weightBytes(buildGraph(llama))];
      expect((own - norms) * tensor + norms).toBe(all);
    },
  );

  test("repeats KV heads where there are fewer of them", () => {
    const mixers = (model: ModelDescription) =>
      model.stacks.flatMap(({ layers }) => layers.flatMap((layer) => layer.mixers));
    const sixteen = mixers(shardModel(llama, { ...noParallelism, tensor: 16 }));
    expect(sixteen[0]).toMatchObject({ heads: 2, kvHeads: 1 });
    const four = mixers(shardModel(llama, { ...noParallelism, tensor: 4 }));
    expect(four[0]).toMatchObject({ heads: 8, kvHeads: 2 });
  });

  test("does at least its share in every family, and fewer devices never less than more", () => {
    const models = [
      ...["qwen3_next", "falcon_h1", "mamba2", "gemma3_text", "t5", "bert", "jamba", "minimax"].map(family),
      deepseek,
      gptOss,
    ];
    fc.assert(
      fc.property(fc.constantFrom(...models), fc.integer({ min: 1, max: 50_000 }), (model, n) => {
        const whole = flops(model, "prefill", n);
        let before = whole;
        for (const tensor of [2, 4]) {
          let local: ModelDescription;
          try {
            local = shardModel(model, { ...noParallelism, tensor });
          } catch {
            continue;
          }
          const own = flops(local, "prefill", n);
          expect(own * tensor).toBeGreaterThanOrEqual(whole * (1 - 1e-9));
          expect(own).toBeLessThanOrEqual(before * (1 + 1e-9));
          before = own;
        }
      }),
      { seed: 3, numRuns: 60 },
    );
  });
});

describe("an expert-parallel device", () => {
  const experts = (model: ModelDescription, batch: number, phase: "prefill" | "decode" = "prefill") =>
    priceGraph(buildGraph(model, { phase }))
      .filter(({ operator }) => operator.kind === "experts")
      .map(({ cost }) => ({
        flops: cost.matmulFlops.at({ n: phase === "decode" ? 1 : 500, b: batch }),
        bytes: cost.weightBytes.at({ n: phase === "decode" ? 1 : 500, b: batch }),
      }));

  test("inside a tensor-parallel group does its share of the experts' work, expected ones among them", () => {
    const local = shardModel(deepseek, { ...noParallelism, tensor: 8, expert: 8 });
    const [whole] = experts(deepseek, 3, "decode");
    const [own] = experts(local, 3, "decode");
    expect((own?.flops ?? 0) * 8).toBeCloseTo(whole?.flops ?? 0, -3);
    expect((own?.bytes ?? 0) * 8).toBeCloseTo(whole?.bytes ?? 0, -3);
  });

  test("beyond it serves the tokens of all replicas", () => {
    const parallel = { ...noParallelism, expert: 32 };
    expect(replicasOf(parallel)).toBe(32);
    expect(devicesOf(parallel)).toBe(32);
    const local = shardModel(deepseek, parallel);
    // 64 sequences in all, two in each replica.
    const [whole] = experts(deepseek, 64, "decode");
    const [own] = experts(local, 2, "decode");
    expect(((own?.flops ?? 0) * 32) / (whole?.flops ?? 1)).toBeCloseTo(1, 12);
    expect(((own?.bytes ?? 0) * 32) / (whole?.bytes ?? 1)).toBeCloseTo(1, 12);
  });

  test("has a router over all experts", () => {
    const local = shardModel(gptOss, { ...noParallelism, expert: 8 });
    const router = (model: ModelDescription) =>
      buildGraph(model)
        .instances.flatMap(({ block }) => [...block.weights])
        .find(([name]) => name.endsWith("router.weight"))?.[1].shape;
    expect(router(local)).toEqual(router(gptOss));
  });
});

describe("what cannot be split", () => {
  test.each([
    [llama, { tensor: 3 }, /--tp: found 3; a divisor of the 32 heads/],
    [llama, { pipeline: 7 }, /--pp: found 7; a divisor of the 32 layers/],
    [llama, { expert: 2 }, /--ep: found 2; .*no experts/],
    [deepseek, { expert: 3 }, /--ep: found 3; a divisor of the 256 experts/],
    [deepseek, { tensor: 4, expert: 6 }, /--ep: found 6; a divisor or a multiple of --tp 4/],
    [gptOss, { tensor: 6 }, /--tp: found 6; a divisor of the 64 heads/],
  ])("is refused with the number that does not go", (model, parallel, message) => {
    const split = () => shardModel(model, { ...noParallelism, ...parallel });
    expect(split).toThrow(message);
    expect(split).toThrow(expect.objectContaining({ code: "parallel-divide", exitCode: 2 }));
  });
});
