import { expect, test } from "vitest";
import { cacheBytes } from "../../src/cost/cache.js";
import { priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { runnableGraph } from "../../src/onnx/runnable.js";
import { described, parametersOf, type Config } from "./written.js";

/** transfo-xl-wt103, whose sizes are the class's. */
const wt103: Config = { model_type: "transfo-xl", architectures: ["TransfoXLLMHeadModel"] };
const [h, f, layers, memory] = [1024, 4096, 18, 1600];
const parts = [
  [20_000, 1024],
  [20_000, 256],
  [160_000, 64],
  [67_735, 16],
] as const;
const tables = parts.reduce((sum, [rows, width]) => sum + rows * width + h * width, 0);
const layer = 5 * h * h + 2 * h + 2 * h + 2 * h * f + f + h + 2 * h;
/** Rows of the head have biases; three clusters stand for what is rarer; the first part's projection is the head's own. */
const head = 267_735 + 3 * 1024 + 3 + h * h;

test("Transformer-XL has its tables once, cut by frequency, and biases of its scores in each layer", () => {
  expect(parametersOf(wt103)).toBe(tables + layers * layer + head);
  expect(parametersOf({ ...wt103, architectures: ["TransfoXLModel"] })).toBe(tables + layers * layer);
  expect(parametersOf({ ...wt103, untie_r: false })).toBe(parametersOf(wt103) - (layers - 1) * 2 * h);
});

const flops = (n: number, c: number, options: Parameters<typeof buildGraph>[1], causal: "exact" | "full"): number =>
  totalCost(priceGraph(buildGraph(described(wt103), options), { causal })).matmulFlops.at({ n, c });
const logits = h * 1024 + 20_000 * 1024 + 3 * 1024 + (256 + 64 + 16) * h + 20_000 * 256 + 160_000 * 64 + 67_735 * 16;

test("each segment projects keys, values and places of the memory anew", () => {
  const own = (n: number, seen: number): number => 2 * h * h * n + 3 * h * h * seen + 2 * n * h * f;
  for (const [n, c] of [
    [1, 0],
    [1, 700],
    [1, 5000],
    [300, 0],
    [300, 5000],
  ] as const) {
    const before = Math.min(c, memory);
    const pairs = Array.from({ length: n }, (_, i) => Math.min(c + i + 1, memory)).reduce((sum, seen) => sum + seen, 0);
    const expected = n * h * h + layers * (own(n, n + before) + 3 * h * pairs) + logits;
    expect(flops(n, c, {}, "exact") / (2 * expected)).toBeCloseTo(1, 12);
  }
});

test("the reference's memory is full from the start, and it computes all scores", () => {
  const seen = 100 + memory;
  const expected =
    100 * h * h + layers * (4 * h * h * seen + h * h * 100 + 100 * 2 * h * f + 3 * h * 100 * seen) + 100 * logits;
  const options = { attention: "naive", head: "all", kernels: "reference" } as const;
  expect(flops(100, 0, options, "full") / (2 * expected)).toBeCloseTo(1, 12);
});

test("hidden states are kept, as many as the memory is long", () => {
  const decode = buildGraph(described(wt103), { phase: "decode" });
  for (const c of [0, 100, 100_000]) expect(cacheBytes(decode).at({ n: 1, c })).toBe(layers * memory * h * 2);
});

test("queries of one length see fewer keys than queries of a whole segment", () => {
  const whole = described({ ...wt103, same_length: false });
  const at = { n: 300, c: 5000 };
  const all = totalCost(priceGraph(buildGraph(whole))).matmulFlops.at(at);
  expect(all - flops(300, 5000, {}, "exact")).toBe(2 * layers * 3 * h * ((300 * 301) / 2));
});

test("tables of one width, and running it, are refused", () => {
  expect(() => described({ ...wt103, div_val: 1 })).toThrow(/div_val/);
  expect(() => described({ ...wt103, cutoffs: [40_000, 20_000] })).toThrow(/cutoffs/);
  expect(() => runnableGraph(described(wt103), "fused")).toThrow(/only priced/);
});
