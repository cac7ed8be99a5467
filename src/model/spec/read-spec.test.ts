import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { memorySource } from "../../files/byte-source.js";
import { describeLayer } from "../describe-layer.js";
import { costOfModel } from "../../study/cost.js";
import { describeModel } from "../../study/describe.js";
import { readModel } from "../load.js";
import type { Layer, ModelDescription } from "../types.js";
import { parsePattern } from "./pattern.js";
import { readSpec } from "./read-spec.js";

const docs = readFileSync(fileURLToPath(new URL("../../../docs/spec.md", import.meta.url)), "utf8");
const examples = [...docs.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] ?? "");
const readYaml = (text: string): Promise<ModelDescription> =>
  readModel(memorySource("m.yaml", new TextEncoder().encode(text)), "m");

const base = {
  schema: "nsquared/spec@1",
  hidden_size: 64,
  vocabulary: 100,
  mixers: { a: { kind: "attention", heads: 4 } },
  ffns: { f: { kind: "dense", width: 128 } },
  layers: { pattern: "2×a", ffn: "f" },
};
const read = (more: object = {}): ModelDescription => readSpec({ ...base, ...more }, "m.json", "m");
const layersOf = (model: ModelDescription): readonly Layer[] => model.stacks.flatMap(({ layers }) => layers);
const spansOf = (model: ModelDescription): string =>
  layersOf(model)
    .map(({ mixers: [mixer] }) => (mixer?.kind === "attention" ? mixer.span.kind : (mixer?.kind ?? "none")))
    .join(" ");

describe("the examples of the documentation", () => {
  test("the hybrid slides in three layers of four and has the parameters of its shapes", async () => {
    const model = await readYaml(examples[0] ?? "");
    expect(layersOf(model)).toHaveLength(32);
    expect(spansOf(model).split(" ").slice(0, 5)).toEqual(["window", "window", "window", "full", "window"]);
    const attention = 2048 * (2048 + 2 * 512 + 2048) + 2 * 128;
    const layer = attention + 3 * 2048 * 8192 + 2 * 2048;
    expect(describeModel(model).parameters.total).toBe(32_000 * 2048 + 32 * layer + 2048);
    expect(costOfModel(model, { lengths: [4096] }).flops.growth).toBe("n²");
  });

  test("the second has linear layers, experts and a section of shared weights", async () => {
    const model = await readYaml(examples[1] ?? "");
    expect(layersOf(model)).toHaveLength(29);
    expect(spansOf(model)).toMatch(/^full delta delta delta full delta/);
    const shared = layersOf(model).slice(25);
    expect(shared.map(({ weightsOf }) => weightsOf)).toEqual(Array.from({ length: 4 }, () => "layers.25"));
    const once = {
      ...model,
      stacks: [{ ...model.stacks[0], kind: "decoder" as const, finalNorm: null, layers: layersOf(model).slice(0, 26) }],
    };
    expect(describeModel(model).parameters.total - describeModel(once).parameters.total).toBe(1024);
  });
});

test("the funnel has the parameters of the class it is named after, but for its segments' biases", async () => {
  const model = await readYaml(examples[2] ?? "");
  expect(model.stacks.map(({ length }) => length)).toEqual([
    { kind: "new" },
    { kind: "pooled", by: 2 },
    { kind: "pooled", by: 4 },
    { kind: "new" },
  ]);
  const pooling = layersOf(model).flatMap(({ mixers }) =>
    mixers.map((mixer) => (mixer.kind === "relative" ? mixer.pooling : 0)),
  );
  expect(pooling).toEqual([1, 1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1, 1]);
});

test("layers of an LSTM and of GLA alternate, and grow with n alone", async () => {
  const model = await readYaml(examples[3] ?? "");
  expect(layersOf(model).map(({ mixers }) => mixers[0]?.kind)).toEqual(
    Array.from({ length: 16 }, (_, layer) => (layer % 4 === 0 ? "cell" : "linear")),
  );
  expect(costOfModel(model, { lengths: [4096] }).flops.growth).toBe("n");
});

