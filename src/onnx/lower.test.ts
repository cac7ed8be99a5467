import { describe, expect, test } from "vitest";
import { readConfigFile } from "../../test/reference/data.js";
import { readConfig } from "../model/hf/read-config.js";
import type { Attention, DenseFfn, Layer, ModelDescription, Norm } from "../model/types.js";
import { lowerGraph } from "./lower.js";
import { openingBytes, passBytes, residentBytes } from "./memory.js";
import { runnableGraph } from "./runnable.js";

const attention: Attention = {
  kind: "attention",
  heads: 4,
  kvHeads: 2,
  keyDim: 16,
  valueDim: 16,
  bias: { query: false, key: false, value: false, output: false },
  queryKeyNorm: "none",
  rotary: { dims: 16, theta: 10_000, interleaved: false },
  span: { kind: "full" },
  causal: true,
  scale: 0.25,
  softcap: null,
};
const ffn: DenseFfn = { kind: "dense", width: 96, gated: true, activation: "silu", bias: false };
const norm: Norm = { kind: "rms", bias: false, epsilon: 1e-5, offset: false };
const plain: Layer = { mixers: [attention], ffns: [ffn], norm, normPlacement: "pre" };

function modelOf(layers: readonly Layer[], changes: Partial<ModelDescription> = {}): ModelDescription {
  return {
    name: "small",
    modelType: "test",
    source: "test",
    hiddenSize: 64,
    vocabularySize: 100,
    contextLength: null,
    embedding: { rows: 100, width: 64, scale: null },
    head: { kind: "lm", tied: true, bias: false, softcap: null },
    stacks: [{ kind: "decoder", layers, finalNorm: norm }],
    dtypes: { weights: "bfloat16", kv: "bfloat16", activations: "bfloat16" },
    filled: [],
    notes: [],
    ...changes,
  };
}

const layerParameters = 64 * (64 + 32 + 32) + 64 * 64 + 3 * 64 * 96 + 2 * 64;
const otherParameters = 100 * 64 + 64;

describe("lowerGraph", () => {
  const lower = (model: ModelDescription, implementation: "fused" | "naive" = "fused") =>
    lowerGraph(runnableGraph(model, implementation), { positions: 32 });
  const tables = 2 * 32 * 8;

  test("places every parameter once, as float32 whatever the model's type, and the rotary tables", () => {
    const { parameterBytes } = lower(modelOf([plain, plain]));
    expect(parameterBytes).toBe(4 * (2 * layerParameters + otherParameters + tables));
  });

  test("places the parameters of layers that share them once, with a cache for each use", () => {
    const shared: Layer = { ...plain, weightsOf: "shared" };
    const { parameterBytes, caches } = lower(modelOf([shared, shared, shared]));
    expect(parameterBytes).toBe(4 * (layerParameters + otherParameters + tables));
    expect(new Set(caches.map(({ past }) => past.key)).size).toBe(3);
  });

  test("takes sequence lengths with fused attention and the depth with naive attention", () => {
    expect([...lower(modelOf([plain])).inputs]).toEqual(["ids", "depth", "last", "total"]);
    expect([...lower(modelOf([plain]), "naive").inputs]).toEqual(["ids", "depth"]);
  });

  test("knows the operator behind every node, with one product for query, key and value", () => {
    const { origins } = lower(modelOf([plain]));
    const products = [...origins].filter(([name]) => /mixer\.attention\.projections/.test(name));
    expect(products.map(([, origin]) => origin.part)).toEqual(["projection"]);
    expect([...origins.values()].some(({ operator }) => operator === "mixer.query_projection")).toBe(false);
  });
});

