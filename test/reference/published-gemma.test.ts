import { expect, test } from "vitest";
import { countParameters } from "../../src/cost/parameters.js";
import { buildGraph } from "../../src/graph/build.js";
import { readConfig } from "../../src/model/hf/read-config.js";
import { type Checkpoint, testCheckpoints } from "./checkpoints.js";
import { readConfigFile } from "./data.js";

const embeddingGemma = {
  model_type: "gemma3_text",
  head_dim: 256,
  hidden_size: 768,
  intermediate_size: 1152,
  num_attention_heads: 3,
  num_hidden_layers: 24,
  num_key_value_heads: 1,
  query_pre_attn_scalar: 256,
  sliding_window: 512,
  use_bidirectional_attention: true,
  vocab_size: 262_144,
};

/** Gemma 4's 26B-A4B, whose shapes it has. */
function diffusionGemma(): Record<string, unknown> {
  const gemma = readConfigFile("configs", "google__gemma-4-26B-A4B.json");
  const text: object = { ...(gemma["text_config"] as object) };
  return { ...gemma, model_type: "diffusion_gemma", text_config: { ...text, model_type: "diffusion_gemma_text" } };
}

/** As in published-decoders.test.ts: totals over the published tensors, or over those that the published class allocates, written out. */
const checkpoints: readonly Checkpoint[] = [
  [
    "google/vaultgemma-1b",
    {
      model_type: "vaultgemma",
      architectures: ["VaultGemmaForCausalLM"],
      head_dim: 256,
      hidden_size: 1152,
      intermediate_size: 6912,
      num_attention_heads: 4,
      num_hidden_layers: 26,
      num_key_value_heads: 4,
      sliding_window: 512,
      tie_word_embeddings: true,
      vocab_size: 256_000,
    },
    1_038_741_120,
  ],
  ["google/diffusiongemma-26B-A4B-it", diffusionGemma(), 25_823_778_864],
  ["google/embeddinggemma-300m", { ...embeddingGemma, architectures: ["Gemma3TextModel"] }, 302_863_104],
];

testCheckpoints(checkpoints);

test("EmbeddingGemma looks both ways: no cache, windows with the query in their middle", () => {
  const model = readConfig(embeddingGemma, "a.json", "a");
  const [stack] = model.stacks;
  expect(stack?.kind).toBe("encoder");
  const mixers = (stack?.layers ?? []).flatMap((layer) => layer.mixers);
  expect(mixers.every((mixer) => mixer.kind === "attention" && !mixer.causal)).toBe(true);
  const [first] = mixers;
  // A window of 257 reaches 256 positions to either side.
  expect(first?.kind === "attention" ? first.span : null).toEqual({ kind: "window", size: 257 });
});

test("the encoder of T5Gemma 2 has Gemma 3's layers and one more embedding", () => {
  const { use_bidirectional_attention: _both, model_type: _type, ...text } = embeddingGemma;
  const config = { ...text, model_type: "t5gemma2_text", architectures: ["T5Gemma2TextEncoder"] };
  const model = readConfig(config, "a.json", "a");
  expect(countParameters(buildGraph(model)).total).toBe(302_863_104 + 768);
  expect(model.stacks.map((stack) => stack.kind)).toEqual(["encoder"]);
});

test("DiffusionGemma without a number of experts is refused by that key", () => {
  const config = { model_type: "diffusion_gemma_text", hidden_size: 64, intermediate_size: 128 };
  expect(() => readConfig(config, "a.json", "a")).toThrow(/num_experts is missing/);
});