/** Every mixer, as short as it can be written, where it may stand, and how its prefill grows. */
const everyMixer: readonly (readonly [string, object, string, string])[] = [
  ["layers", { kind: "attention", heads: 4 }, "n²", "MHA 4 heads, 4 KV × 16"],
  ["layers", { kind: "attention", heads: 4, window: 8, sinks: true }, "n", "window 8"],
  ["layers", { kind: "attention", heads: 4, window: 8, first_tokens: 4 }, "n", "window 8 and the first 4"],
  ["layers", { kind: "attention", heads: 4, chunk: 8 }, "n", "chunk 8"],
  ["layers", { kind: "attention", heads: 4, indexer: { heads: 2, dim: 8, chosen: 4 } }, "n²", "best 4 tokens"],
  ["encoder", { kind: "attention", heads: 4, window: 8, first_tokens: 1 }, "n", "window 8 and the first 1"],
  ["encoder", { kind: "attention", heads: 4, blocks: { size: 4 } }, "n", "blocks 4"],
  ["encoder", { kind: "attention", heads: 4, buckets: { size: 8, rounds: 2 } }, "n", "buckets 8"],
  ["layers", { kind: "latent", heads: 4, kv_rank: 8, nope_dim: 8, rope_dim: 4, value_dim: 8 }, "n²", "MLA 4 heads"],
  ["layers", { kind: "compressed", heads: 4, head_dim: 16, query_rank: 8, window: 8, output_rank: 8 }, "n", "MQA"],
  ["layers", { kind: "mamba1", width: 128, state_dim: 16 }, "n", "Mamba 128 × 16"],
  ["layers", { kind: "mamba2", heads: 4, head_dim: 32, state_dim: 16 }, "n", "Mamba-2"],
  ["layers", { kind: "delta", key_heads: 4, key_dim: 16 }, "n", "Gated DeltaNet"],
  ["layers", { kind: "delta", key_heads: 4, key_dim: 16, decay: "per-channel", decay_rank: 4 }, "n", "KDA"],
  ["layers", { kind: "lightning", heads: 4, head_dim: 16 }, "n", "Lightning"],
  ["layers", { kind: "linear", heads: 4 }, "n", "linear attention 4 heads × 16 × 16"],
  ["encoder", { kind: "linear", heads: 4 }, "n", "linear attention"],
  ["layers", { kind: "retnet", heads: 4 }, "n", "RetNet 4 heads × 16 × 32"],
  ["layers", { kind: "gla", heads: 4 }, "n", "GLA 4 heads × 8 × 16"],
  ["layers", { kind: "performer", heads: 4 }, "n", "Performer with 45 features"],
  ["encoder", { kind: "performer", heads: 4 }, "n", "Performer"],
  ["layers", { kind: "rwkv", version: 4 }, "n", "RWKV-4"],
  ["layers", { kind: "rwkv", version: 5 }, "n", "RWKV-5 1 heads"],
  ["layers", { kind: "rwkv", version: 6 }, "n", "RWKV-6"],
  ["layers", { kind: "rwkv", version: 7 }, "n", "RWKV-7"],
  ["layers", { kind: "lstm" }, "n", "LSTM 64"],
  ["layers", { kind: "gru" }, "n", "GRU 64"],
  ["layers", { kind: "rg-lru", width: 64, heads: 4 }, "n", "RG-LRU"],
  ["layers", { kind: "mlstm", heads: 4 }, "n", "mLSTM 4 heads × 8 × 16"],
  ["layers", { kind: "short-convolution", convolution: 3 }, "n", "short convolution"],
  ["encoder", { kind: "linformer", heads: 4, length: 8, positions: 512 }, "n", "Linformer"],
  ["encoder", { kind: "nystrom", heads: 4, landmarks: 8 }, "n", "Nyström"],
  ["encoder", { kind: "relative", heads: 4 }, "n²", "relative positions"],
];

describe("every mixer can be written, described and priced:", () => {
  test.each(everyMixer)("in %s %j grows with %s", (place, mixer, growth, described) => {
    const model = readSpec(
      {
        ...base,
        layers: undefined,
        mixers: { a: mixer },
        [place]: { pattern: "2×a", ffn: "f" },
      },
      "m.json",
      "m",
    );
    const layer = layersOf(model)[0];
    expect(layer === undefined ? "" : describeLayer(layer)).toContain(described);
    expect(costOfModel(model, { lengths: [4096] }).flops.growth).toBe(growth);
  });

  test.each([
    [
      "linformer",
      { kind: "linformer", heads: 4, length: 8, positions: 512 },
      /kind is "linformer"; it looks both ways/,
    ],
    ["blocks", { kind: "attention", heads: 4, blocks: { size: 4 } }, /blocks is "given"; expected it in an encoder/],
    ["window and chunk", { kind: "attention", heads: 4, window: 4, chunk: 4 }, /expected window or chunk, not both/],
    ["first tokens alone", { kind: "attention", heads: 4, first_tokens: 4 }, /first_tokens is 4; expected a window/],
    ["ranks of another version", { kind: "rwkv", version: 5, gate_rank: 4 }, /version 5 has no such projection/],
    ["heads of RWKV-4", { kind: "rwkv", version: 4, head_dim: 4 }, /expected a version of 5 to 7/],
    ["heads that do not fit", { kind: "gla", heads: 3 }, /heads is 3; expected a divisor of hidden_size \/ 2/],
  ])("but not in a decoder, or not so: %s", (_, mixer, message) => {
    expect(() => read({ mixers: { a: mixer } })).toThrow(message);
  });
});

