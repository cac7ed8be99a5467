import { describe, expect, test } from "vitest";
import { countParameters } from "../../src/cost/parameters.js";
import { priceGraph } from "../../src/cost/table.js";
import { buildGraph } from "../../src/graph/build.js";
import { checkpointOf, described, type Config } from "./written.js";

const llava = {
  model_type: "llava",
  architectures: ["LlavaForConditionalGeneration"],
  text_config: { model_type: "llama", max_position_embeddings: 4096, rms_norm_eps: 1e-5, vocab_size: 32_064 },
  vision_config: {
    model_type: "clip_vision_model",
    hidden_size: 1024,
    image_size: 336,
    intermediate_size: 4096,
    num_attention_heads: 16,
    num_hidden_layers: 24,
    patch_size: 14,
    projection_dim: 768,
    vocab_size: 32_000,
  },
};

const internViT300M = {
  model_type: "intern_vit_6b",
  hidden_size: 1024,
  image_size: 448,
  intermediate_size: 4096,
  norm_type: "layer_norm",
  num_attention_heads: 16,
  num_hidden_layers: 24,
  patch_size: 14,
  qk_normalization: false,
  qkv_bias: true,
};

const internvl = (llm_config: Config, vision_config: Config = internViT300M): Config => ({
  model_type: "internvl_chat",
  architectures: ["InternVLChatModel"],
  downsample_ratio: 0.5,
  llm_config,
  vision_config,
});

const internLm2 = { architectures: ["InternLM2ForCausalLM"], model_type: "internlm2", vocab_size: 92_553, bias: false };

const kimiVl = {
  model_type: "kimi_vl",
  architectures: ["KimiVLForConditionalGeneration"],
  text_config: {
    model_type: "deepseek_v3",
    first_k_dense_replace: 1,
    hidden_size: 2048,
    intermediate_size: 11_264,
    kv_lora_rank: 512,
    moe_intermediate_size: 1408,
    n_group: 1,
    n_routed_experts: 64,
    n_shared_experts: 2,
    num_attention_heads: 16,
    num_experts_per_tok: 6,
    num_hidden_layers: 27,
    num_key_value_heads: 16,
    num_nextn_predict_layers: 0,
    q_lora_rank: null,
    qk_nope_head_dim: 128,
    qk_rope_head_dim: 64,
    topk_group: 1,
    v_head_dim: 128,
    vocab_size: 163_840,
  },
  vision_config: {
    model_type: "moonvit",
    hidden_size: 1152,
    init_pos_emb_height: 64,
    init_pos_emb_width: 64,
    intermediate_size: 4304,
    merge_kernel_size: [2, 2],
    num_attention_heads: 16,
    num_hidden_layers: 27,
    patch_size: 14,
  },
};

const gemma3n = (num_hidden_layers: number, num_kv_shared_layers: number, intermediate_size: number): Config => ({
  model_type: "gemma3n",
  architectures: ["Gemma3nForConditionalGeneration"],
  text_config: { model_type: "gemma3n_text", num_hidden_layers, num_kv_shared_layers, intermediate_size },
  vision_config: { model_type: "gemma3n_vision", architecture: "mobilenetv5_300m_enc", vocab_size: 128 },
  audio_config: {
    model_type: "gemma3n_audio",
    conf_conv_kernel_size: 5,
    conf_num_attention_heads: 8,
    conf_num_hidden_layers: 12,
    hidden_size: 1536,
    sscp_conv_channel_size: [128, 32],
    sscp_conv_kernel_size: [
      [3, 3],
      [3, 3],
    ],
    vocab_size: 128,
  },
});

/**
 * Sizes of published checkpoints, whole, with towers. Counts: hub metadata of safetensors in a public table of the
 * GIMMICK benchmark's code (InternVL 2.5, Phi-3.5-vision, Qwen2-VL); `numel` sums that users of transformers
 * printed (LLaVA 1.5, PaliGemma, SmolVLM); KerasHub's card (Mistral Small 3.2); the hub's API for safetensors as public
 * notes and tables state it (Gemma 3n, LFM2-VL).
 */
