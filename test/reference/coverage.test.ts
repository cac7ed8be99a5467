import { describe, expect, test } from "vitest";
import { countParameters } from "../../src/cost/parameters.js";
import { priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { knownModelTypes, readConfig } from "../../src/model/hf/read-config.js";
import type { ModelDescription } from "../../src/model/types.js";
import { type ConfigFolder, readConfigFile, readTable } from "./data.js";

/** Configurations that nothing reads yet; they are refused, never guessed. */
const notRead = new Set(
  [
    "blt",
    "canine",
    "convbert",

    "mobilebert",
    "mra",
    "pegasus_x",
    "perceiver",
    "prophetnet",
  ].map((type) => `${type}.json`),
);

/** Where the reference's number is not the model's, and why. */
const otherParameters: Readonly<Record<string, string>> = {
  "stepfun-ai__Step-3.7-Flash.json": "the reference's class ignores keys on the top level and counts its defaults",
  "stepfun-ai__Step-3.7-Flash-FP8.json": "the reference's class ignores keys on the top level and counts its defaults",
  "longcat_flash.json": "the reference allocates gate and up projections for the idle experts too",
};

const otherFlops: Readonly<Record<string, string>> = {
  "google__recurrentgemma-2b.json decode": "the reference keeps no keys and values from step to step here",
  "recurrent_gemma.json decode": "the reference keeps no keys and values from step to step here",
  "zaya.json prefill": "the reference projects one position more for the values of the token before",
};

const folders: readonly (readonly [ConfigFolder, string, string])[] = [
  ["configs", "parameters.csv", "flops.csv"],
  ["class-defaults", "class-defaults-parameters.csv", "class-defaults-flops.csv"],
];

/** The model as the class that was counted reads it: a file that names no class, or no type, gets the row's. */
function read(folder: ConfigFolder, row: Readonly<Record<string, string>>): ModelDescription {
  const file = row["file"] ?? "";
  const config = readConfigFile(folder, file);
  const type = config["model_type"] ?? (file.startsWith("FacebookAI__roberta") ? "roberta" : undefined);
  return readConfig({ ...config, model_type: type, architectures: [row["class"]] }, file, file);
}

describe.each(folders)("%s", (folder, parametersTable, flopsTable) => {
  const rows = readTable(parametersTable);
  const classOf = new Map(rows.map((row) => [row["file"], row]));
  const readable = rows.filter((row) => !notRead.has(row["file"] ?? ""));

  test.each(
    readable
      .filter((row) => otherParameters[row["file"] ?? ""] === undefined)
      .map((row) => [row["file"] ?? "", row] as const),
  )("%s has the reference's parameters to the last one", (_, row) => {
    expect(countParameters(buildGraph(read(folder, row))).total).toBe(Number(row["total"]));
  });

  const flopRows = readTable(flopsTable).flatMap((row) => {
    const file = row["file"] ?? "";
    const counted = classOf.get(file);
    const phase = row["phase"]?.startsWith("decode") === true ? ("decode" as const) : ("prefill" as const);
    if (counted === undefined || notRead.has(file) || otherFlops[`${file} ${phase}`] !== undefined) return [];
    return [
      [file, phase, Number(row["n"]), Number(row["flops_total"]), { ...counted, class: row["class"] ?? "" }] as const,
    ];
  });

  test.each(flopRows)("%s: %s at %d takes the reference's FLOPs within 1e-6", (_, phase, length, flops, row) => {
    const graph = buildGraph(read(folder, row), { attention: "naive", head: "all", kernels: "reference", phase });
    // The reference's decode step has 1023 tokens in its cache, and encoders see as many positions as decoders.
    const at = phase === "decode" ? { n: 1, c: length - 1, m: length } : { n: length, c: 0, m: length };
    const ours = totalCost(priceGraph(graph, { causal: "full" })).matmulFlops.at(at);
    expect(Math.abs(ours / flops - 1)).toBeLessThanOrEqual(1e-6);
  });
});

describe("a file that names only its model_type gets the class defaults", () => {
  const types = new Set(knownModelTypes());
  const rows = readTable("class-defaults-parameters.csv").filter(
    (row) => types.has(row["model_type"] ?? "") && otherParameters[row["file"] ?? ""] === undefined,
  );
  test.each(rows.map((row) => [row["model_type"] ?? "", row["class"] ?? "", Number(row["total"])] as const))(
    "%s (%s) has %d parameters",
    (type, architecture, total) => {
      const model = readConfig({ model_type: type, architectures: [architecture] }, type, type);
      expect(countParameters(buildGraph(model)).total).toBe(total);
    },
  );
});

test("what is not read is refused with its keys", () => {
  for (const file of notRead) {
    const config = readConfigFile("class-defaults", file);
    expect(() => readConfig(config, file, file)).toThrow(/model_type is .*not understood, nor its keys/);
  }
});
