import { describe, expect, test } from "vitest";
import { readConfig } from "../../src/model/hf/read-config.js";
import { configFiles, readConfigFile } from "../reference/data.js";
import * as published from "../support/published-families.js";
import { silentMutations } from "./key-mutations.js";

const readable = configFiles("configs").filter((file) => readConfigFile("configs", file)["model_type"] !== undefined);

describe("a key that is left out or null is refused, changes nothing, or what took its place is reported", () => {
  test.each(readable)("%s", (file) => {
    expect(silentMutations(readConfigFile("configs", file), file)).toEqual([]);
  });
  test.each(Object.entries(published))("%s", (name, config) => {
    expect(silentMutations(config, name)).toEqual([]);
  });
});

describe("what the class would fill in but cannot be right is refused by name", () => {
  const qwen = {
    model_type: "qwen2",
    hidden_size: 1536,
    intermediate_size: 8960,
    num_attention_heads: 12,
    num_hidden_layers: 28,
  };
  test("a class default of key-value heads that does not divide the heads", () => {
    expect(() => readConfig(qwen, "a.json", "a")).toThrow(
      /num_key_value_heads is missing; expected it to be named: the class default \(32\) does not divide num_attention_heads \(12\)/,
    );
  });
  test("a window that is null while layers slide", () => {
    const sliding = {
      ...qwen,
      num_key_value_heads: 2,
      num_hidden_layers: 2,
      sliding_window: null,
      layer_types: ["sliding_attention", "full_attention"],
    };
    expect(() => readConfig(sliding, "a.json", "a")).toThrow(/sliding_window is "?null"?; expected/);
  });
  test("a width of experts that the file leaves out is the class's, not the dense network's", () => {
    const { moe_intermediate_size: left, ...config } = readConfigFile("configs", "Qwen__Qwen3-30B-A3B.json");
    expect(left).toBe(768);
    const model = readConfig(config, "a.json", "a");
    expect(model.filled).toContainEqual(
      expect.objectContaining({ key: "moe_intermediate_size", from: "class default of qwen3_moe" }),
    );
  });
});
