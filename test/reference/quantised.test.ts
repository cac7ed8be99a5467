import { describe, expect, test } from "vitest";
import { distinctWeights, elementCount } from "../../src/cost/parameters.js";
import { checkpointWeights } from "../../src/cost/quantised.js";
import { buildGraph } from "../../src/graph/build.js";
import { builtInModel } from "../../src/model/builtin/models.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import { readConfigFile } from "./data.js";

/** Bytes of a published checkpoint as its config has it. */
function weightsOf(file: string, changes: Readonly<Record<string, unknown>> = {}) {
  return checkpointWeights(readConfig({ ...readConfigFile("configs", `${file}.json`), ...changes }, file, file));
}

describe("checkpoints that were published quantised", () => {
  test.each([
    ["gpt-oss-20b", "openai__gpt-oss-20b"],
    ["DeepSeek-V3", "deepseek-ai__DeepSeek-V3"],
    ["DeepSeek-V3.2", "deepseek-ai__DeepSeek-V3.2"],
  ])("the built-in %s is as it was published", (name, file) => {
    const model = builtInModel(name);
    if (model === null) throw new Error(`${name} is built in`);
    expect(checkpointWeights(model)).toEqual(weightsOf(file));
  });

  /* `total_size` in openai/gpt-oss-20b's model.safetensors.index.json; parameters: huggingface.js, parse-safetensors-metadata.spec.ts. */
  test("gpt-oss-20b takes its bytes to the last one, BF16 and MXFP4 apart", () => {
    const weights = weightsOf("openai__gpt-oss-20b");
    expect(weights.bytes).toBe(13_761_264_768);
    expect(weights.formats.map(({ name, parameters }) => [name, parameters])).toEqual([
      ["MXFP4", 19_110_297_600],
      ["bfloat16", 1_804_459_584],
    ]);
  });

  /* Tensor bytes of openai/gpt-oss-120b, as public tests of two other projects state them. */
  test("gpt-oss-120b takes its bytes to the last one", () => {
    const changes = { num_hidden_layers: 36, num_local_experts: 128, layer_types: undefined };
    expect(weightsOf("openai__gpt-oss-20b", changes).bytes).toBe(65_248_815_744);
  });

  /*
   * The 163 files of deepseek-ai/DeepSeek-V3 have 688,586,727,753 bytes (the hub's tree). They begin with headers, in
   * which each of some 92,000 tensors takes 120 to 150 bytes: the tensors alone are 11 to 14 MB smaller.
   */
  test.each(["deepseek-ai__DeepSeek-V3", "deepseek-ai__DeepSeek-R1"])(
    "%s takes the bytes of its files less headers",
    (file) => {
      const headers = 688_586_727_753 - weightsOf(file).bytes;
      const tensors = 61 * (12 + 3) + 59 * 256 * 3 * 2;
      expect(headers / tensors).toBeGreaterThan(120);
      expect(headers / tensors).toBeLessThan(150);
    },
  );

  /* U8 elements of moonshotai/Kimi-K3's headers times two (huggingface.js, parse-safetensors-metadata.spec.ts). */
  test("Kimi-K3 has its routed experts in MXFP4 and nothing else", () => {
    expect(weightsOf("moonshotai__Kimi-K3").formats.map(({ name, parameters }) => [name, parameters])).toEqual([
      ["MXFP4", 2_722_740_830_208],
      ["bfloat16", 57_179_884_544 + 11_122_432],
    ]);
  });

  /* F32 elements of the same headers: convolutions, decays with their padding and norms of linear attention, balancing biases. */
  test("what Kimi-K3 keeps in float32 is as many as its headers say", () => {
    const model = readConfig(readConfigFile("configs", "moonshotai__Kimi-K3.json"), "k3", "k3");
    const wide = /^layers\.\d+\.mixer\.(?:convolution\.weight|time_bias|decay_base|norm\.weight)$/;
    const run = [...distinctWeights(buildGraph(model))].flatMap(([name, weight]) => (wide.test(name) ? [weight] : []));
    const all = [...run, ...(model.unrun?.weights ?? [])];
    expect(all.reduce((sum, weight) => sum + elementCount(weight), 0)).toBe(11_122_432);
  });

  /* I8 elements of deepseek-ai/DeepSeek-V4-Pro's headers (the same file), its layer for prediction among them. */
  test("DeepSeek-V4-Pro has the experts of all layers in MXFP4, that for prediction too", () => {
    const [first] = weightsOf("deepseek-ai__DeepSeek-V4-Pro").formats;
    expect(first).toMatchObject({ name: "MXFP4", parameters: 1_572_763_336_704 });
  });

  test.each([
    ["nvidia__Kimi-K2.6-NVFP4", ["NVFP4", "bfloat16"]],
    ["nvidia__Qwen3.6-27B-NVFP4", ["NVFP4", "FP8 with a scale per tensor", "bfloat16"]],
    ["nvidia__Qwen3.6-35B-A3B-NVFP4", ["NVFP4", "bfloat16", "FP8 with a scale per tensor"]],
    ["nvidia__MiniMax-M3-NVFP4", ["NVFP4", "MXFP8", "bfloat16"]],
    ["nvidia__DeepSeek-V4-Flash-NVFP4", ["NVFP4", "MXFP4", "FP8 in blocks of 128×128", "bfloat16"]],
    ["deepseek-ai__DeepSeek-V4-Flash", ["MXFP4", "FP8 in blocks of 128×128", "bfloat16"]],
    ["zai-org__GLM-5-FP8", ["FP8 in blocks of 128×128", "bfloat16"]],
  ])("%s is in several formats", (file, names) => {
    expect(weightsOf(file).formats.map(({ name }) => name)).toEqual(names);
  });

  test("experts alone are quantised where lists leave the rest out", () => {
    /* 30 layers × 128 experts × 3 matrices of 704 × 2816 (Gemma-4-26B-A4B); the dense network beside them is listed. */
    const gemma = weightsOf("nvidia__Gemma-4-26B-A4B-NVFP4");
    expect(gemma.formats[0]?.parameters).toBe(30 * 128 * 3 * 704 * 2816);
    /* 60 layers × 384 experts × 3 matrices of 2048 × 7168 (Kimi-K2). */
    expect(weightsOf("nvidia__Kimi-K2.6-NVFP4").formats[0]?.parameters).toBe(60 * 384 * 3 * 2048 * 7168);
    /* 57 sparse layers × 128 × 3 × 3072 × 6144 (MiniMax-M3). */
    expect(weightsOf("nvidia__MiniMax-M3-NVFP4").formats[0]?.parameters).toBe(57 * 128 * 3 * 3072 * 6144);
  });
});

