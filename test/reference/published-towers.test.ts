import { describe, expect, test } from "vitest";
import { priceGraph, totalCost } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { runnableGraph } from "../../src/onnx/runnable.js";
import { molmo, molmo2, molmoO } from "../support/published-families.js";
import { described, parametersOf, type Config } from "./written.js";

/** allenai/Molmo-7B-D-0924. */
/** allenai/Molmo-7B-O-0924. */
/** allenai/Molmo2-4B: the file says 27 layers of its tower, of which the third from the end is the deepest that is read. */
function molmo2Sum(): number {
  const h = 2560;
  const text = 2 * h * 32 * 128 + 2 * h * 8 * 128 + 2 * 128 + 3 * h * 9728 + 2 * h;
  const v = 1152;
  const block = 4 * (v * v + v) + 2 * v * 4304 + 4304 + v + 4 * v;
  const adapter = 3 * (2 * v * v + v) + v * v + v + 2 * v * 9728 + 9728 * h;
  return (2 * 151_936 + 128) * h + 36 * text + h + 25 * block + 588 * v + v + 729 * v + adapter;
}

const vocabulary = (rows: number): number => 12 * (12 * 768 ** 2 + 13 * 768) + rows * 768;

/** Totals of published checkpoints, or sums over the tensors that the reference's class allocates. */
const totals: readonly (readonly [string, Config, number])[] = [
  ["allenai/Molmo-7B-D-0924", molmo, 8_021_025_280],
  ["allenai/Molmo-7B-O-0924", molmoO, 7_665_032_192],
  ["allenai/Molmo2-4B", molmo2, molmo2Sum()],
  ["microsoft/wavlm-base", { model_type: "wavlm", architectures: ["WavLMModel"] }, 94_381_936],
  [
    "microsoft/wavlm-large",
    {
      model_type: "wavlm",
      architectures: ["WavLMModel"],
      conv_bias: false,
      do_stable_layer_norm: true,
      feat_extract_norm: "layer",
      hidden_size: 1024,
      intermediate_size: 4096,
      num_attention_heads: 16,
      num_hidden_layers: 24,
    },
    315_453_120,
  ],
  ["UniSpeech, as wav2vec 2", { model_type: "unispeech-sat", architectures: ["UniSpeechSatModel"] }, 94_371_712],
  [
    "data2vec for sound, class defaults",
    { model_type: "data2vec-audio", architectures: ["Data2VecAudioModel"] },
    // Wav2vec's convolution over neighbours and its one norm of the sound become five convolutions and seven norms.
    94_371_712 - (48 * 768 * 128 + 128 + 768) + 5 * (48 * 768 * 19 + 768) + 6 * 2 * 512,
  ],
  [
    "microsoft/layoutlmv3-base",
    {
      model_type: "layoutlmv3",
      architectures: ["LayoutLMv3Model"],
      max_position_embeddings: 514,
      type_vocab_size: 1,
    },
    vocabulary(50_265 + 514 + 1 + 2) +
      4 * 1024 * 128 +
      32 * 12 +
      2 * 64 * 12 +
      768 * (3 * 256 + 1 + 1 + 14 ** 2 + 1 + 4),
  ],
  [
    "facebook/dpr-question_encoder-single-nq-base",
    { model_type: "dpr", architectures: ["DPRQuestionEncoder"], projection_dim: 0 },
    108_891_648,
  ],
  [
    "TAPAS, class defaults",
    { model_type: "tapas", architectures: ["TapasModel"] },
    vocabulary(30_522 + 1024 + 3 + 4 * 256 + 2 + 10 + 2) + 768 ** 2 + 768,
  ],
  [
    "AST, class defaults",
    { model_type: "audio-spectrogram-transformer", architectures: ["ASTModel"] },
    vocabulary(0) + 256 * 768 + 768 + 2 * 768 + (12 * 101 + 2) * 768 + 2 * 768,
  ],
  [
    "MSN's ViT, class defaults",
    { model_type: "vit_msn", architectures: ["ViTMSNModel"] },
    vocabulary(0) + 768 * 768 + 768 + 768 + 197 * 768 + 2 * 768,
  ],
  [
    "I-JEPA, class defaults",
    { model_type: "ijepa", architectures: ["IJepaModel"] },
    vocabulary(0) + 768 * 768 + 768 + 196 * 768 + 2 * 768,
  ],
  [
    "Swin 2, tiny, windows of 8",
    { model_type: "swinv2", architectures: ["Swinv2Model"], image_size: 256, window_size: 8 },
    27_578_154,
  ],
];

describe("published towers and encoders have the parameters of their tensors", () => {
  test.each(totals)("%s", (_, config, total) => {
    expect(parametersOf(config)).toBe(total);
  });
  test.each(totals)("no key of %s is left unread", (_, config) => {
    expect(described(config).notes.filter((note) => note.startsWith("keys that nothing was read from"))).toEqual([]);
  });
});

test("layers of Molmo 2's tower behind the deepest that the adapter reads are not there", () => {
  const deeper = { ...molmo2, adapter_config: { intermediate_size: 9728, vit_layers: [-1] } };
  const [tower] = described(deeper).stacks;
  expect(tower?.layers).toHaveLength(27);
  expect(() => described({ ...molmo2, adapter_config: { vit_layers: [40] } })).toThrow(/vit_layers/);
});

test("WavLM's gates cost every head eight numbers of its width, the table of distances is the first layer's", () => {
  const flops = (type: string): number =>
    totalCost(priceGraph(buildGraph(described({ model_type: type, architectures: ["Model"] })))).matmulFlops.at({
      n: 100,
      c: 0,
    });
  expect(flops("wavlm") - flops("wav2vec2")).toBe(2 * 100 * 12 * 12 * 64 * 8);
  const [stack] = described({ model_type: "wavlm", architectures: ["WavLMModel"] }).stacks;
  const owners = stack?.layers.map(
    ({ mixers: [mixer] }) => mixer?.kind === "attention" && mixer.relativePositions?.own,
  );
  expect(owners).toEqual([true, ...Array.from({ length: 11 }, () => false)]);
});

test("a spectrogram's patches overlap, so that there are more of them; they are priced and not run", () => {
  const model = described({ model_type: "audio-spectrogram-transformer", architectures: ["ASTModel"] });
  const [n, h] = [12 * 101 + 2, 768];
  const expected = 12 * 101 * 256 * h + 12 * n * (12 * h * h + 2 * n * h);
  expect(totalCost(priceGraph(buildGraph(model))).matmulFlops.at({ n: 1, c: 0 })).toBe(2 * expected);
  expect(() => runnableGraph(model, "fused")).toThrow(/only priced/);
});

test("Swin 2 works its scores by place out once per layer, and halves the side in each stage", () => {
  const config = { model_type: "swinv2", architectures: ["Swinv2Model"], image_size: 256, window_size: 8 };
  const stage = (h: number, heads: number, count: number, side: number): number => {
    const tokens = side * side;
    const places = 15 * 15 * (2 * 512 + 512 * heads);
    const merged = h === 768 ? 0 : (tokens / 4) * 8 * h * h;
    return count * (tokens * (12 * h * h + 2 * 64 * h) + places) + merged;
  };
  const expected =
    4096 * 48 * 96 + stage(96, 3, 2, 64) + stage(192, 6, 2, 32) + stage(384, 12, 6, 16) + stage(768, 24, 2, 8);
  const flops = totalCost(priceGraph(buildGraph(described(config)))).matmulFlops.at({ n: 1, c: 0 });
  expect(flops / (2 * expected)).toBeCloseTo(1, 12);
});