const published: readonly (readonly [string, Config, number])[] = [
  ["llava-hf/llava-1.5-7b-hf", llava, 7_063_427_072],
  [
    "google/paligemma-3b-pt-224",
    {
      model_type: "paligemma",
      architectures: ["PaliGemmaForConditionalGeneration"],
      hidden_size: 2048,
      projection_dim: 2048,
      text_config: {
        model_type: "gemma",
        hidden_size: 2048,
        intermediate_size: 16_384,
        num_attention_heads: 8,
        num_hidden_layers: 18,
        num_key_value_heads: 1,
        vocab_size: 257_216,
      },
      vision_config: {
        model_type: "siglip_vision_model",
        hidden_size: 1152,
        intermediate_size: 4304,
        num_attention_heads: 16,
        num_hidden_layers: 27,
        patch_size: 14,
        projection_dim: 2048,
        vision_use_head: false,
      },
    },
    2_923_466_480,
  ],
  [
    "HuggingFaceTB/SmolVLM-256M-Instruct",
    {
      model_type: "idefics3",
      architectures: ["Idefics3ForConditionalGeneration"],
      scale_factor: 4,
      tie_word_embeddings: false,
      text_config: {
        model_type: "llama",
        architectures: ["VLlama3ForCausalLM"],
        hidden_size: 576,
        intermediate_size: 1536,
        num_attention_heads: 9,
        num_hidden_layers: 30,
        num_key_value_heads: 3,
        vocab_size: 49_280,
        tie_word_embeddings: false,
      },
      vision_config: {
        // Layers and their width are left to the class, as in the published file.
        model_type: "idefics3_vision",
        hidden_size: 768,
        image_size: 512,
        num_attention_heads: 12,
        patch_size: 16,
      },
    },
    256_484_928,
  ],
  [
    "mistralai/Mistral-Small-3.2-24B-Instruct-2506",
    {
      model_type: "mistral3",
      architectures: ["Mistral3ForConditionalGeneration"],
      multimodal_projector_bias: false,
      spatial_merge_size: 2,
      text_config: {
        model_type: "mistral",
        head_dim: 128,
        hidden_size: 5120,
        intermediate_size: 32_768,
        num_attention_heads: 32,
        num_hidden_layers: 40,
        num_key_value_heads: 8,
        vocab_size: 131_072,
      },
      vision_config: {
        model_type: "pixtral",
        head_dim: 64,
        hidden_size: 1024,
        image_size: 1540,
        intermediate_size: 4096,
        num_attention_heads: 16,
        num_hidden_layers: 24,
        patch_size: 14,
      },
    },
    24_011_361_280,
  ],
  [
    "LiquidAI/LFM2-VL-450M",
    {
      model_type: "lfm2_vl",
      architectures: ["Lfm2VlForConditionalGeneration"],
      downsample_factor: 2,
      projector_bias: true,
      projector_hidden_size: 2560,
      text_config: {
        model_type: "lfm2",
        block_auto_adjust_ff_dim: true,
        block_ff_dim: 6656,
        block_ffn_dim_multiplier: 1,
        block_multiple_of: 256,
        conv_L_cache: 3,
        conv_bias: false,
        full_attn_idxs: [2, 5, 8, 10, 12, 14],
        hidden_size: 1024,
        norm_eps: 1e-5,
        num_attention_heads: 16,
        num_hidden_layers: 16,
        num_key_value_heads: 8,
        vocab_size: 65_536,
      },
      vision_config: {
        model_type: "siglip2_vision_model",
        hidden_size: 768,
        intermediate_size: 3072,
        num_attention_heads: 12,
        num_hidden_layers: 12,
        num_patches: 256,
        patch_size: 16,
        vision_use_head: false,
      },
    },
    450_822_656,
  ],
  ["google/gemma-3n-E2B-it", gemma3n(30, 10, 8192), 5_439_438_272],
  ["google/gemma-3n-E4B-it", gemma3n(35, 15, 16_384), 7_849_978_192],
  [
    "OpenGVLab/InternVL2_5-1B",
    internvl({
      model_type: "qwen2",
      architectures: ["Qwen2ForCausalLM"],
      hidden_size: 896,
      intermediate_size: 4864,
      num_attention_heads: 14,
      num_hidden_layers: 24,
      num_key_value_heads: 2,
      tie_word_embeddings: false,
      vocab_size: 151_674,
    }),
    938_193_024,
  ],
  [
    "OpenGVLab/InternVL2_5-8B",
    internvl({
      ...internLm2,
      hidden_size: 4096,
      intermediate_size: 14_336,
      num_attention_heads: 32,
      num_hidden_layers: 32,
      num_key_value_heads: 8,
    }),
    8_075_365_376,
  ],
  [
    "OpenGVLab/InternVL2_5-26B",
    internvl(
      {
        ...internLm2,
        hidden_size: 6144,
        intermediate_size: 16_384,
        num_attention_heads: 48,
        num_hidden_layers: 48,
        num_key_value_heads: 8,
      },
      {
        ...internViT300M,
        hidden_size: 3200,
        intermediate_size: 12_800,
        norm_type: "rms_norm",
        num_attention_heads: 25,
        num_hidden_layers: 45,
        qk_normalization: true,
        qkv_bias: false,
      },
    ),
    25_514_186_112,
  ],
  [
    "microsoft/Phi-3.5-vision-instruct",
    {
      model_type: "phi3_v",
      architectures: ["Phi3VForCausalLM"],
      hidden_size: 3072,
      img_processor: { image_dim_out: 1024, model_name: "openai/clip-vit-large-patch14-336", num_img_tokens: 144 },
      intermediate_size: 8192,
      num_attention_heads: 32,
      num_hidden_layers: 32,
      num_key_value_heads: 32,
      vocab_size: 32_064,
    },
    4_146_621_440,
  ],
];

