import { describe, expect, test } from "vitest";
import { countParameters } from "../../src/cost/parameters.js";
import { priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { defaultsAriaText } from "../../src/model/hf/defaults/from-aria-text.js";
import { knownModelTypes, readConfig } from "../../src/model/hf/read-config.js";
import { readConfigFile, readTable } from "./data.js";
import { folders, otherFlops, otherParameters, readAsCounted as read } from "./counted.js";

describe.each(folders)("%s", (folder, parametersTable, flopsTable) => {
  const rows = readTable(parametersTable);
  const classOf = new Map(rows.map((row) => [row["file"], row]));

  test.each(
    rows
      .filter((row) => otherParameters[row["file"] ?? ""] === undefined)
      .map((row) => [row["file"] ?? "", row] as const),
  )("%s has the reference's parameters to the last one", (_, row) => {
    expect(countParameters(buildGraph(read(folder, row))).total).toBe(Number(row["total"]));
  });

  const flopRows = readTable(flopsTable).flatMap((row) => {
    const file = row["file"] ?? "";
    const counted = classOf.get(file);
    const phase = row["phase"]?.startsWith("decode") === true ? ("decode" as const) : ("prefill" as const);
    if (counted === undefined || otherFlops[`${file} ${phase}`] !== undefined) return [];
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
  const own = readTable("counted-parameters.csv").filter((row) =>
    Object.hasOwn(defaultsAriaText, row["model_type"] ?? ""),
  );
  const rows = [...readTable("class-defaults-parameters.csv"), ...own].filter(
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

test("a byte of BLT passes the small models, a quarter of one the large one, and two patch vectors meet a byte", () => {
  const model = readConfig(readConfigFile("class-defaults", "blt.json"), "blt.json", "blt");
  const ffn = (hidden: number, width: number) => 3 * hidden * width;
  const weights =
    14 * (4 * 768 ** 2 + ffn(768, 2048)) +
    768 * 260 +
    4 * 1024 ** 2 +
    ffn(1024, 2730) +
    // Queries and outputs of half a patch vector per byte, keys and values of the byte.
    3 * 1024 ** 2 +
    (1024 * 2048 + 2048 * 2048 + 25 * (4 * 2048 ** 2 + ffn(2048, 5632))) / 4 +
    9 * (4 * 1024 ** 2 + ffn(1024, 2816) + 3 * 1024 ** 2) +
    1024 * 260;
  const pairs = (n: number) => (n * (n + 1)) / 2;
  const n = 1024;
  const attention =
    14 * 768 * pairs(n) + 10 * 1024 * pairs(n) + 25 * 2048 * pairs(n / 4) + 1024 * (n / 2) * 4 + 9 * 1024 * n * 2;
  const prefill = totalCost(priceGraph(buildGraph(model, { head: "all" }))).matmulFlops.at({ n, c: 0 });
  expect(prefill).toBeCloseTo(2 * n * weights + 4 * attention, -1);
  const decode = totalCost(priceGraph(buildGraph(model, { phase: "decode" }))).matmulFlops;
  const steps = Array.from({ length: 64 }, (_, step) => decode.at({ n: 1, c: n + step }));
  const more = totalCost(priceGraph(buildGraph(model, { head: "all" }))).matmulFlops.at({ n: n + 64, c: 0 });
  expect(steps.reduce((sum, flops) => sum + flops, 0) / (more - prefill)).toBeCloseTo(1, 3);
});

test("what is not read is refused with its keys", () => {
  const config = { ...readConfigFile("class-defaults", "llama.json"), model_type: "nobody" };
  expect(() => readConfig(config, "a.json", "a")).toThrow(/model_type is "nobody".*not understood, nor its keys/);
});
