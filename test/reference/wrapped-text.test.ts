import { describe, expect, test } from "vitest";
import { countParameters } from "../../src/cost/parameters.js";
import { buildGraph } from "../../src/graph/build.js";
import { described, parametersOf, smallDecoder, type Config } from "./written.js";

const sizes: Config = { ...smallDecoder, head_dim: 32 };

const alone = (type: string, more: Config = {}): Config => ({
  ...sizes,
  ...more,
  model_type: type,
});

test("adept/fuyu-8b has the parameters of its checkpoint: patches are projected into the stream", () => {
  const text = {
    model_type: "persimmon",
    hidden_act: "relu2",
    hidden_size: 4096,
    intermediate_size: 16_384,
    layer_norm_eps: 1e-5,
    num_attention_heads: 64,
    num_hidden_layers: 36,
    partial_rotary_factor: 0.5,
    qk_layernorm: true,
    rope_theta: 25_000,
    tie_word_embeddings: false,
    vocab_size: 262_144,
  };
  const fuyu = { model_type: "fuyu", architectures: ["FuyuForCausalLM"], num_channels: 3, patch_size: 30 };
  expect(parametersOf({ ...fuyu, hidden_size: 4096, text_config: text })).toBe(9_408_238_592);
});

describe("what a wrapper has beside its language model is named and not counted", () => {
  const wrapped: readonly (readonly [string, string, string])[] = [
    ["perception_lm", "llama", "text_config"],
    ["video_llama_3", "qwen2", "text_config"],
    ["exaone4_5", "exaone4", "text_config"],
    ["lighton_ocr", "qwen3", "text_config"],
    ["audioflamingo3", "qwen2", "text_config"],
    ["multi_modality", "llama", "language_config"],
    ["ovis", "qwen2", "llm_config"],
    ["h2ovl_chat", "mistral", "llm_config"],
  ];
  test.each(wrapped)("%s holds %s", (type, text, key) => {
    const own = { ...sizes, model_type: text };
    const model = described({
      model_type: type,
      architectures: ["ForConditionalGeneration"],
      [key]: own,
      vision_config: { hidden_size: 64 },
    });
    expect(countParameters(buildGraph(model)).total).toBe(parametersOf(alone(text, own)));
    expect(model.notes.join("\n")).toContain("only the language model is described: vision_config is left out");
  });
});

describe("wrappers with the language model's keys on the top level", () => {
  const flat: readonly (readonly [string, string, Config])[] = [
    ["dots_ocr", "qwen2", {}],
    ["llava_qwen", "qwen2", { mm_vision_tower: "tower" }],
    ["llava_mistral", "mistral", { mm_vision_tower: "tower" }],
    ["minicpmv", "qwen2", { version: 2.6 }],
    ["minicpmv", "llama", { version: 2.5 }],
    ["minicpmo", "qwen3", { version: "4.5" }],
  ];
  test.each(flat)("%s is %s", (type, text, more) => {
    const model = described({ ...alone(type, more), vision_config: { hidden_size: 64 } });
    expect(countParameters(buildGraph(model)).total).toBe(parametersOf(alone(text)));
    expect(model.notes.join("\n")).toContain("what vision_config names is left out");
  });
  test("a version whose language model nobody knows is refused", () => {
    expect(() => described(alone("minicpmv", { version: 9 }))).toThrow(/version is 9/);
    expect(() => described(alone("minicpmv"))).toThrow(/version/);
  });
});
