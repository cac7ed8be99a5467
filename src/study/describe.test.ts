import { describe, expect, test } from "vitest";
import { type ConfigFolder, readConfigFile, readTable } from "../../test/reference/data.js";
import { isObject } from "../model/hf/json.js";
import { readConfig } from "../model/hf/read-config.js";
import type { ModelDescription } from "../model/types.js";
import { describeModel } from "./describe.js";

const configs = "configs";
function model(file: string, folder: ConfigFolder = configs, changes: Record<string, unknown> = {}): ModelDescription {
  return readConfig({ torch_dtype: "bfloat16", ...readConfigFile(folder, file), ...changes }, file, file);
}

describe("parameters of the checkpoint as published", () => {
  test.each(
    readTable("published-parameters.csv").map((row) => [row["model"] ?? "", Number(row["total"]), row] as const),
  )("%s has %d", (_, total, row) => {
    const changes: unknown = row["changes"] === "" ? {} : JSON.parse(row["changes"] ?? "{}");
    const folder = row["folder"] === configs ? configs : "class-defaults";
    const whole = model(row["config"] ?? "", folder, isObject(changes) ? changes : {});
    const described =
      row["parts"] === "text" ? { ...whole, stacks: whole.stacks.filter(({ kind }) => kind !== "vision") } : whole;
    expect(describeModel(described).parameters.total).toBe(total);
  });

  test("leave out what nothing runs when counted as transformers does", () => {
    const deepseek = model("deepseek-ai__DeepSeek-V3.json");
    expect(describeModel(deepseek, { preset: "transformers" }).parameters.total).toBe(671_026_404_352);
    const { parameters, unrun } = describeModel(deepseek);
    expect(parameters.total).toBe(671_026_404_352 + unrun.prediction + unrun.buffers);
    // 58 sparse layers and the one for prediction have 256 experts each.
    expect(unrun.buffers).toBe(59 * 256);
  });
});

describe("what is kept per sequence", () => {
  test("is priced in the asked dtype; a window stops growing", () => {
    const gptOss = model("gpt_oss.json", "class-defaults");
    const { cache } = describeModel(gptOss);
    expect(cache.keysAndValues.pieces.map(({ from, coefficients }) => [from, coefficients])).toEqual([
      [0, [0, 73_728]],
      [128, [36_864 * 128, 36_864]],
    ]);
    const small = describeModel(gptOss, { cacheDtype: "float8" });
    expect(small.cache.bytesPerToken).toBe(cache.bytesPerToken / 2);
    expect(small.cache.dtype).toBe("float8");
    expect(small.weightBytes).toBe(describeModel(gptOss).weightBytes);
  });

  test("is priced per token apart from what an encoder of fixed length leaves", () => {
    const { cache } = describeModel(model("openai__whisper-tiny.json"));
    expect(cache.bytesPerToken).toBe(4 * 2 * 384 * 4);
    expect(cache.keysAndValues.pieces.map(({ coefficients }) => coefficients)).toEqual([
      [1500 * 4 * 2 * 384 * 4, 4 * 2 * 384 * 4],
    ]);
  });

  test("is a state in float32 beside a convolution's in the activations' dtype for Mamba, and no cache", () => {
    const { cache, state } = describeModel(
      model("state-spaces__mamba-130m-hf.json", configs, { torch_dtype: "bfloat16" }),
    );
    expect(cache.keysAndValues.expression).toBe("0");
    expect(state).toEqual({ bytes: 24 * (1536 * 16 * 4 + 1536 * 3 * 2), dtypes: ["bfloat16", "float32"] });
  });

  test("holds an encoder's keys and values per token of its input", () => {
    const { cache } = describeModel(model("t5.json", "class-defaults"));
    expect(cache.encoderBytesPerToken).toBe(6 * 2 * 512 * 2);
    expect(cache.bytesPerToken).toBe(6 * 2 * 512 * 2);
  });
});

test("layers of a tower, an encoder and a decoder are told apart", () => {
  const stacks = (file: string) => describeModel(model(file)).layerKinds.map(({ count, stack }) => [count, stack]);
  expect(stacks("facebook__bart-base.json")).toEqual([
    [6, "encoder"],
    [6, "decoder"],
  ]);
  expect(stacks("llava-hf__llava-1.5-7b-hf.json")).toEqual([
    [24, "vision"],
    [32, "decoder"],
  ]);
});

test("weights are of the parameters that are counted, run or not", () => {
  const gemma = model("google__gemma-4-E2B.json");
  for (const preset of [{}, { preset: "transformers" }] as const) {
    const { parameters, unrun, weightBytes } = describeModel(gemma, preset);
    expect(unrun.buffers).toBeGreaterThan(0);
    expect(weightBytes).toBe(2 * parameters.total);
  }
});

test.each(["float8", "int4"] as const)("%s narrows the weights and nothing else", (dtype) => {
  const own = describeModel(model("meta-llama__Meta-Llama-3.1-8B.json"));
  const narrow = describeModel(model("meta-llama__Meta-Llama-3.1-8B.json"), { dtype });
  expect(narrow.weightBytes).toBe(own.weightBytes / (dtype === "int4" ? 4 : 2));
  expect(narrow.dtypes).toEqual({ ...own.dtypes, weights: dtype });
  expect(narrow.cache).toEqual(own.cache);
});

test("a GGUF file type prices the weights and leaves the cache", () => {
  const llama = model("meta-llama__Llama-2-7b-hf.json");
  const { quantised, weightBytes, cache } = describeModel(llama, { dtype: "Q8_0" });
  expect(quantised).toMatchObject({ type: "Q8_0", parameters: 6_738_415_616, bytes: weightBytes });
  expect(cache).toEqual(describeModel(llama).cache);
});
