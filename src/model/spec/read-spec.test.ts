import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { memorySource } from "../../files/byte-source.js";
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
