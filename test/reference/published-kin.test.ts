import { describe, expect, test } from "vitest";
import { cacheBytes, stateBytes } from "../../src/cost/cache.js";
import { priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { runnableGraph } from "../../src/onnx/runnable.js";
import { baichuanM1, hgrn2, klear, lille } from "../support/published-families.js";
import { described, parametersOf, smallDecoder, type Config } from "./written.js";

/** fla-hub/hgrn2-1.3B-100B. */
/** Kwai-Klear/Klear-46B-A2.5B. */
/** Nikity/lille-130m-instruct. */
const attention = (h: number, heads: number, kvHeads: number): number => 2 * h * h + (2 * h * h * kvHeads) / heads;

/** Sums over the tensors that the published classes allocate. */
const sums: readonly (readonly [string, Config, number])[] = [
  [
    "fla-hub/hgrn2-1.3B-100B",
    hgrn2,
    2 * 32_000 * 2048 + 24 * (4 * 2048 ** 2 + 2048 + 3 * 2048 * 5632 + 2 * 2048 + 2048) + 2048,
  ],
  [
    "Kwai-Klear/Klear-46B-A2.5B",
    klear,
    2 * 151_936 * 2048 +
      32 * (attention(2048, 32, 4) + 2 * 64 + 257 * 3 * 2048 * 896 + 256 * 2048 + 256 + 2 * 2048 + 2 + 2 * 2048) +
      2048,
  ],
  ["Nikity/lille-130m-instruct", lille, 32_768 * 640 + 24 * (attention(640, 10, 2) + 3 * 640 * 1792 + 2 * 640) + 640],
  [
    "Baichuan-M1",
    baichuanM1,
    2 * 133_120 * 5120 +
      20 * (attention(5120, 40, 2) + 2 * 2 * 2 + attention(5120, 20, 4) + 2 * 4 * 2) +
      40 * (3 * 5120 * 17_408 + 2 * 5120) +
      5120,
  ],
];

describe("decoders of published classes have the parameters of their tensors", () => {
  test.each(sums)("%s", (_, config, total) => {
    expect(parametersOf(config)).toBe(total);
  });
  test.each(sums)("no key of %s is left unread", (_, config) => {
    expect(described(config).notes.filter((note) => note.startsWith("keys that nothing was read from"))).toEqual([]);
  });
});

test("HGRN2 keeps a state of 128 × 128 per head, decayed by what its keys leave, and is not run", () => {
  const decode = buildGraph(described(hgrn2), { phase: "decode" });
  expect(cacheBytes(decode).at({ n: 1, c: 5000 })).toBe(24 * 16 * 128 * 128 * 4);
  const weights = 24 * (4 * 2048 ** 2 + 3 * 2048 * 5632) + 32_000 * 2048;
  const state = 24 * 2 * 16 * 128 * 128;
  expect(totalCost(priceGraph(decode)).matmulFlops.at({ n: 1, c: 5000 })).toBe(2 * (weights + state));
  expect(() => runnableGraph(described(hgrn2), "fused")).toThrow(/only priced/);
  expect(() => described({ ...hgrn2, use_short_conv: true })).toThrow(/use_short_conv/);
  expect(() => described({ ...hgrn2, expand_ratio: 100 })).toThrow(/expand_ratio/);
});

test("Baichuan-M1's sliding layers have heads of their own", () => {
  const decode = buildGraph(described(baichuanM1), { phase: "decode" });
  const bytes = cacheBytes(decode).minus(stateBytes(decode)).at({ n: 1, c: 19_999 });
  expect(bytes).toBe(20 * 2 * 2 * (20_000 * 2 * 128 + 8192 * 4 * 256));
});

test("Klear's plain layers are those that the file lists", () => {
  const dense = { ...klear, mlp_only_layers: [0, 1] };
  const less = 2 * (257 * 3 * 2048 * 896 + 256 * 2048 + 256 + 2 * 2048 + 2 - 3 * 2048 * 8960);
  expect(parametersOf(klear) - parametersOf(dense)).toBe(less);
});

test.each(["telechat3", "iquestcoder"])("%s is Llama with the biases that its switches name", (type) => {
  expect(parametersOf({ ...smallDecoder, model_type: type })).toBe(
    parametersOf({ ...smallDecoder, model_type: "llama" }),
  );
  const biased = { ...smallDecoder, model_type: type, attention_bias: true, mlp_bias: true };
  expect(parametersOf(biased)).toBe(parametersOf({ ...biased, model_type: "llama" }));
});
