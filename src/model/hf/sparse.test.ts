import { expect, test } from "vitest";
import { readConfigFile } from "../../../test/reference/data.js";
import { readConfig } from "./read-config.js";

test("DeepSeek-V4's kinds of layers compress by the file's own rates, and the sparse kind alone has an indexer", () => {
  const config = {
    ...readConfigFile("class-defaults", "deepseek_v4.json"),
    num_hidden_layers: 3,
    layer_types: ["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"],
    compress_rates: { compressed_sparse_attention: 2, heavily_compressed_attention: 5 },
  };
  const { stacks } = readConfig(config, "config.json", "v4");
  const mixers = stacks[0]?.layers.flatMap((layer) => layer.mixers);
  expect(mixers).toMatchObject([
    { ratio: 0, indexer: null },
    { ratio: 2, indexer: { chosen: 512 } },
    { ratio: 5, indexer: null },
  ]);
});

test("layers of Ling and Kimi K3 that their files call dense have no experts", () => {
  const kinds = (file: string, changes: object) =>
    readConfig({ ...readConfigFile("configs", file), ...changes }, file, file)
      .stacks.at(-1)
      ?.layers.slice(0, 4)
      .map(({ ffns }) => ffns[0]?.kind);
  expect(kinds("inclusionAI__Ling-lite.json", { first_k_dense_replace: 2 })).toEqual(["dense", "dense", "moe", "moe"]);
  const kimi = readConfigFile("configs", "moonshotai__Kimi-K3.json");
  const text = { ...Object(kimi["text_config"]), moe_layer_freq: 2 };
  expect(kinds("moonshotai__Kimi-K3.json", { text_config: text })).toEqual(["dense", "dense", "moe", "dense"]);
});
