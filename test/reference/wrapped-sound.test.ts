import { describe, expect, test } from "vitest";
import { checkpointOf, described } from "./written.js";

/** Whisper's large encoder: 32 layers of 1280, 128 bands. */
const whisperLarge = 32 * (12 * 1280 ** 2 + (3 + 2 + 2) * 1280 + 5120 + 1280) + 1280 * (3 * 128 + 3 * 1280 + 2 + 2);
const audio = { num_mel_bins: 128, encoder_layers: 32, d_model: 1280 };
const qwen2 = {
  model_type: "qwen2",
  architectures: ["Qwen2ForCausalLM"],
  hidden_size: 1024,
  intermediate_size: 2048,
  num_attention_heads: 8,
  num_hidden_layers: 2,
  num_key_value_heads: 8,
  vocab_size: 1000,
};

describe("models behind towers for sound", () => {
  const text = checkpointOf(qwen2);

  test("Qwen2-Audio: positions and one projection", () => {
    const config = { model_type: "qwen2_audio", text_config: qwen2, audio_config: audio };
    expect(checkpointOf(config) - text).toBe(whisperLarge + 1500 * 1280 + 1280 * 1024 + 1024);
  });

  test("Voxtral: four frames joined, two projections without biases", () => {
    const config = { model_type: "voxtral", text_config: qwen2, audio_config: { hidden_size: 1280 } };
    expect(checkpointOf(config) - text).toBe(whisperLarge + 1500 * 1280 + 5120 * 1024 + 1024 ** 2);
  });

  test("Qwen2.5-Omni: the thinker's language model and towers; the talker is left out", () => {
    const config = {
      model_type: "qwen2_5_omni",
      architectures: ["Qwen2_5OmniModel"],
      thinker_config: {
        text_config: { ...qwen2, model_type: "qwen2_5_omni_text" },
        audio_config: audio,
        vision_config: null,
      },
      talker_config: {},
    };
    expect(checkpointOf(config) - text).toBe(whisperLarge + 1280 * 1024 + 1024 + 2 * 1024);
    expect(described(config).notes.join("\n")).toContain("only the thinker is described");
  });
});
