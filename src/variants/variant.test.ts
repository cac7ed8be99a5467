import { describe, expect, test } from "vitest";
import { readConfigFile } from "../../test/reference/data.js";
import { NsquaredError } from "../base/errors.js";
import { countParameters } from "../cost/parameters.js";
import { buildGraph } from "../graph/build.js";
import { readConfig } from "../model/hf/read-config.js";
import type { Layer, Mixer, ModelDescription } from "../model/types.js";
import { mixerKinds } from "./layers.js";
import { scaled } from "./scale.js";
import { looksLikeVariant, parseVariant, variantWords } from "./variant.js";

const config = (name: string): ModelDescription => readConfig(readConfigFile("configs", `${name}.json`), name, name);
const smol = config("HuggingFaceTB__SmolLM2-135M");
const llama = config("meta-llama__Llama-3.1-8B-Instruct");
const bert = readConfig(readConfigFile("class-defaults", "bert.json"), "bert", "bert");
const mixersOf = (model: ModelDescription): Mixer[] =>
  model.stacks.flatMap(({ layers }) => layers.flatMap(({ mixers }) => mixers));
const message = (make: () => unknown): string => {
  try {
    make();
  } catch (error) {
    if (error instanceof NsquaredError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error("nothing was refused");
};
const apply = (text: string, model: ModelDescription): ModelDescription => parseVariant(text).apply(model);
const parameters = (model: ModelDescription): number => countParameters(buildGraph(model)).total;

describe("variants", () => {
  test.each([
    ["mqa", 1],
    ["mha", 9],
    ["gqa:3", 3],
  ])("%s gives the KV heads it names, and nothing else changes", (text, heads) => {
    const changed = apply(text, smol);
    for (const mixer of mixersOf(changed)) expect(mixer).toMatchObject({ kind: "attention", heads: 9, kvHeads: heads });
    const perHead = 2 * 64 * 576 * 30;
    expect(parameters(changed) - parameters(smol)).toBe((heads - 3) * perHead);
  });

  test("windows, chunks and local layers restrict what a query sees", () => {
    expect(mixersOf(apply("window:1k", smol))[0]).toMatchObject({ span: { kind: "window", size: 1024 } });
    expect(mixersOf(apply("window:1.5k", smol))[0]).toMatchObject({ span: { kind: "window", size: 1536 } });
    expect(mixersOf(apply("window:1M", smol))[0]).toMatchObject({ span: { kind: "window", size: 1024 ** 2 } });
    expect(mixersOf(apply("window:256+sinks:2", smol))[7]).toMatchObject({
      span: { kind: "window", size: 256, first: 2 },
    });
    expect(mixersOf(apply("chunk:64", smol))[3]).toMatchObject({ span: { kind: "chunk", size: 64 } });
    const spans = mixersOf(apply("local-global:512:5", smol)).map((mixer) =>
      mixer.kind === "attention" ? mixer.span.kind : "",
    );
    expect(spans.map((kind) => (kind === "full" ? "G" : "L")).join("")).toBe("LLLLLG".repeat(5));
  });

  test("latent attention stays latent where an indexer chooses for it", () => {
    const [mixer] = mixersOf(apply("topk:64", config("deepseek-ai__DeepSeek-V2-Lite")));
    expect(mixer).toMatchObject({ kind: "latent", indexer: { heads: 8, dim: 192, queryWidth: 2048, chosen: 64 } });
  });

  test("a model with windows becomes full", () => {
    const mistral = config("mistralai__Mistral-7B-v0.1");
    expect(mixersOf(mistral)[0]).toMatchObject({ span: { kind: "window" } });
    for (const mixer of mixersOf(apply("full", mistral))) expect(mixer).toMatchObject({ span: { kind: "full" } });
  });

  test.each([
    "linear",
    "retnet",
    "gla",
    "gated-delta",
    "mamba",
    "mamba2",
    "lstm",
    "gru",
    "performer",
    "mla",
    "topk:64",
  ])("%s can be built and priced on a decoder", (text) => {
    const changed = apply(text, smol);
    expect(mixersOf(changed)).toHaveLength(30);
    expect(parameters(changed)).toBeGreaterThan(0.7 * parameters(smol));
    expect(new Set(changed.stacks[0]?.layers).size).toBe(1);
  });

  test.each(["linformer:64", "nystrom:32", "bigbird", "longformer:512", "fnet", "linear"])(
    "%s can be built and priced on an encoder",
    (text) => {
      expect(parameters(apply(text, bert))).toBeGreaterThan(0);
    },
  );

  test("longformer:W reaches half of W to either side, and sees one global token unless told otherwise", () => {
    expect(mixersOf(apply("longformer:512", bert))[0]).toMatchObject({ span: { kind: "window", size: 257, first: 1 } });
    expect(mixersOf(apply("longformer:64:8", bert))[0]).toMatchObject({ span: { size: 33, first: 8 } });
  });

  test.each([
    ["bigbird", ["blocks", "full"]],
    ["longformer:64", ["window", "full"]],
    ["topk:32", ["full", "chosen"]],
    ["window:32", ["window", "window"]],
  ])("%s changes the half of an encoder–decoder that it is for", (text, spans) => {
    const halves = apply(text, config("facebook__bart-base")).stacks.map(({ layers }) => layers[0]?.mixers[0]);
    expect(halves.map((mixer) => mixer?.kind === "attention" && mixer.span.kind)).toEqual(spans);
  });

  test("one cache for two layers leaves an encoder alone", () => {
    const [encoder, decoder] = apply("share-kv", config("facebook__bart-base")).stacks;
    const shared = (layer: Layer | undefined) =>
      layer?.mixers.map((mixer) => mixer.kind === "attention" && mixer.keyValue);
    expect(encoder?.layers.map(shared)).toEqual(Array.from({ length: 6 }, () => [undefined]));
    expect(decoder?.layers.slice(0, 3).map(shared)).toEqual([
      ["own", undefined],
      ["shared", undefined],
      ["own", undefined],
    ]);
  });

  test("hybrids follow their pattern", () => {
    const kinds = mixersOf(apply("hybrid:3xgated-delta,1xwindow:128", smol)).map(({ kind }) => kind);
    expect(kinds.slice(0, 8)).toEqual([
      ...new Array<string>(3).fill("delta"),
      "attention",
      ...new Array<string>(3).fill("delta"),
      "attention",
    ]);
  });

  test("shared layers have their weights once, a shared cache halves the caches", () => {
    const shared = apply("share-layers", smol);
    const layer = (parameters(smol) - 49_152 * 576 - 576) / 30;
    expect(parameters(smol) - parameters(shared)).toBe(29 * layer);
    const caches = (model: ModelDescription): number =>
      buildGraph(model).instances.filter(({ block }) => block.caches.size > 0).length;
    expect(caches(smol)).toBe(30);
    expect(caches(apply("share-kv", smol))).toBe(15);
    expect(caches(apply("share-kv:3", smol))).toBe(10);
  });

  test("words join with +, and say how to run the model", () => {
    expect(parseVariant("naive+q8").run).toEqual({ attention: "naive", weights: "q8" });
    expect(parseVariant("uncached").run).toEqual({ uncached: true });
    expect(mixersOf(apply("mqa+window:32", smol))[0]).toMatchObject({ kvHeads: 1, span: { kind: "window", size: 32 } });
    // A word that says what the model is already undoes nothing and is not undone.
    expect(mixersOf(apply("full+gqa:3+q4", smol))).toEqual(mixersOf(smol));
  });

  test.each([
    [
      "gqa:3",
      llama,
      "variant-inapplicable",
      "gqa:3 does not apply to 32 heads; expected a divisor of 32: 1, 2, 4, 8, 16, 32",
    ],
    ["window:64", config("state-spaces__mamba-130m-hf"), "variant-inapplicable", "mamba1"],
    ["bigbird", smol, "variant-inapplicable", "look both ways"],
    ["longformer:64", smol, "variant-inapplicable", "a decoder takes window:W+sinks"],
    ["mamba2", bert, "variant-inapplicable", "expected causal attention"],
    ["windw:64", smol, "variant-unknown", "window:W"],
    ["window", smol, "variant-invalid", "as window:W"],
    ["window:0", smol, "variant-invalid", "whole number from 1"],
    ["window:1.0001k", smol, "variant-invalid", "whole number from 1"],
    ["window:2048M", smol, "variant-invalid", "whole number from 1"],
    ["full+sinks", smol, "variant-inapplicable", "expected a window"],
    ["window:64+mamba2", smol, "variant-invalid", 'without effect is "window:64"'],
    ["share-kv+linear", smol, "variant-invalid", 'without effect is "share-kv"'],
    ["q8+q4", smol, "variant-invalid", 'without effect is "q8"'],
    ["hybrid:3xq8,1xfull", smol, "variant-invalid", "changes single layers"],
    ["", smol, "variant-unknown", "one of"],
  ])("%s is refused where it cannot be", (text, model, code, expected) => {
    const said = message(() => apply(text, model));
    expect(said.startsWith(`${code}: `)).toBe(true);
    expect(said).toContain(expected);
    expect(said).not.toContain("\n");
  });

  test("every word of the grammar is taken for a variant, models are not", () => {
    for (const { usage } of variantWords()) expect(looksLikeVariant(usage.replace(/\[.*/, ""))).toBe(true);
    for (const text of ["SmolLM2-135M", "./full", "Qwen/Qwen3-8B", "window.json"])
      expect(looksLikeVariant(text)).toBe(false);
  });
});

describe("scaling", () => {
  test("keeps the pattern of layers and says so", () => {
    const next = readConfig(readConfigFile("configs", "Qwen__Qwen3-Coder-Next.json"), "next", "next");
    const four = scaled(next, { layers: 4 });
    expect(mixersOf(four).map(({ kind }) => kind)).toEqual(
      mixersOf(next)
        .slice(0, 4)
        .map(({ kind }) => kind),
    );
    expect(four.notes.at(-1)).toContain("4 layers instead of 48");
    const two = scaled(next, { layers: 2 });
    expect(two.notes.at(-1)).toContain("none of them mixes by attention");
  });

  test("says the layers of each half, and nothing where nothing changes", () => {
    const t5 = readConfig(readConfigFile("class-defaults", "t5.json"), "t5", "t5");
    expect(scaled(t5, { layers: 2 }).notes.at(-1)).toBe("scaled: 2 + 2 layers instead of 6 + 6");
    const same = { layers: 30, hidden: smol.hiddenSize, vocabulary: smol.vocabularySize };
    expect(scaled(smol, same)).toBe(smol);
  });

  test("narrows heads and widths together", () => {
    const narrow = scaled(smol, { hidden: 192, vocabulary: 1000, layers: 2 });
    expect(narrow).toMatchObject({ hiddenSize: 192, vocabularySize: 1000, embedding: { rows: 1000, width: 192 } });
    expect(mixersOf(narrow)[0]).toMatchObject({ heads: 3, kvHeads: 1, keyDim: 64 });
    const layer = 192 * (192 + 64 + 64 + 192) + 3 * 192 * 512 + 2 * 192;
    expect(parameters(narrow)).toBe(2 * layer + 1000 * 192 + 192);
    expect(narrow.notes.filter((note) => note.startsWith("scaled"))).toHaveLength(3);
  });

  test("refuses a width that heads do not fill", () => {
    expect(message(() => scaled(smol, { hidden: 200 }))).toContain("a multiple of 64");
  });

  test.each([
    "Qwen__Qwen3-Coder-Next",
    "state-spaces__mamba-130m-hf",
    "google__recurrentgemma-2b",
    "openai__gpt-oss-20b",
    "deepseek-ai__DeepSeek-V3",
  ])("%s can be scaled", (name) => {
    const model = config(name);
    const small = scaled(model, { hidden: model.hiddenSize / 2, layers: 3, vocabulary: 512 });
    expect(parameters(small)).toBeLessThan(parameters(model) / 4);
    expect(mixerKinds(small).every((kind) => mixerKinds(model).includes(kind))).toBe(true);
  });

  test("a model that also sees becomes narrower by its text part alone", () => {
    const small = scaled(config("Qwen__Qwen2.5-VL-7B-Instruct"), { hidden: 256 });
    expect(small.stacks.map(({ kind }) => kind)).toEqual(["decoder"]);
    expect(small.notes).toContain("scaled: the text part alone");
  });
});
