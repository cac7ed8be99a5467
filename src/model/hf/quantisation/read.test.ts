import { describe, expect, test } from "vitest";
import { buildGraph } from "../../../graph/build.js";
import { distinctWeights } from "../../../cost/parameters.js";
import { readConfig } from "../read-config.js";

const [hidden, width, vocabulary] = [256, 512, 1000];
const llama = {
  model_type: "llama",
  architectures: ["LlamaForCausalLM"],
  hidden_size: hidden,
  intermediate_size: width,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  num_hidden_layers: 3,
  vocab_size: vocabulary,
  dtype: "bfloat16",
  tie_word_embeddings: false,
};

function read(quantization_config: unknown, more: Readonly<Record<string, unknown>> = {}) {
  const model = readConfig({ ...llama, ...more, quantization_config }, "c", "c");
  const weights = distinctWeights(buildGraph(model));
  const bits = (name: string): number | undefined => weights.get(name)?.bits;
  return { model, weights, bits };
}

describe("bits of a matrix of 512 × 256", () => {
  const up = "layers.1.ffn.up.weight";
  test.each([
    ["FP8 blocks", { quant_method: "fp8", weight_block_size: [128, 128] }, 8 + 32 / (128 * 128)],
    ["FP8 per tensor", { quant_method: "fp8" }, 8 + 64 / (512 * 256)],
    ["FP8 per output", { quant_method: "fbgemm_fp8" }, 8 + 32 / 256],
    ["GPTQ", { quant_method: "gptq", bits: 4, group_size: 128 }, 4 + 20 / 128 + 32 / 512],
    ["GPTQ without groups", { quant_method: "gptq", bits: 8, group_size: -1 }, 8 + 24 / 256 + 32 / 512],
    ["AWQ", { quant_method: "awq", bits: 4, group_size: 64 }, 4 + 20 / 64],
    ["AutoRound", { quant_method: "auto-round", bits: 2, group_size: 128 }, 2 + 18 / 128],
    ["NF4", { quant_method: "bitsandbytes", load_in_4bit: true, bnb_4bit_quant_type: "nf4" }, 4.5 + 512 / (512 * 256)],
    [
      "NF4, doubly quantised",
      {
        quant_method: "bitsandbytes",
        load_in_4bit: true,
        bnb_4bit_quant_type: "nf4",
        bnb_4bit_use_double_quant: true,
      },
      4 + 8 / 64 + 32 / (64 * 256) + (32 * 273) / (512 * 256),
    ],
    ["LLM.int8", { quant_method: "bitsandbytes", load_in_8bit: true }, 8 + 32 / 256],
    ["EETQ", { quant_method: "eetq", weights: "int8" }, 8 + 16 / 256],
    ["quanto", { quant_method: "quanto", weights: "int4" }, 4 + 32 / 128],
    ["HQQ", { quant_method: "hqq", quant_config: { weight_quant_params: { nbits: 3, group_size: 64 } } }, 3 + 32 / 64],
    [
      "AQLM",
      { quant_method: "aqlm", num_codebooks: 2, nbits_per_codebook: 8, in_group_size: 8, out_group_size: 1 },
      16 / 8 + 16 / 256 + (2 * 256 * 8 * 16) / (512 * 256),
    ],
    ["BitNet", { quant_method: "bitnet" }, 2 + 16 / (512 * 256)],
    [
      "torchao",
      { quant_method: "torchao", quant_type: "int4_weight_only", quant_type_kwargs: { group_size: 64 } },
      4.5,
    ],
    [
      "torchao's objects",
      { quant_method: "torchao", quant_type: { default: { _type: "Int8WeightOnlyConfig", _data: {} } } },
      8 + 16 / 256,
    ],
    ["modelopt NVFP4", { quant_algo: "NVFP4", quant_method: "modelopt" }, 4.5 + 64 / (512 * 256)],
    [
      "compressed-tensors W4A16",
      {
        quant_method: "compressed-tensors",
        format: "pack-quantized",
        config_groups: {
          group_0: { targets: ["Linear"], weights: { num_bits: 4, type: "int", strategy: "group", group_size: 32 } },
        },
      },
      4.5,
    ],
    [
      "compressed-tensors FP8 per output",
      {
        quant_method: "compressed-tensors",
        config_groups: {
          group_0: { targets: ["Linear"], weights: { num_bits: 8, type: "float", strategy: "channel" } },
        },
      },
      8 + 16 / 256,
    ],
    [
      "Quark MXFP4",
      {
        quant_method: "quark",
        global_quant_config: { weight: { dtype: "fp4", qscheme: "per_group", group_size: 32 } },
      },
      4.25,
    ],
  ])("%s", (_, config, expected) => {
    const { bits } = read(config);
    expect(bits(up)).toBeCloseTo(expected, 10);
    expect(bits("layers.1.ffn.pre_norm.weight")).toBeUndefined();
    expect(bits("embedding.table")).toBeUndefined();
  });

  test("MLX quantises tables and head too", () => {
    const model = readConfig({ ...llama, quantization: { bits: 4, group_size: 64 } }, "c", "c");
    const weights = distinctWeights(buildGraph(model));
    for (const name of [up, "embedding.table", "head.weight"]) expect(weights.get(name)?.bits).toBe(4.5);
  });
});

