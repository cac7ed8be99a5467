import { describe, expect, test } from "vitest";
import { NsquaredError } from "../../src/base/errors.js";
import { isKnownHarmless } from "../../src/model/hf/harmless-keys.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import type { ModelDescription } from "../../src/model/types.js";
import { configFiles, readConfigFile } from "../reference/data.js";

/** Keys that may change a description without a word, and why that is right. */
const exempt: Readonly<Record<string, string>> = {
  max_position_embeddings: "the longest sequence: no cost depends on it where positions are not a table",
  n_positions: "as max_position_embeddings",
  seq_length: "as max_position_embeddings",
  max_seq_len: "as max_position_embeddings",
  partial_rotary_factor: "how much of a head rotates: no product of matrices, no parameter depends on it",
  block_ff_dim: "LFM2's class takes intermediate_size in its place, and the file has both",
  quantization_config: "a file without one is of weights that are not quantised",
  expert_dtype: "as quantization_config",
  vision_config: "Gemma 4's class has no tower by default",
  audio_config: "Gemma 4's class has no tower by default",
};

/** What a description says about the model itself. */
function substance(model: ModelDescription): string {
  const { filled: _filled, notes: _notes, name: _name, source: _source, ...rest } = model;
  return JSON.stringify(rest);
}

/** Everything a description reports besides: what was filled in, and notes. */
function reports(model: ModelDescription): Set<string> {
  return new Set([...model.filled.map((entry) => JSON.stringify(entry)), ...model.notes]);
}

type Config = Record<string, unknown>;

/** The configuration with each key of the model's own object left out, and with each key null. */
function mutations(config: Config): (readonly [string, Config])[] {
  const nested = ["text_config", "language_config", "llm_config"].filter(
    (key) => typeof config[key] === "object" && config[key] !== null,
  );
  const within = (object: Config, wrap: (changed: Config) => Config, prefix: string) =>
    Object.keys(object)
      .filter((key) => key !== "model_type" && !nested.includes(key))
      .flatMap((key) => {
        const { [key]: _left, ...without } = object;
        return [
          [`${prefix}${key} left out`, wrap(without)],
          [`${prefix}${key} null`, wrap({ ...object, [key]: null })],
        ] as const;
      });
  return [
    ...within(config, (changed) => changed, ""),
    ...nested.flatMap((key) => within({ ...(config[key] as Config) }, (to) => ({ ...config, [key]: to }), `${key}.`)),
  ];
}

const readable = configFiles("configs").filter((file) => readConfigFile("configs", file)["model_type"] !== undefined);

describe("a key that is left out or null is refused, changes nothing, or what took its place is reported", () => {
  test.each(readable)("%s", (file) => {
    const config = readConfigFile("configs", file);
    const whole = readConfig(config, file, file);
    const told = reports(whole);
    const silent = mutations(config).filter(([name, mutated]) => {
      const key = name.replace(/ (left out|null)$/, "").replace(/^.*\./, "");
      if (Object.hasOwn(exempt, key) || isKnownHarmless(key)) return false;
      let changed: ModelDescription;
      try {
        changed = readConfig(mutated, file, file);
      } catch (error) {
        expect(error).toBeInstanceOf(NsquaredError);
        return false;
      }
      if (substance(changed) === substance(whole)) return false;
      return [...reports(changed)].every((sentence) => told.has(sentence));
    });
    expect(silent.map(([name]) => name)).toEqual([]);
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