describe("runnableGraph refuses by name what is only priced", () => {
  const refusal = (model: ModelDescription): unknown => {
    try {
      runnableGraph(model, "fused");
      return null;
    } catch (error) {
      return error;
    }
  };

  test.each<[string, ModelDescription]>([
    [
      "attention.projectionExperts",
      modelOf([{ ...plain, mixers: [{ ...attention, projectionExperts: { experts: 4, chosen: 2 } }] }]),
    ],
    [
      "norms of experts that no dense network stands beside",
      modelOf([{ ...plain, extras: { weights: [{ name: "expert_norms", shape: [3, 64] }] } }]),
    ],
    [
      "embedding table per_layer",
      modelOf([plain], {
        embedding: { rows: 100, width: 64, scale: null, tables: [{ name: "per_layer", rows: 100, width: 32 }] },
      }),
    ],
    ["vision stack", modelOf([], { stacks: [{ kind: "vision", layers: [plain], finalNorm: norm }] })],
    [
      "extras.linears",
      modelOf([plain], {
        extras: { linears: [{ name: "self_conditioning_gate", inWidth: 64, outWidth: 64, bias: false }] },
      }),
    ],
  ])("%s", (part, model) => {
    expect(refusal(model)).toMatchObject({
      code: "unsupported-operator",
      message: `small: ${part} cannot be run yet, only priced`,
    });
  });
});

describe("memory of a pass", () => {
  const bytes = (implementation: "fused" | "naive", n: number, depth = 0, model = modelOf([plain])) =>
    passBytes(runnableGraph(model, implementation), { batch: 1, n, depth });

  test("grows with n² where scores are made, and with n where they are not", () => {
    expect(bytes("naive", 32_768) / bytes("naive", 16_384)).toBeCloseTo(4, 1);
    expect(bytes("fused", 32_768) / bytes("fused", 16_384)).toBeCloseTo(2, 6);
  });

  test("holds scores, weights and mask of one layer at a time with naive attention", () => {
    const square = 16_384 ** 2;
    const perPair = 2 * 4 * 4 + 6;
    expect((bytes("naive", 16_384) - bytes("fused", 16_384)) / square).toBeCloseTo(perPair, 1);
    expect(bytes("naive", 16_384, 0, modelOf([plain, plain])) - bytes("naive", 16_384)).toBe(2 * 4 * 16_384 * 32);
  });

  test("counts scores for the fused kernel too where it has a softcap", () => {
    const capped = modelOf([{ ...plain, mixers: [{ ...attention, softcap: 50 }] }]);
    expect(bytes("fused", 1024, 0, capped) - bytes("fused", 1024)).toBe(4 * 4 * 1024 ** 2);
  });

  test("counts an encoder in the first pass alone", () => {
    const t5 = readConfig(readConfigFile("class-defaults", "t5.json"), "t5", "t5");
    const step = (encoder: number): number =>
      passBytes(runnableGraph(t5, "naive"), { batch: 1, n: 1, depth: 4, encoder });
    const first = passBytes(runnableGraph(t5, "naive"), { batch: 1, n: 1, depth: 0, encoder: 4096 });
    const squareOfScores = 8 * 4096 ** 2 * 4;
    expect(first).toBeGreaterThan(squareOfScores);
    expect(step(4096)).toBeLessThan(squareOfScores);
  });

  test("counts the cache that is handed in and the one that is made, or one where a token meets it in place", () => {
    const perToken = 2 * 2 * 16 * 4;
    expect(bytes("fused", 1, 1000) - bytes("fused", 1)).toBe(1000 * perToken);
    expect(bytes("fused", 8, 1000) - bytes("fused", 8)).toBe(2 * 1000 * perToken);
    const narrow = modelOf([{ ...plain, mixers: [{ ...attention, valueDim: 8 }] }]);
    expect(bytes("fused", 1, 1000, narrow) - bytes("fused", 1, 0, narrow)).toBe((2 * 1000 * perToken * 3) / 4);
  });

  test("counts of a window's cache what the window keeps, the first tokens too", () => {
    const windowed = modelOf([{ ...plain, mixers: [{ ...attention, span: { kind: "window", size: 101, first: 4 } }] }]);
    const perToken = 2 * 2 * 16 * 4;
    expect(bytes("fused", 1, 1000, windowed) - bytes("fused", 1, 0, windowed)).toBe((104 + 104 - 1) * perToken);
  });

  test("is three times the parameters while the model is opened, and twice once it is open", () => {
    expect(openingBytes({ parameterBytes: 1000 })).toBe(3000);
    expect(residentBytes({ parameterBytes: 1000 })).toBe(2000);
  });
});
