import { describe, expect, test } from "vitest";
import { countParameters } from "../../src/cost/parameters.js";
import { buildGraph } from "../../src/graph/build.js";
import { knownModelTypes, readConfig } from "../../src/model/hf/read-config.js";
import { type ConfigFolder, readConfigFile, readTable } from "./data.js";

const families = ["llama", "mistral", "qwen2", "qwen3", "smollm3", "gemma", "phi3", "olmo2"];

function totalOf(config: unknown, name: string): number {
  return countParameters(buildGraph(readConfig(config, name, name))).total;
}

describe.each<[ConfigFolder, string]>([
  ["configs", "parameters.csv"],
  ["class-defaults", "class-defaults-parameters.csv"],
])("parameters of %s equal the reference implementation's", (folder, table) => {
  const rows = readTable(table).filter((row) => families.includes(row["model_type"] ?? ""));
  test.each(rows.map((row) => [row["file"] ?? "", Number(row["total"])] as const))("%s has %d", (file, total) => {
    expect(totalOf(readConfigFile(folder, file), file)).toBe(total);
  });
});

describe("a file that names only its model_type gets the class defaults", () => {
  const rows = readTable("class-defaults-parameters.csv").filter((row) => families.includes(row["model_type"] ?? ""));
  test.each(rows.map((row) => [row["model_type"] ?? "", Number(row["total"])] as const))("%s has %d", (type, total) => {
    expect(totalOf({ model_type: type, architectures: ["AnyForCausalLM"] }, type)).toBe(total);
  });
});

test("every family that is listed here can be read", () => {
  expect(knownModelTypes()).toEqual(expect.arrayContaining(families));
});