describe("models behind towers for images", () => {
  test.each(published)("%s has its published parameters to the last one", (_, config, parameters) => {
    expect(checkpointOf(config)).toBe(parameters);
  });

  /*
   * A public census of the tensors of moonshotai/Kimi-VL-A3B-Instruct finds 16,407,657,776. What it has more, 64 a layer,
   * fits the 32 rotary frequencies in float32 that Moonshot's files keep in each layer, counted in words of 16 bits.
   */
  test("moonshotai/Kimi-VL-A3B-Instruct has its published parameters but for 64 a layer", () => {
    expect(checkpointOf(kimiVl)).toBe(16_407_657_776 - 27 * 64);
  });

  test("towers are not run for text", () => {
    const model = described(llava);
    const text = described({ ...llava.text_config, architectures: ["LlamaForCausalLM"] });
    expect(countParameters(buildGraph(model)).active).toBe(countParameters(buildGraph(text)).total);
    expect(model.notes.join("\n")).toContain("towers for images or sound are counted as parameters");
  });

  test("a newline between rows of patches is one vector of the text's width", () => {
    const next = { ...llava, model_type: "llava_next" };
    expect(checkpointOf(next) - checkpointOf(llava)).toBe(4096);
  });
});

/* Sums of `numel` that users of transformers print for these classes. */
describe("encoders of images and sound", () => {
  const large = { hidden_size: 1024, intermediate_size: 4096, num_attention_heads: 16, num_hidden_layers: 24 };
  const clipText = { hidden_size: 768, intermediate_size: 3072, num_attention_heads: 12, num_hidden_layers: 12 };
  test.each([
    [
      "openai/clip-vit-base-patch32",
      {
        model_type: "clip",
        architectures: ["CLIPModel"],
        text_config: { model_type: "clip_text_model" },
        vision_config: { model_type: "clip_vision_model" },
      },
      151_277_313,
    ],
    [
      "openai/clip-vit-large-patch14",
      {
        model_type: "clip",
        architectures: ["CLIPModel"],
        projection_dim: 768,
        text_config: { ...clipText, model_type: "clip_text_model", projection_dim: 768 },
        vision_config: { ...large, model_type: "clip_vision_model", image_size: 224, patch_size: 14 },
      },
      427_616_513,
    ],
    ["facebook/wav2vec2-base", { model_type: "wav2vec2", architectures: ["Wav2Vec2Model"] }, 94_371_712],
    ["facebook/wav2vec2-base-960h", { model_type: "wav2vec2", architectures: ["Wav2Vec2ForCTC"] }, 94_396_320],
  ])("%s has its published parameters to the last one", (_, config, parameters) => {
    expect(checkpointOf(config)).toBe(parameters);
  });

  test("convolutions of sound run at the positions that their strides leave", () => {
    const graph = buildGraph(described({ model_type: "wav2vec2", architectures: ["Wav2Vec2Model"] }));
    const stem = priceGraph(graph)
      .filter(({ operator }) => operator.name.includes("convolution"))
      .reduce((sum, { cost }) => sum + cost.matmulFlops.at({ n: 50, b: 1, m: 50 }), 0);
    // One second of 16 kHz: 50 frames; 3200, 1600, 800, 400, 200, 100, 50 positions.
    const positions = 3200 * 10 + (1600 + 800 + 400 + 200) * 3 * 512 + (100 + 50) * 2 * 512;
    expect(stem).toBe(2 * 512 * positions);
  });
});
