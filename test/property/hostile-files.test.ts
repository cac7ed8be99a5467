import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NsquaredError } from "../../src/base/errors.js";
import { memorySource } from "../../src/files/byte-source.js";
import { readModel } from "../../src/model/load.js";
import { readSafetensors } from "../../src/model/safetensors/header.js";
import { describeModel } from "../../src/study/describe.js";
import { readConfigFile } from "../reference/data.js";
import {
  type GgufContent,
  type GgufTensorContent,
  decoderMetadata,
  decoderTensors,
  ggufHeader,
} from "../support/gguf.js";
import { safetensorsFile } from "../support/safetensors.js";

/** Mutated inputs in all; each of the four formats gets a quarter. */
const runs = Math.ceil(Number(process.env["NSQUARED_FUZZ_RUNS"] ?? 1000) / 4);
const seed = 20_261_123;

/** Errors of the first look at a file: it is not of its format, or cut off. All others come from what it says. */
const structural = new Set(["not-json", "not-an-object", "not-yaml", "not-utf8", "truncated", "header-too-long"]);

/** Reads `runs` inputs; anything but a clear error fails, and so does a generator that hardly gets past the door. */
async function survives(
  inputs: fc.Arbitrary<Uint8Array>,
  read: (bytes: Uint8Array) => Promise<unknown>,
): Promise<void> {
  let inside = 0;
  let all = 0;
  const property = fc.asyncProperty(inputs, async (bytes) => {
    all += 1;
    try {
      await read(bytes);
      inside += 1;
    } catch (error) {
      if (!(error instanceof NsquaredError)) throw error;
      expect(error.message).not.toContain("\n");
      expect(error.message.length).toBeLessThan(6000);
      const door = structural.has(error.code) || /^(first four bytes|version of GGUF)$/.test(error.details.key ?? "");
      if (!door) inside += 1;
    }
  });
  await fc.assert(property, { seed, numRuns: runs, endOnFailure: true });
  expect(inside / all).toBeGreaterThan(0.5);
}

const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(null, true, false, "", "x", [], {}, -1, 0, 1, 3, 1.5, 2 ** 24, 2 ** 31, 2 ** 53, 1e308, -1e308),
  fc.constantFrom(
    "full_attention",
    "silu",
    "gelu",
    "float8_e4m3fn",
    "attention",
    "__proto__",
    "\u0000",
    "é".repeat(2000),
  ),
  fc.constantFrom([0], [null], [1, 2, 3], [["a"]], { a: { b: {} } }, { rope_type: "x" }),
  fc.integer({ min: 0, max: 100_000 }),
  fc.jsonValue({ maxDepth: 3 }),
);

interface Change {
  /** Picks the place: a fraction of the places there are. */
  readonly place: number;
  readonly value: unknown;
  readonly remove: boolean;
}
const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const change: fc.Arbitrary<Change> = fc.record({ place: fraction, value: oddValue, remove: fc.boolean() });

/** The value with one of its keys, at any depth, replaced or removed. */
function changed(value: unknown, { place, value: odd, remove }: Change): unknown {
  const copy: unknown = structuredClone(value);
  const places: [Record<string, unknown>, string][] = [];
  const visit = (item: unknown): void => {
    if (typeof item !== "object" || item === null || places.length > 5000) return;
    const holder = item as Record<string, unknown>;
    for (const key of Object.keys(holder)) {
      places.push([holder, key]);
      visit(holder[key]);
    }
  };
  visit(copy);
  const found = places[Math.floor(place * places.length)];
  if (found === undefined) return copy;
  if (remove) delete found[0][found[1]];
  else found[0][found[1]] = odd;
  return copy;
}

const changedOften = (bases: readonly unknown[]): fc.Arbitrary<unknown> =>
  fc
    .record({ base: fc.constantFrom(...bases), changes: fc.array(change, { minLength: 1, maxLength: 4 }) })
    .map(({ base, changes }) => changes.reduce<unknown>(changed, base));

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value) ?? "");

/** Mostly as it is; else with some bytes changed, or cut off. */
function damaged(bytes: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const patches = fc.array(fc.tuple(fraction, fc.nat(255)), { minLength: 1, maxLength: 8 });
  return fc.oneof(
    { weight: 6, arbitrary: bytes },
    {
      weight: 2,
      arbitrary: fc.tuple(bytes, patches).map(([original, places]) => {
        const copy = Uint8Array.from(original);
        for (const [at, byte] of places) copy[Math.floor(at * copy.length)] = byte;
        return copy;
      }),
    },
    { weight: 1, arbitrary: fc.tuple(bytes, fraction).map(([b, at]) => b.slice(0, Math.floor(at * b.length))) },
  );
}

