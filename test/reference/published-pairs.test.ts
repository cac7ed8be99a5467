import { describe, expect, test } from "vitest";
import { cacheBytes } from "../../src/cost/cache.js";
import { priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { runnableGraph } from "../../src/onnx/runnable.js";
import { donut, trOcr } from "../support/published-families.js";
import { described, parametersOf, type Config } from "./written.js";

/** microsoft/trocr-base-printed. */
/** naver-clova-ix/donut-base. */
function donutSum(): number {
  const stage = (h: number, heads: number, count: number, merges: boolean): number =>
    count * (12 * h * h + 13 * h + 19 ** 2 * heads) + (merges ? 8 * h * h + 8 * h : 0);
  const encoder =
    128 * 48 +
    128 +
    256 +
    stage(128, 4, 2, true) +
    stage(256, 8, 2, true) +
    stage(512, 16, 14, true) +
    stage(1024, 32, 2, false);
  const h = 1024;
  const attention = 4 * (h * h + h) + 2 * h;
  const decoder = (57_525 + 1538) * h + 2 * h + 4 * (2 * attention + 2 * h * 4096 + 4096 + h + 2 * h) + 2 * h;
  return encoder + decoder;
}

const bert = 12 * (12 * 768 ** 2 + 13 * 768);
const bertTables = (30_522 + 512 + 2 + 2) * 768;

const totals: readonly (readonly [string, Config, number])[] = [
  ["microsoft/trocr-base-printed", trOcr, 333_921_792],
  ["naver-clova-ix/donut-base", donut, donutSum()],
  [
    "ViT and GPT-2 by their class defaults",
    { model_type: "vision-encoder-decoder", encoder: { model_type: "vit" }, decoder: { model_type: "gpt2" } },
    // The class with its pooler, the decoder and what it looks across with.
    85_798_656 + 768 ** 2 + 768 + 124_439_808 + 12 * (4 * (768 ** 2 + 768) + 2 * 768),
  ],
  [
    "BERT to BERT by their class defaults",
    { model_type: "encoder-decoder", encoder: { model_type: "bert" }, decoder: { model_type: "bert" } },
    2 * (bert + bertTables) + 768 ** 2 + 768 + 12 * (4 * (768 ** 2 + 768) + 2 * 768) + 768 ** 2 + 3 * 768 + 30_522,
  ],
  [
    "wav2vec to BART, of other widths, by their class defaults",
    { model_type: "speech-encoder-decoder", encoder: { model_type: "wav2vec2" }, decoder: { model_type: "bart" } },
    94_371_712 + parametersOf({ model_type: "bart", architectures: ["BartForCausalLM"] }) + 768 * 1024 + 1024,
  ],
];

describe("an encoder and a decoder of any families have the parameters of both", () => {
  test.each(totals)("%s", (_, config, count) => {
    expect(parametersOf(config)).toBe(count);
  });
});

test("the encoder runs once, and its keys and values are kept", () => {
  const model = described(trOcr);
  const decode = buildGraph(model, { phase: "decode" });
  const patches = 24 * 24 + 1;
  expect(cacheBytes(decode).at({ n: 1, c: 99 })).toBe(12 * 2 * 1024 * 2 * (100 + patches));
  const [h, f] = [1024, 4096];
  const step = 12 * (4 * h * h + 2 * h * h + 2 * h * f + 2 * h * (100 + patches)) + 50_265 * h;
  expect(totalCost(priceGraph(decode)).matmulFlops.at({ n: 1, c: 99 })).toBe(2 * step);
  const flops = (n: number) => totalCost(priceGraph(buildGraph(model))).matmulFlops.at({ n, c: 0 });
  const image = patches * (12 * (12 * 768 ** 2 + 2 * 768 * patches)) + 24 * 24 * 768 * 768;
  const cross = 12 * patches * 2 * 768 * h;
  const one = 12 * (6 * h * h + 2 * h * f + 2 * h * (1 + patches)) + 50_265 * h;
  expect(flops(1) / (2 * (image + cross + one))).toBeCloseTo(1, 12);
});

test("Donut's decoder reads the last of four stages", () => {
  const decode = buildGraph(described(donut), { phase: "decode" });
  const seen = (2560 / 32) * (1920 / 32);
  expect(cacheBytes(decode).at({ n: 1, c: 0 })).toBe(4 * 2 * 1024 * 2 * (1 + seen));
});

test("halves that nobody understands are refused by name", () => {
  expect(() => described({ ...trOcr, encoder: { model_type: "efficientnet" } })).toThrow(
    /encoder\.model_type.*efficientnet/,
  );
  expect(() => described({ ...trOcr, decoder: { model_type: "mamba" } })).toThrow(/decoder\.model_type/);
  expect(() => described({ ...trOcr, decoder: undefined })).toThrow(/decoder\.model_type/);
  expect(() => described({ ...trOcr, tie_encoder_decoder: true })).toThrow(/tie_encoder_decoder/);
  expect(() => runnableGraph(described(trOcr), "fused")).toThrow(/only priced/);
});

test("keys of a half that its class does not have are named", () => {
  const model = described({
    ...trOcr,
    encoder: { model_type: "vit", image_size: 384, qkv_bias: false, unheard_of: 3 },
  });
  expect(model.notes).toContain("keys of encoder that its class has no default for: unheard_of");
});
