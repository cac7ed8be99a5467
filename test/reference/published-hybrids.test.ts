import { describe, expect, test } from "vitest";
import { cacheBytes, stateBytes } from "../../src/cost/cache.js";
import { priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { phi4Flash, plamo2, step3 } from "../support/published-families.js";
import { described, parametersOf, type Config } from "./written.js";

/** Sizes of microsoft/Phi-4-mini-flash-reasoning. */
/** Sizes of stepfun-ai/step3. */
function phi4FlashSum(): number {
  const [h, f, vocabulary] = [2560, 10_240, 200_064];
  const inner = 2 * h;
  const [rank, state] = [h / 16, 16];
  const mamba =
    h * 2 * inner + inner * 5 + inner * (rank + 2 * state) + rank * inner + inner + inner * state + inner + inner * h;
  const difference = 4 * 64 + 2 * 64;
  const attention = h * 2 * h + 2 * h + h * h + h + difference;
  const memory = 2 * h * inner;
  const crossing = 2 * (h * h + h) + difference;
  const layers = 9 * mamba + 9 * attention + 7 * memory + 7 * crossing;
  return vocabulary * h + layers + 32 * (3 * h * f + 4 * h) + 2 * h;
}

/**
 * Totals over the tensors of published checkpoints (safetensors, as the hub states them; listed in TransformerLens'
 * model_registry/data/architecture_gaps.json of 2026-06-25), or sums over the tensors of the published class.
 */
const checkpoints: readonly (readonly [string, Config, number])[] = [
  ["pfnet/plamo-2-1b", plamo2, 1_291_441_920],
  [
    "PLaMo, class defaults",
    { model_type: "plamo", architectures: ["PlamoForCausalLM"] },
    2 * 32_000 * 4096 + 32 * (2 * 4096 ** 2 + 2 * 4096 * 4 * 128 + 3 * 4096 * 13_312 + 4096) + 4096,
  ],
  [
    "PLaMo 3, class defaults",
    { model_type: "plamo3", architectures: ["Plamo3ForCausalLM"] },
    32_000 * 4096 + 32 * (2 * 4096 ** 2 + 2 * 4096 * 512 + 2 * 128 + 3 * 4096 * 13_312 + 4 * 4096) + 4096,
  ],
  ["microsoft/Phi-4-mini-flash-reasoning", phi4Flash, phi4FlashSum()],
  ["stepfun-ai/step3", step3, 320_969_912_832],
];

describe("published hybrids have the parameters of their tensors", () => {
  test.each(checkpoints)("%s", (_, config, total) => {
    expect(parametersOf(config)).toBe(total);
  });
  test.each(checkpoints)("no key of %s is left unread", (_, config) => {
    expect(described(config).notes.filter((note) => note.startsWith("keys that nothing was read from"))).toEqual([]);
  });
});

describe("SambaY", () => {
  const model = described(phi4Flash);
  const decode = buildGraph(model, { phase: "decode" });
  const flops = (n: number) => totalCost(priceGraph(buildGraph(model))).matmulFlops.at({ n, c: 0 });

  test("keeps one cache that grows, eight windows and nine states", () => {
    const perToken = 2 * 20 * 64 * 2;
    for (const n of [1, 512, 513, 100_000]) {
      const bytes = cacheBytes(decode)
        .minus(stateBytes(decode))
        .at({ n: 1, c: n - 1 });
      expect(bytes).toBe(perToken * (n + 8 * Math.min(n, 512)));
    }
    const state = 5120 * 16 * 4 + 5120 * 3 * 2;
    expect(stateBytes(decode).at({ n: 1, c: 1000 })).toBe(9 * state);
  });

  test("sends only the last position of a prompt through its cross-decoder", () => {
    const [h, f, inner] = [2560, 10_240, 5120];
    const mamba = h * 2 * inner + 4 * inner + inner * (160 + 32) + 160 * inner + inner * h + inner * 16;
    const self = 9 * (mamba + 3 * h * f) + 9 * (3 * h * h + 3 * h * f);
    const cross = 7 * (2 * h * inner + 3 * h * f) + 7 * (2 * h * h + 3 * h * f);
    // Two attentions of each query head, scores and mixture.
    const pair = 2 * 2 * 2 * h;
    const pairs = (n: number) => (n * (n + 1)) / 2;
    const windowed = (n: number) => pairs(n) - pairs(Math.max(0, n - 512));
    for (const n of [1, 700, 4096]) {
      const expected = 2 * n * self + 2 * cross + 2 * 200_064 * h + pair * (pairs(n) + 8 * windowed(n) + 7 * n);
      expect(flops(n) / expected).toBeCloseTo(1, 12);
    }
    const every = totalCost(priceGraph(buildGraph(model, { head: "all" }))).matmulFlops.at({ n: 4096, c: 0 });
    const expected = 2 * 4096 * (self + cross + 200_064 * h) + pair * (8 * pairs(4096) + 8 * windowed(4096));
    expect(every / expected).toBeCloseTo(1, 12);
  });

  test("windows that the class lists per layer are those of one number", () => {
    const listed = Array.from({ length: 32 }, (_, layer) => (layer < 16 && layer % 2 === 1 ? 512 : null));
    expect(described({ ...phi4Flash, sliding_window: listed }).stacks).toEqual(model.stacks);
    expect(() => described({ ...phi4Flash, sliding_window: [512] })).toThrow(/sliding_window/);
  });
});

test("Step 3's queries pass a narrow projection, and one head of keys and values is kept", () => {
  const decode = buildGraph(described(step3), { phase: "decode" });
  expect(cacheBytes(decode).at({ n: 1, c: 999 })).toBe(61 * 1000 * 2 * 256 * 2);
  const active = 7168 * (2048 + 512) + 2048 * 64 * 256 + 64 * 256 * 7168;
  const sparse = 7168 * 48 + 4 * 3 * 7168 * 5120;
  const weights = 61 * active + 56 * sparse + 5 * 3 * 7168 * 18_432 + 128_815 * 7168;
  const attention = 61 * 64 * 2 * 256 * 1000;
  expect(totalCost(priceGraph(decode)).matmulFlops.at({ n: 1, c: 999 })).toBe(2 * (weights + attention));
});
