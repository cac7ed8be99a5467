import { describe, expect, test } from "vitest";
import { cacheBytes, stateBytes } from "../../src/cost/cache.js";
import { priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { ling3, mimo, ring25, ringLinear, sarvamMla } from "../support/published-families.js";
import { described, parametersOf, type Config } from "./written.js";

/** XiaomiMiMo/MiMo-V2.5. */
/** The tensors of its language model, as its index lists them, without balancing biases (47 · 256). */
const mimoTensors =
  2 * 152_576 * 4096 +
  9 * 13_568 * 4096 +
  39 * (14_848 * 4096 + 64) +
  48 * (4096 * 8192 + 2 * 4096) +
  3 * 4096 * 16_384 +
  47 * (256 * 3 * 4096 * 2048 + 256 * 4096) +
  4096;

/** inclusionAI/Ling-3.0-tiny. */
const { hidden, heads, width } = { hidden: 1536, heads: 16, width: 16 * 128 };
const experts = 128 * 3 * hidden * 512 + 3 * hidden * 512 + 128 * hidden + 128;
const around = 2 * 157_184 * hidden + hidden + 24 * 2 * hidden + 3 * hidden * 4608 + 23 * experts;
const latentKeys = hidden * (512 + 64) + 512 + 512 * heads * (128 + 128) + width * hidden;
const latent = hidden * 256 + 256 + 256 * heads * 192 + latentKeys;
const lightning = 5 * hidden * width + width + 2 * 128;
const delta = 6 * hidden * width + hidden * heads + 3 * width * 4 + width + heads + 128;
const grouped = 2 * hidden * width + 2 * hidden * 4 * 128 + 2 * 128;

function inklingSum(): number {
  const [h, vocabulary] = [6144, 201_024];
  const attention = (kvHeads: number, extent: number): number =>
    2 * h * 64 * 128 + 2 * h * kvHeads * 128 + 2 * 128 + h * 64 * 16 + 16 * extent + 2 * kvHeads * 128 * 4;
  const sparse = 256 * 3 * h * 3072 + 2 * 3 * h * 3072 + (256 + 2) * h + 1;
  const layers = 11 * attention(8, 1024) + 55 * attention(16, 512);
  return 2 * vocabulary * h + layers + 66 * (sparse + 2 * h * 4 + 2 * h) + 2 * h;
}

/** Sums over the tensors that the published classes allocate. */
const sums: readonly (readonly [string, Config, number])[] = [
  ["MiMo V2.5, tensors of its language model", mimo, mimoTensors],
  ["Ling 3 tiny", ling3, around + 18 * delta + 6 * (latent + hidden * heads)],
  ["Ring 2.5", ring25, around + 18 * lightning + 6 * latent],
  ["Ring-linear 2", ringLinear, around + 18 * lightning + 6 * grouped],
  ["Sarvam with latent attention", sarvamMla, around + 24 * (latentKeys + hidden * heads * 192)],
  ["Inkling, class defaults", { model_type: "inkling_text", architectures: ["InklingForCausalLM"] }, inklingSum()],
];

describe("published experts have the parameters of their tensors", () => {
  test.each(sums)("%s", (_, config, total) => {
    expect(parametersOf(config)).toBe(total);
  });
  test.each(sums)("no key of %s is left unread", (_, config) => {
    expect(described(config).notes.filter((note) => note.startsWith("keys that nothing was read from"))).toEqual([]);
  });
});

test("MiMo's 0 and 1 per layer say where it slides and where it has experts", () => {
  const decode = buildGraph(described(mimo), { phase: "decode" });
  const bytes = cacheBytes(decode).at({ n: 1, c: 9999 });
  expect(bytes).toBe(2 * (192 + 128) * (9 * 4 * 10_000 + 39 * 8 * 128));
  const flash = { ...mimo, model_type: "mimo_v2_flash" };
  expect(parametersOf(flash)).toBe(mimoTensors);
  const all = { ...mimo, hybrid_layer_pattern: Array.from({ length: 48 }, () => 0) };
  expect(cacheBytes(buildGraph(described(all), { phase: "decode" })).at({ n: 1, c: 9999 })).toBe(
    2 * (192 + 128) * 48 * 4 * 10_000,
  );
  expect(() => described({ ...mimo, hybrid_layer_pattern: [0, 1] })).toThrow(/expected 48 items/);
});

test("the last layer of each group of Ling 3 and Ring keeps a cache, the others states", () => {
  const kept = (config: Config, c: number): number => {
    const graph = buildGraph(described(config), { phase: "decode" });
    return cacheBytes(graph).minus(stateBytes(graph)).at({ n: 1, c });
  };
  expect(kept(ling3, 999)).toBe(6 * 1000 * (512 + 64) * 2);
  expect(kept(ring25, 999)).toBe(6 * 1000 * (512 + 64) * 2);
  expect(kept(ringLinear, 999)).toBe(6 * 1000 * 2 * 4 * 128 * 2);
  const state = stateBytes(buildGraph(described(ring25), { phase: "decode" })).at({ n: 1, c: 5 });
  expect(state).toBe(18 * heads * 128 * 128 * 4);
  // A last group that is not whole attends throughout.
  expect(kept({ ...ringLinear, num_hidden_layers: 22 }, 999)).toBe(7 * 1000 * 2 * 4 * 128 * 2);
});

test("narrow projections of Ling's delta rule are refused by their key", () => {
  expect(() => described({ ...ling3, no_kda_lora: false })).toThrow(/no_kda_lora/);
});

test("Inkling's tokens pass four short convolutions, a bias by distance, and shared experts beside six", () => {
  const model = described({ model_type: "inkling_text" });
  const decode = buildGraph(model, { phase: "decode" });
  const h = 6144;
  const attention = (kvHeads: number, extent: number, seen: number): number =>
    2 * h * 8192 +
    2 * h * kvHeads * 128 +
    h * 1024 +
    64 * 16 * extent +
    2 * 4 * kvHeads * 128 +
    2 * 4 * h +
    2 * 8192 * seen;
  const sparse = 8 * 3 * h * 3072 + 258 * h;
  const multiplied = 11 * attention(8, 1024, 2000) + 55 * attention(16, 512, 512) + 66 * sparse + 201_024 * h;
  const flops = totalCost(priceGraph(decode)).matmulFlops.at({ n: 1, c: 1999 });
  expect(flops / (2 * multiplied)).toBeCloseTo(1, 12);
  const convolved = 11 * (2 * 8 * 128 + 2 * h) + 55 * (2 * 16 * 128 + 2 * h);
  expect(stateBytes(decode).at({ n: 1, c: 1999 })).toBe(convolved * 3 * 2);
});
