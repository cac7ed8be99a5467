import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cacheBytes } from "../../src/cost/cache.js";
import { countParameters } from "../../src/cost/parameters.js";
import { priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import type { GraphOptions } from "../../src/graph/types.js";
import { readSpec } from "../../src/model/spec/read-spec.js";
import type { ModelDescription } from "../../src/model/types.js";
import { type Loops, loopsOf } from "./mixer-loops.js";

/** Shapes of one mixer of the spec, small enough to count by loops. */
interface Case {
  readonly name: string;
  readonly place: "layers" | "encoder";
  readonly mixer: fc.Arbitrary<Record<string, unknown>>;
}

const small = fc.integer({ min: 1, max: 4 });
const even = fc.constantFrom(2, 4, 6);
const chunk = fc.constantFrom(1, 3, 8);
const cases: readonly Case[] = [
  {
    name: "linear attention",
    place: "layers",
    mixer: fc.record({
      kind: fc.constant("linear"),
      heads: small,
      key_dim: even,
      value_dim: even,
      chunk,
      normalised: fc.boolean(),
      feature: fc.constantFrom("elu", "none"),
    }),
  },
  {
    name: "linear attention",
    place: "encoder",
    mixer: fc.record({ kind: fc.constant("linear"), heads: small, key_dim: even, value_dim: even }),
  },
  {
    name: "Performer",
    place: "layers",
    mixer: fc.record({ kind: fc.constant("performer"), heads: small, head_dim: even, features: small, chunk }),
  },
  {
    name: "Performer",
    place: "encoder",
    mixer: fc.record({ kind: fc.constant("performer"), heads: small, head_dim: even, features: small }),
  },
  {
    name: "RetNet",
    place: "layers",
    mixer: fc.record({ kind: fc.constant("retnet"), heads: small, key_dim: even, value_dim: even, chunk }),
  },
  {
    name: "GLA",
    place: "layers",
    mixer: fc.record({
      kind: fc.constant("gla"),
      heads: small,
      key_dim: even,
      value_dim: even,
      decay_rank: small,
      chunk,
    }),
  },
  ...([5, 6, 7] as const).map(
    (version): Case => ({
      name: `RWKV-${version}`,
      place: "layers",
      mixer: fc.record({ heads: small, head_dim: even, chunk }).map(({ heads, head_dim, ...rest }) => ({
        kind: "rwkv",
        version,
        width: heads * head_dim,
        head_dim,
        ...rest,
      })),
    }),
  ),
  ...(["lstm", "gru"] as const).map(
    (kind): Case => ({
      name: kind.toUpperCase(),
      place: "layers",
      mixer: fc.record({ kind: fc.constant(kind), width: fc.constantFrom(4, 12, 16), bias: fc.boolean() }),
    }),
  ),
  {
    name: "Linformer",
    place: "encoder",
    mixer: fc.record({
      kind: fc.constant("linformer"),
      heads: small,
      head_dim: even,
      length: small,
      positions: fc.constant(64),
      shared: fc.boolean(),
      bias: fc.boolean(),
    }),
  },
];

const points = fc.record({
  n: fc.integer({ min: 1, max: 20 }),
  c: fc.integer({ min: 0, max: 12 }),
  b: fc.integer({ min: 1, max: 3 }),
});

function modelOf(place: Case["place"], mixer: Record<string, unknown>): ModelDescription {
  return readSpec(
    {
      schema: "nsquared/spec@1",
      hidden_size: 12,
      vocabulary: 31,
      dtype: "float32",
      mixers: { m: mixer },
      [place]: { pattern: "3×m" },
    },
    "m.json",
    "m",
  );
}

function compare(
  model: ModelDescription,
  phase: GraphOptions["phase"],
  at: { n: number; c: number; b: number },
): Loops {
  const graph = buildGraph(model, { phase, head: "all" });
  const total = totalCost(priceGraph(graph));
  return {
    parameters: countParameters(graph).total,
    matmulFlops: total.matmulFlops.at(at),
    attentionFlops: total.attentionFlops.at(at),
    weightBytes: total.weightBytes.at(at),
    stateElements: cacheBytes(graph).at(at) / 4,
  };
}

describe.each(cases)("$name in $place", ({ place, mixer }) => {
  test("equals a counter that loops over tokens, heads and channels", () => {
    fc.assert(
      fc.property(mixer, points, (shape, at) => {
        const model = modelOf(place, shape);
        const cached = place === "encoder" ? { ...at, c: 0 } : at;
        expect(compare(model, "prefill", cached)).toEqual(loopsOf(model, "prefill", cached));
        if (place === "layers") {
          const step = { ...at, n: 1 };
          expect(compare(model, "decode", step)).toEqual(loopsOf(model, "decode", step));
        }
      }),
      { seed: 20261126, numRuns: 60 },
    );
  });
});
