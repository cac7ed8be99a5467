import { describe, expect, test } from "vitest";
import { cacheBytes } from "../../src/cost/cache.js";
import { countParameters } from "../../src/cost/parameters.js";
import { priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import type { ModelDescription } from "../../src/model/types.js";
import { type ConfigFolder, readConfigFile } from "../reference/data.js";

/** Statements that others published about cache, parameters and FLOPs, beside what the graphs give. */

function model(file: string, folder: ConfigFolder = "configs", more: Record<string, unknown> = {}): ModelDescription {
  return readConfig({ torch_dtype: "bfloat16", ...readConfigFile(folder, file), ...more }, file, file);
}

const cacheAt = (described: ModelDescription, tokens: number): number =>
  cacheBytes(buildGraph(described)).at({ n: tokens, c: 0 });

describe("cache", () => {
  test("of DeepSeek-V3 is 70,272 bytes per token in bfloat16 (Insights into DeepSeek-V3)", () => {
    expect(cacheAt(model("deepseek-ai__DeepSeek-V3.json"), 1)).toBe(70_272);
  });

  test("of Llama-3-70B is 163,840 elements per token (How to Scale Your Model)", () => {
    expect(cacheAt(model("meta-llama__Meta-Llama-3-70B-Instruct.json"), 1)).toBe(2 * 163_840);
  });

  test("of DeepSeek-V3.2 adds an indexer key of 128 numbers per token and layer", () => {
    const bytes = cacheAt(model("deepseek-ai__DeepSeek-V3.2.json"), 1);
    expect(bytes).toBe(70_272 + 61 * 128 * 2);
  });

  test("of gpt-oss-120b is 36,864·n + 36,864·min(n, 128)", () => {
    const gptOss = model("gpt_oss.json", "class-defaults", { dtype: "bfloat16" });
    for (const tokens of [1, 128, 129, 100_000]) {
      expect(cacheAt(gptOss, tokens)).toBe(36_864 * tokens + 36_864 * Math.min(tokens, 128));
    }
  });

  test("of Gemma 4 26B-A4B at 128k is 5 global layers of all tokens and 25 local ones of 1024", () => {
    const bytes = cacheAt(model("google__gemma-4-26B-A4B.json"), 131_072);
    expect(bytes).toBe(5 * 2 * 2 * 512 * 131_072 * 2 + 25 * 2 * 8 * 256 * 1024 * 2);
  });

  test("of Gemma 4 E2B is kept by the 15 layers that have keys of their own", () => {
    const bytes = cacheAt(model("google__gemma-4-E2B.json"), 512);
    // Every fifth layer is global with heads of 512; all heads share one key.
    expect(bytes).toBe((12 * 256 + 3 * 512) * 2 * 512 * 2);
  });

  test("of Mamba is the same after one token and after a million", () => {
    const mamba = model("state-spaces__mamba-130m-hf.json");
    expect(cacheAt(mamba, 1)).toBe(cacheAt(mamba, 1_000_000));
    expect(cacheAt(mamba, 1)).toBe(24 * (1536 * 16 * 4 + 1536 * 3 * 4));
  });
});

describe("parameters", () => {
  test.each([
    ["openai__gpt-oss-20b.json", 20_914_757_184],
    ["THUDM__chatglm3-6b.json", 6_243_584_000],
    ["Qwen__Qwen-7B.json", 7_721_324_544],
    ["tencent__Hunyuan-A13B-Pretrain-remotecode.json", 80_393_183_232],
    ["google__gemma-7b.json", 8_537_680_896],
  ])("%s has the %d that its checkpoint has", (file, total) => {
    expect(countParameters(buildGraph(model(file))).total).toBe(total);
  });

  test.each([
    [
      "deberta-v2",
      183_831_552,
      {
        position_buckets: 256,
        norm_rel_ebd: "layer_norm",
        share_att_key: true,
        type_vocab_size: 0,
        position_biased_input: false,
        vocab_size: 128_100,
      },
    ],
    ["deberta", 138_601_728, { type_vocab_size: 0, position_biased_input: false, vocab_size: 50_265 }],
  ])("of %s-base are %d: disentangled attention with its table of relative positions", (type, total, more) => {
    const config = {
      model_type: type,
      architectures: ["DebertaModel"],
      hidden_size: 768,
      num_hidden_layers: 12,
      num_attention_heads: 12,
      intermediate_size: 3072,
      relative_attention: true,
      max_relative_positions: -1,
      pos_att_type: "p2c|c2p",
      ...more,
    };
    expect(countParameters(buildGraph(readConfig(config, type, type))).total).toBe(total);
  });

  test("of gpt-oss-20b that are active are 3,608,307,264 beside the input embedding (model card: 3.61B)", () => {
    const count = countParameters(buildGraph(model("openai__gpt-oss-20b.json")));
    expect(count.active - count.embedding).toBe(3_608_307_264);
  });
});

test("Llama-7B takes 1700.06 GFLOP for 128 tokens, logits of all of them (calculate-flops)", () => {
  const graph = buildGraph(model("meta-llama__Llama-2-7b-hf.json"), { head: "all" });
  const flops = totalCost(priceGraph(graph, { causal: "full" })).matmulFlops.at({ n: 128 });
  expect(flops / 1e9).toBeCloseTo(1700.06, 0);
});
