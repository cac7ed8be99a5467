import { describe, expect, test } from "vitest";
import { countParameters } from "../../src/cost/parameters.js";
import { priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { knownModelTypes, readConfig } from "../../src/model/hf/read-config.js";
import { readConfigFile, readTable } from "./data.js";
import { folders, notRead, otherFlops, otherParameters, readAsCounted as read } from "./counted.js";

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
