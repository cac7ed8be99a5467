import { expect, test } from "vitest";
import { priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { described, parametersOf, type Config } from "./written.js";

const seamless: Config = { model_type: "seamless_m4t", architectures: ["SeamlessM4TModel"] };
const [h, f, inner] = [1024, 8192, 4096];
const attention = 4 * (h * h + h);
const network = (width: number): number => 2 * h * width + width + h;
/** One table for both halves and the logits; norms before each branch and at the end of each half. */
const text = 256_102 * h + 24 * (attention + network(f) + 4 * h) + 24 * (2 * attention + network(f) + 6 * h) + 4 * h;
const convolution = 2 * h + 2 * h * h + 31 * h + 2 * h + h * h;
const conformer = (places: number): number => 2 * network(inner) + attention + places + convolution + 8 * h;
const adapter = 2 * (2 * h * h * 8 + 2 * h) + attention + network(inner) + 6 * h;
const around = 2 * 160 + 160 * h + h + 2 * h + network(inner) + adapter + 2 * h;

test("SeamlessM4T's text is M2M-100's, with a conformer for speech beside it", () => {
  expect(parametersOf({ ...seamless, architectures: ["SeamlessM4TForTextToText"] })).toBe(text);
  expect(parametersOf(seamless)).toBe(text + 24 * conformer(h * h + 2 * h) + around);
  expect(parametersOf({ ...seamless, architectures: ["SeamlessM4TForTextToSpeech"] })).toBe(text);
  expect(parametersOf({ ...seamless, add_adapter: false })).toBe(
    text + 24 * conformer(h * h + 2 * h) + around - adapter,
  );
});

test("the second version has a table of distances in place of projected places", () => {
  const second = { ...seamless, model_type: "seamless_m4t_v2", architectures: ["SeamlessM4Tv2Model"] };
  expect(parametersOf(second)).toBe(text + 24 * conformer(73 * 64) + around);
});

test("text does not run the conformer, and what speaks is named as left out", () => {
  const flops = (config: Config): number =>
    totalCost(priceGraph(buildGraph(described(config)))).matmulFlops.at({ n: 20, c: 0, m: 30 });
  expect(flops(seamless)).toBe(flops({ ...seamless, architectures: ["SeamlessM4TForTextToText"] }));
  expect(described(seamless).notes.join("\n")).toContain("what makes units, and sound, of the text is left out");
  expect(described(seamless).notes.join("\n")).not.toContain("keys that nothing was read from");
  expect(() => described({ ...seamless, architectures: ["SeamlessM4TForSpeechToText"] })).toThrow(/reads text/);
});
