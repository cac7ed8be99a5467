import { describe, expect, test } from "vitest";
import { readConfigFile, readTable } from "../../test/reference/data.js";
import { readConfig } from "../model/hf/read-config.js";
import { isObject } from "../model/hf/json.js";
import { fileTypes } from "../model/storage.js";
import { quantisedWeights } from "./quantised.js";

/** The config with some keys of its language model changed. */
function changed(config: Record<string, unknown>, changes: string): Record<string, unknown> {
  if (changes === "") return config;
  const more: unknown = JSON.parse(changes);
  const { text_config: text } = config;
  return isObject(more) && isObject(text) ? { ...config, text_config: { ...text, ...more } } : config;
}

describe("a config priced as a GGUF file type", () => {
  test.each(readTable("gguf-sizes.csv").map((row) => [row["file"] ?? "", row] as const))(
    "takes the bytes of %s within 1 %%",
    (_, row) => {
      const config = changed(readConfigFile("configs", row["config"] ?? ""), row["changes"] ?? "");
      const model = readConfig(config, "config.json", "model");
      const fileType = fileTypes.find((name) => name === row["type"]);
      if (fileType === undefined) throw new Error(`${row["type"]} is no file type that is priced`);
      const { bytes, parameters } = quantisedWeights(model, fileType);
      expect(Math.abs(parameters / Number(row["parameters"]) - 1)).toBeLessThan(1e-3);
      expect(Math.abs(bytes / Number(row["bytes"]) - 1)).toBeLessThan(0.01);
    },
  );

  test("takes Q8_0 where a row is no whole number of Q6_K's blocks", () => {
    const config = { model_type: "llama", hidden_size: 96, intermediate_size: 96, num_hidden_layers: 1 };
    const sizes = { num_attention_heads: 1, num_key_value_heads: 1, vocab_size: 64, tie_word_embeddings: true };
    const model = readConfig({ ...config, ...sizes }, "config.json", "model");
    const matrices = 64 * 96 + 7 * 96 * 96;
    expect(quantisedWeights(model, "Q6_K").bytes).toBe((matrices / 32) * 34 + 3 * 96 * 4);
  });
});