describe("towers", () => {
  const formats = (config: Readonly<Record<string, unknown>>): Record<string, number> => {
    const { formats: found } = weightsOf("Qwen__Qwen2.5-VL-7B-Instruct", { quantization_config: config });
    return Object.fromEntries(found.map(({ name, parameters }) => [name, parameters]));
  };
  /* 28 layers of Qwen2.5-7B, and 32 of the tower with its merger of two maps (config of Qwen2.5-VL-7B). */
  const text = 28 * (2 * 3584 * 3584 + 2 * 3584 * 512 + 3 * 3584 * 18_944);
  const tower = 32 * (4 * 1280 * 1280 + 3 * 1280 * 3420);
  const merger = 5120 * 5120 + 5120 * 3584;

  test("are quantised with everything else where no list names them", () => {
    expect(formats({ quant_method: "fp8" })["FP8 with a scale per tensor"]).toBe(text + tower + merger);
  });

  test("stay as they are where a list names them, or some of their modules", () => {
    for (const names of [["visual"], ["model.visual.blocks.0.attn.proj", "visual.merger.mlp.0"]]) {
      const found = formats({ quant_method: "fp8", modules_to_not_convert: names });
      expect(found["FP8 with a scale per tensor"]).toBe(text);
    }
  });

  test("what leads from them is listed apart", () => {
    const found = formats({ quant_method: "fp8", modules_to_not_convert: ["merger"] });
    expect(found["FP8 with a scale per tensor"]).toBe(text + tower);
  });

  test("stay as they are where a toolkit goes through the language model's layers", () => {
    expect(formats({ quant_method: "gptq", bits: 4, group_size: 128 })).toHaveProperty("bfloat16");
    const [, packed] =
      Object.entries(formats({ quant_method: "awq", bits: 4 })).find(([name]) => name !== "bfloat16") ?? [];
    expect(packed).toBe(text);
  });
});
