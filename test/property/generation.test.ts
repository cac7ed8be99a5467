import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Amounts, addAmounts, generationCost } from "../../src/cost/generation.js";
import { type OperatorCost, priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import type { ModelDescription } from "../../src/model/types.js";
import { type ConfigFolder, readConfigFile } from "../reference/data.js";
import { denseModels } from "./dense-models.js";

/** The same request, pass by pass. */
function stepByStep(model: ModelDescription, input: number, output: number, b: number, m: number): Amounts {
  const at = (rows: readonly OperatorCost[], n: number, c: number): Amounts => {
    const total = totalCost(rows);
    const values = { n, c, b, m };
    return {
      flops: total.matmulFlops.at(values),
      attentionFlops: total.attentionFlops.at(values),
      vectorFlops: total.vectorFlops.at(values),
      readBytes: total.readBytes.at(values),
      writtenBytes: total.writtenBytes.at(values),
      launches: total.launches,
    };
  };
  const decode = priceGraph(buildGraph(model, { phase: "decode" }));
  const passes = [at(priceGraph(buildGraph(model)), input, 0)];
  for (let c = input; c < input + output; c += 1) passes.push(at(decode, 1, c));
  return addAmounts(passes);
}

function inClosedForm(model: ModelDescription, input: number, output: number, batch: number, m: number): Amounts {
  const parts = generationCost(priceGraph(buildGraph(model)), priceGraph(buildGraph(model, { phase: "decode" })), {
    input,
    output,
    batch,
    encoderLength: m,
  });
  return addAmounts(parts.flatMap(({ prefill, decode }) => [prefill, decode]));
}

function expectClose(found: Amounts, wanted: Amounts): void {
  const others = new Map<string, number>(Object.entries(found));
  const wrong = Object.entries(wanted).filter(
    ([key, value]) => !(Math.abs((others.get(key) ?? Number.NaN) - value) <= 1e-12 * Math.abs(value)),
  );
  expect(wrong).toEqual([]);
}

describe("a whole generation in closed form", () => {
  test("equals the sum of its steps for dense models with and without windows", () => {
    fc.assert(
      fc.property(
        denseModels,
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 3 }),
        (model, input, output, batch) => {
          expectClose(inClosedForm(model, input, output, batch, 0), stepByStep(model, input, output, batch, 0));
        },
      ),
      { seed: 20261123, numRuns: 60 },
    );
  });

  const models: readonly (readonly [string, ConfigFolder, string])[] = [
    ["windows that fill", "configs", "openai__gpt-oss-20b.json"],
    ["chunks that end", "class-defaults", "llama4_text.json"],
    ["compressed keys", "class-defaults", "deepseek_v4.json"],
    ["constant states", "configs", "state-spaces__mamba-130m-hf.json"],
    ["an encoder", "class-defaults", "t5.json"],
  ];
  test.each(models)("equals the sum of its steps with %s (%s/%s)", (_, folder, file) => {
    const model = readConfig(readConfigFile(folder, file), file, file);
    for (const [input, output] of [
      [1, 1],
      [100, 300],
      [8100, 200],
    ] as const) {
      expectClose(inClosedForm(model, input, output, 2, 77), stepByStep(model, input, output, 2, 77));
    }
  });

  test("equals the sum of its steps over many whole chunks", () => {
    const config = { ...readConfigFile("class-defaults", "llama4_text.json"), attention_chunk_size: 16 };
    const model = readConfig(config, "llama4", "llama4");
    for (const input of [1, 16, 61]) {
      expectClose(inClosedForm(model, input, 333, 1, 0), stepByStep(model, input, 333, 1, 0));
    }
  });
});