describe("a pattern", () => {
  test("repeats until the count is reached", () => {
    expect(spansOf(read({ layers: { pattern: "2×a(window 16), a", count: 7, ffn: "f" } }))).toBe(
      "window window full window window full window",
    );
  });

  test.each(["3xa", "3*a", "3 × a", " a,a , a"])("may be written %s", (pattern) => {
    expect(parsePattern(pattern).map(({ mixers }) => mixers)).toEqual([["a"], ["a"], ["a"]]);
  });

  test("names several mixers and FFNs of a layer", () => {
    const [layer] = parsePattern("self & cross(chunk 8) + f & g");
    expect(layer).toEqual({ mixers: ["self", "cross"], span: { kind: "chunk", size: 8 }, ffns: ["f", "g"] });
    expect(parsePattern("a + none")[0]?.ffns).toEqual([]);
  });

  test.each(["", "a,", "3×", "a(window)", "a(full 3)", "0×a", "99999×a", "a(window 0)", "a+", "(a)"])(
    "%j is refused",
    (pattern) => {
      expect(() => read({ layers: { pattern, ffn: "f" } })).toThrow(/layers(\.pattern)?/);
    },
  );
});

describe("norms and sharing", () => {
  test.each([
    ["pre", "pre"],
    ["post", "post-residual"],
    ["post-branch", "post-branch"],
    ["both", "sandwich"],
  ])("norms: %s", (norms, placement) => {
    expect(layersOf(read({ layers: { pattern: "a", ffn: "f", norms } }))[0]?.normPlacement).toBe(placement);
  });

  test("shared weights are counted once, and computed every time", () => {
    const model = (weights: string) => read({ layers: { pattern: "a", count: 6, ffn: "f", weights } });
    const [own, shared] = [describeModel(model("own")), describeModel(model("shared"))];
    const layer = 4 * 64 * 64 + 3 * 64 * 128 + 2 * 64;
    expect(own.parameters.total - shared.parameters.total).toBe(5 * layer);
    const flops = (weights: string): string => costOfModel(model(weights)).flops.expression;
    expect(flops("shared")).toBe(flops("own"));
    const two = read({ layers: { pattern: "a(window 4), a", count: 6, ffn: "f", weights: "shared-by-kind" } });
    expect(own.parameters.total - describeModel(two).parameters.total).toBe(4 * layer);
  });

  test("an encoder with a decoder looks at everything, and the decoder across to it", () => {
    const mixers = { a: { kind: "attention", heads: 4 }, cross: { kind: "attention", heads: 4, source: "encoder" } };
    const model = read({ mixers, encoder: { pattern: "2×a", ffn: "f" }, layers: { pattern: "2×a&cross", ffn: "f" } });
    const causal = layersOf(model).map((layer) =>
      layer.mixers.map((mixer) => mixer.kind === "attention" && mixer.causal),
    );
    expect(causal).toEqual([[false], [false], [true, false], [true, false]]);
    expect(describeModel(model).parameters.total).toBeGreaterThan(0);
  });
});

describe("what is wrong is said with its place", () => {
  test.each([
    ["an unknown key", { heads: 3 }, /the spec: Unrecognized key: "heads"/],
    [
      "an unknown key of a mixer",
      { mixers: { a: { kind: "attention", heads: 4, head: 1 } } },
      /mixers\.a: Unrecognized/,
    ],
    ["a missing size", { hidden_size: undefined }, /hidden_size: /],
    ["a fraction", { hidden_size: 1.5 }, /hidden_size: /],
    ["an unknown mixer", { layers: { pattern: "b", ffn: "f" } }, /layers is "b"; expected one of the mixers: a/],
    ["an unknown FFN", { layers: { pattern: "a", ffn: "g" } }, /layers is "g"; expected one of the ffns: f/],
    ["an FFN that is not used", { layers: { pattern: "a" } }, /ffns\.f is "unused"; expected a layer that uses it/],
    [
      "heads that do not divide",
      { hidden_size: 65 },
      /mixers\.a\.heads is 4; expected a divisor of hidden_size \(65\)/,
    ],
    [
      "more experts chosen than there are",
      { ffns: { f: { kind: "moe", experts: 2, chosen: 3, width: 8 } } },
      /ffns\.f\.chosen is 3; expected at most the number of experts \(2\)/,
    ],
    [
      "a span for what has none",
      { mixers: { a: { kind: "fourier" } }, layers: { pattern: "a(full)", ffn: "f" } },
      /only attention/,
    ],
    ["another version", { schema: "nsquared/spec@9" }, /schema: /],
    ["no layers", { layers: undefined }, /layers is missing; expected layers or encoder/],
  ])("%s", (_, more, message) => {
    expect(() => read(more)).toThrow(message);
  });

  test("in YAML: tabs, cycles and bombs", async () => {
    await expect(readYaml("a:\n\t- b")).rejects.toThrow(/^m\.yaml: expected YAML: /);
    await expect(readYaml("a: &a [*a]")).rejects.toThrow("levels of nesting");
    const bomb = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"];
    for (let level = 1; level < 12; level += 1) {
      bomb.push(`a${level}: &a${level} [${Array.from({ length: 9 }, () => `*a${level - 1}`).join(",")}]`);
    }
    await expect(readYaml(bomb.join("\n"))).rejects.toThrow(/^m\.yaml: /);
  });
});
