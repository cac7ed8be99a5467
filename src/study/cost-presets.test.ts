import { describe, expect, test } from "vitest";
import { readConfig } from "../model/hf/read-config.js";
import { costOfModel, presets } from "./cost.js";

const gpt2 = { hidden: 1024, layers: 24, heads: 16, vocabulary: 51_200 };
const model = readConfig(
  {
    model_type: "gpt2",
    architectures: ["GPT2LMHeadModel"],
    n_embd: gpt2.hidden,
    n_layer: gpt2.layers,
    n_head: gpt2.heads,
    vocab_size: gpt2.vocabulary,
    n_positions: 2048,
  },
  "gpt2.json",
  "gpt2",
);
const flops = (preset: keyof typeof presets, n: number): number =>
  costOfModel(model, { ...presets[preset], lengths: [n] }).points[0]?.flops.total ?? Number.NaN;

describe("presets reproduce what others count", () => {
  test.each([512, 2048])("Megatron-LM at %d tokens: 24·s·l·h² + 4·s²·l·h + 2·s·h·V", (s) => {
    const { hidden: h, layers: l, vocabulary } = gpt2;
    expect(flops("megatron", s)).toBe(24 * s * l * h ** 2 + 4 * s ** 2 * l * h + 2 * s * h * vocabulary);
  });

  test.each([512, 2048])("PaLM at %d tokens: 2N + 4·L·H·Q·T per token, N of all products with weights", (t) => {
    const { hidden: h, layers: l, heads, vocabulary } = gpt2;
    const products = l * 12 * h ** 2 + vocabulary * h;
    expect(flops("palm", t)).toBe(t * (2 * products + 4 * l * heads * (h / heads) * t));
  });

  test("macs are half of what PyTorch's counter says", () => {
    expect(flops("macs", 1024)).toBe(flops("transformers", 1024) / 2);
  });
});