const read = (name: string) => async (bytes: Uint8Array) =>
  describeModel(await readModel(memorySource(name, bytes), "m"));

const small = { layers: 2, hidden: 64, heads: 4, kvHeads: 2, headDim: 16, ffn: 128, vocabulary: 320 };
const ggufValue = fc.oneof(
  fc.constantFrom<number | string | boolean | bigint | number[] | string[]>(
    0,
    1,
    7,
    2 ** 31,
    0.5,
    "x",
    true,
    2n ** 60n,
  ),
  fc.constantFrom<number[] | string[]>([], [1, 2], [2, 2], ["a", "b"]),
);

const ggufContent: fc.Arbitrary<GgufContent> = fc
  .record({
    architecture: fc.constantFrom("llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "gpt-oss", "deepseek2", "new"),
    entries: fc.array(fc.tuple(fraction, ggufValue), { maxLength: 3 }),
    tensors: fc.array(
      fc.record({
        place: fraction,
        shape: fc.array(fc.constantFrom(0, 1, 64, 100, 256, 2 ** 31), { maxLength: 5 }),
        type: fc.nat(45),
        offset: fc.constantFrom(0, 32, 2 ** 40),
      }),
      { maxLength: 2 },
    ),
  })
  .map(({ architecture, entries, tensors }) => {
    const metadata = decoderMetadata(architecture, small);
    const keys = Object.keys(metadata);
    for (const [place, value] of entries) metadata[keys[Math.floor(place * keys.length)] ?? "x"] = value;
    const list: GgufTensorContent[] = decoderTensors(small);
    for (const { place, ...rest } of tensors) {
      const at = Math.floor(place * list.length);
      list[at] = { name: list[at]?.name ?? "x", ...rest };
    }
    return { metadata, tensors: list };
  });

const safetensorsHeader = {
  __metadata__: { format: "pt" },
  a: { dtype: "BF16", shape: [2, 3], data_offsets: [0, 12] },
  b: { dtype: "F32", shape: [4], data_offsets: [12, 28] },
  c: { dtype: "U8", shape: [], data_offsets: [28, 29] },
};

const specs = [
  {
    schema: "nsquared/spec@1",
    hidden_size: 64,
    vocabulary: 100,
    norm: { kind: "layer" },
    mixers: {
      a: { kind: "attention", heads: 4, kv_heads: 2, window: 16 },
      l: { kind: "latent", heads: 4, kv_rank: 16, nope_dim: 8, rope_dim: 8, value_dim: 8 },
      d: { kind: "delta", key_heads: 2, key_dim: 8 },
      m: { kind: "mamba2", heads: 4, head_dim: 16, state_dim: 8 },
    },
    ffns: { f: { kind: "dense", width: 128 }, e: { kind: "moe", experts: 8, chosen: 2, width: 32 } },
    layers: [
      { pattern: "2×a, l+e", count: 7, ffn: "f", norms: "both", weights: "shared-by-kind" },
      { pattern: "3×d, 1×a(window 8) & m + f & e", arrangement: "parallel" },
    ],
  },
];

describe(`no file of ${4 * runs} brings anything but a clear error:`, () => {
  test("configs", async () => {
    const bases = (["class-defaults", "configs"] as const).flatMap((folder) =>
      readdirSync(fileURLToPath(new URL(`../data/models/${folder}`, import.meta.url)))
        .filter((name) => name.endsWith(".json"))
        .sort()
        .map((name) => readConfigFile(folder, name))
        .filter((config) => JSON.stringify(config).length < 20_000),
    );
    await survives(damaged(changedOften(bases).map(encode)), read("m.json"));
  }, 600_000);

  test("GGUF files", async () => {
    // Weights are not read, so a thousand kilobytes of zeros stand for them.
    const weights = new Uint8Array(1_000_000);
    const headers = damaged(ggufContent.map(ggufHeader));
    await survives(headers, (bytes) => read("m.gguf")(Buffer.concat([bytes, weights])));
  }, 600_000);

  test("safetensors files", async () => {
    const files = changedOften([safetensorsHeader]).map((header) => safetensorsFile(header, 29));
    await survives(damaged(files), (bytes) => readSafetensors(memorySource("m.safetensors", bytes)));
  }, 600_000);

  test("specs", async () => {
    await survives(damaged(changedOften(specs).map(encode)), read("m.yaml"));
  }, 600_000);
});
