import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { attentionPairs } from "../../src/cost/pairs.js";
import { distinctWeights, elementCount } from "../../src/cost/parameters.js";
import { priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { n } from "../../src/math/expression.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import { readConfigFile } from "../reference/data.js";
import { denseModels } from "./dense-models.js";
import { countByLoops } from "./loop-counter.js";

const points = fc.record({
  n: fc.integer({ min: 1, max: 14 }),
  c: fc.integer({ min: 0, max: 14 }),
  b: fc.integer({ min: 1, max: 3 }),
});

describe("closed forms", () => {
  test("equal a counter that loops over layers, positions, heads and keys", () => {
    fc.assert(
      fc.property(denseModels, points, (model, at) => {
        const total = totalCost(priceGraph(buildGraph(model)));
        const loops = countByLoops(model, at);
        expect(total.matmulFlops.at(at)).toBe(loops.matmulFlops);
        expect(total.attentionFlops.at(at)).toBe(loops.attentionFlops);
        expect(total.vectorFlops.at(at)).toBe(loops.vectorFlops);
        expect(total.weightBytes.at(at)).toBe(loops.weightBytes);
      }),
      { seed: 3, numRuns: 300 },
    );
  });

  test("read exactly the cached keys and values that some query can see", () => {
    fc.assert(
      fc.property(denseModels, points, (model, at) => {
        const rows = priceGraph(buildGraph(model)).filter((row) => row.operator.kind === "attention");
        const cold = totalCost(rows).readBytes;
        const fromCache = cold.at(at) - cold.at({ ...at, c: 0 });
        expect(fromCache).toBe(countByLoops(model, at).cacheBytesRead);
      }),
      { seed: 4, numRuns: 200 },
    );
  });

  test("read every distinct weight once but the embedding's rows", () => {
    fc.assert(
      fc.property(denseModels, (model) => {
        const graph = buildGraph(model);
        const all = [...distinctWeights(graph)].reduce((sum, [, weight]) => sum + elementCount(weight) * 4, 0);
        const table = model.head.tied ? 0 : model.vocabularySize * model.hiddenSize * 4;
        expect(totalCost(priceGraph(graph)).weightBytes.at({ n: 3 })).toBe(all - table);
      }),
      { seed: 5, numRuns: 100 },
    );
  });

  test("grow with the batch: k sequences cost k times one, weights aside", () => {
    fc.assert(
      fc.property(denseModels, points, (model, at) => {
        const total = totalCost(priceGraph(buildGraph(model)));
        const traffic = total.readBytes.minus(total.weightBytes).plus(total.writtenBytes);
        expect(traffic.at(at)).toBeCloseTo(at.b * traffic.at({ ...at, b: 1 }), 6);
        expect(total.weightBytes.at(at)).toBe(total.weightBytes.at({ ...at, b: 1 }));
      }),
      { seed: 6, numRuns: 100 },
    );
  });

  test("a prefill in two parts does the work of one", () => {
    fc.assert(
      fc.property(
        denseModels,
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 12 }),
        (model, first, second) => {
          const flops = totalCost(priceGraph(buildGraph(model, { head: "all" }))).matmulFlops;
          expect(flops.at({ n: first }) + flops.at({ n: second, c: first })).toBe(flops.at({ n: first + second }));
        },
      ),
      { seed: 7, numRuns: 200 },
    );
  });
});

test("launches are one per operator, of experts one per matrix of theirs", () => {
  const mixtral = readConfig(readConfigFile("class-defaults", "mixtral.json"), "mixtral", "mixtral");
  const graph = buildGraph(mixtral);
  // Look-up, last position, norm, head; two norms, four projections, attention, router, two sums; experts: in and out.
  expect(totalCost(priceGraph(graph)).launches).toBe(4 + 32 * (10 + 2));
  expect(totalCost(priceGraph(buildGraph(mixtral, { attention: "naive" }))).launches).toBeGreaterThan(4 + 32 * 12);
});

test.each(["t5gemma", "blt", "modernbert"])("%s turns as many queries and keys fused as naive", (type) => {
  const model = readConfig(readConfigFile("class-defaults", `${type}.json`), type, type);
  for (const at of [
    { n: 8, c: 0, m: 40, b: 2 },
    { n: 1, c: 64, m: 40, b: 1 },
  ]) {
    const phase = at.c === 0 ? "prefill" : "decode";
    const rows = (attention: "fused" | "naive") => priceGraph(buildGraph(model, { attention, phase }));
    const naive = totalCost(rows("naive").filter(({ operator }) => operator.kind === "rotary")).vectorFlops.at(at);
    const fused = rows("fused").reduce((sum, { operator, cost, times }) => {
      if (operator.kind !== "attention") return sum;
      const scores = cost.attentionFlops.at(at) / (2 * (operator.keyDim + operator.valueDim));
      return sum + times * (cost.vectorFlops.at(at) - 5 * scores);
    }, 0);
    expect(fused).toBeCloseTo(naive, 3);
  }
});

test("an encoder of pictures looks up no tokens and costs the same at every length", () => {
  const total = totalCost(
    priceGraph(buildGraph(readConfig(readConfigFile("class-defaults", "vit.json"), "vit", "vit"))),
  );
  const laws = [total.matmulFlops, total.vectorFlops, total.readBytes, total.writtenBytes];
  expect(laws.map((law) => law.degree("n").power)).toEqual([0, 0, 0, 0]);
});

describe("naive attention", () => {
  test("does the full rectangle of work, whatever the mask", () => {
    fc.assert(
      fc.property(denseModels, points, (model, at) => {
        const naive = totalCost(priceGraph(buildGraph(model, { attention: "naive" })));
        const full = totalCost(priceGraph(buildGraph(model), { causal: "full" }));
        expect(naive.attentionFlops.at(at)).toBe(full.attentionFlops.at(at));
      }),
      { seed: 8, numRuns: 100 },
    );
  });

  test("moves bytes that grow with n², fused attention does not", () => {
    fc.assert(
      fc.property(denseModels, (model) => {
        const bytes = (attention: "naive" | "fused"): number =>
          totalCost(priceGraph(buildGraph(model, { attention }))).readBytes.degree("n").power;
        expect(bytes("naive")).toBe(2);
        expect(bytes("fused")).toBe(1);
      }),
      { seed: 9, numRuns: 50 },
    );
  });
});

describe("pairs", () => {
  test("of causal attention are n(n+1)/2 + n·c, of a window linear beyond it", () => {
    const exact = { causal: "exact", mac: 2 } as const;
    expect(attentionPairs({ kind: "full" }, true, exact).at({ n: 10, c: 3 })).toBe(85);
    expect(attentionPairs({ kind: "window", size: 128 }, true, exact).degree("n").power).toBe(1);
    expect(
      attentionPairs({ kind: "full" }, true, { ...exact, causal: "full" })
        .minus(n.times(n))
        .at({ n: 7 }),
    ).toBe(0);
  });
});