describe("modules that are left alone", () => {
  const block = { quant_method: "fp8", weight_block_size: [128, 128] };
  const query = (layer: number): string => `layers.${layer}.mixer.query.weight`;

  test("by name, by parent, by layer, by star and by expression", () => {
    const left = (...modules: string[]) => {
      const { bits } = read({ ...block, modules_to_not_convert: modules });
      const names = [query(0), query(1), "layers.0.ffn.gate.weight", "layers.0.ffn.down.weight"];
      return names.map((name) => (bits(name) === undefined ? "-" : "q")).join("");
    };
    expect(left()).toBe("qqqq");
    expect(left("q_proj")).toBe("--qq");
    expect(left("model.layers.0.self_attn")).toBe("-qqq");
    expect(left("model.layers.0.self_attn.q_proj.weight")).toBe("-qqq");
    expect(left("model.language_model.layers.0.mlp*")).toBe("qq--");
    expect(left("model.layers.0*")).toBe("-q--");
    expect(left("model.layers.*.self_attn")).toBe("--qq");
    expect(left("*.mlp.down_proj")).toBe("qqq-");
    expect(left("re:.*mlp\\.(gate|up)_proj.*")).toBe("qq-q");
    expect(left("re:model\\.layers\\.[01]\\.self_attn.*")).toBe("--qq");
    // A gate of experts is not a gate projection.
    expect(left("gate", "visual.blocks.0.mlp", "lm_head")).toBe("qqqq");
  });

  test("the head is quantised where the target is every Linear and no list names it", () => {
    const scheme = { targets: ["Linear"], weights: { num_bits: 8, type: "float" } };
    const config = { quant_method: "compressed-tensors", config_groups: { g: scheme } };
    expect(read(config).bits("head.weight")).toBeCloseTo(8, 3);
    expect(read({ ...config, ignore: ["lm_head"] }).bits("head.weight")).toBeUndefined();
    expect(read(block).bits("head.weight")).toBeUndefined();
    expect(read({ quant_method: "gptq", bits: 4, group_size: 128, lm_head: true }).bits("head.weight")).toBeGreaterThan(
      4,
    );
  });

  test("an expression that could run for ever is not run, and said", () => {
    const { model, bits } = read({
      ...block,
      modules_to_not_convert: ["re:(a+)+$", "re:(.*)(.*)(.*)(.*)(.*)x", "re:("],
    });
    expect(model.notes.join("\n")).toContain("not understood name none here: re:(a+)+$, re:(.*)(.*)");
    expect(bits(query(0))).toBeGreaterThan(8);
  });

  test("layers of GPTQ may have bits of their own", () => {
    const dynamic = { "-:.*layers\\.2\\..*": {}, "+:.*down_proj.*": { bits: 8 } };
    const { bits } = read({ quant_method: "gptq", bits: 4, group_size: 128, dynamic });
    expect(bits("layers.2.ffn.down.weight")).toBeUndefined();
    expect(bits("layers.1.ffn.down.weight")).toBeGreaterThan(8);
    expect(bits("layers.1.ffn.up.weight")).toBeLessThan(5);
  });
});

describe("what is not understood", () => {
  test.each([
    ["another method", { quant_method: "later" }, "(later) is not understood"],
    ["another algorithm", { quant_method: "modelopt", quant_algo: "FP3" }, "(modelopt) is not understood"],
    [
      "another scheme",
      { quant_method: "compressed-tensors", config_groups: { g: { weights: { num_bits: 16 } } } },
      "(compressed",
    ],
    ["no method at all", { some: 1 }, "(unnamed method) is not understood"],
  ])("%s leaves the plain dtype, with a note", (_, config, note) => {
    const { model } = read(config);
    expect(model.storage).toBeUndefined();
    expect(model.notes.join("\n")).toContain(note);
  });

  test.each([
    ["bits", { quant_method: "gptq", bits: -4 }, "quantization_config.bits is -4; expected a whole number"],
    ["group_size", { quant_method: "awq", group_size: "x" }, 'quantization_config.group_size is "x"'],
    ["lists", { quant_method: "fp8", modules_to_not_convert: [1] }, "expected a list of names of modules"],
  ])("%s that cannot be right are refused", (_, config, message) => {
    expect(() => read(config)).toThrow(message);
  });
});

test("keys and values are in the format that the file states", () => {
  const config = { quant_method: "modelopt", quant_algo: "FP8", kv_cache_scheme: { num_bits: 8, type: "float" } };
  expect(read(config).model.dtypes).toEqual({ weights: "bfloat16", kv: "float8", activations: "bfloat16" });
  expect(read({ quant_method: "modelopt", quant_algo: "FP8" }).model.dtypes.kv).toBe("bfloat16");
});
