import { describe, expect, test } from "vitest";
import { checkpointOf, described } from "./written.js";

/* Towers summed by hand after the shapes that the classes of transformers give their modules. */

const linear = (inWidth: number, outWidth: number): number => inWidth * outWidth + outWidth;
const convolution = (from: number, to: number, side: number): number => from * to * side ** 2 + to;
const gated = (inWidth: number, width: number, outWidth: number): number => 2 * inWidth * width + width * outWidth;

/** SigLIP without its pooling head: patches, places, layers, a norm. */
function siglip(width: number, inner: number, layers: number, image: number, patch: number): number {
  const layer = 4 * linear(width, width) + linear(width, inner) + linear(inner, width) + 2 * 2 * width;
  return convolution(3, width, patch) + (image / patch) ** 2 * width + layers * layer + 2 * width;
}

const vision = {
  hidden_size: 1152,
  image_size: 980,
  intermediate_size: 4304,
  num_attention_heads: 16,
  num_hidden_layers: 27,
  patch_size: 14,
};

const mistral = { model_type: "mistral", hidden_size: 512, intermediate_size: 1024, num_hidden_layers: 2 };
const sizes = { num_attention_heads: 8, num_key_value_heads: 8, vocab_size: 1000 };

describe("SigLIP behind other wrappers", () => {
  test("Idefics2: a gated network, and a perceiver of three layers", () => {
    const text_config = { ...mistral, ...sizes };
    const text = checkpointOf({ ...text_config, architectures: ["MistralForCausalLM"] });
    const heads = { query: 16 * 96, key: 4 * 96 };
    const attention = 2 * 512 * heads.query + 2 * 512 * heads.key;
    const perceiver = 64 * 512 + 3 * (attention + gated(512, 2048, 512) + 3 * 512) + 512;
    const config = {
      model_type: "idefics2",
      architectures: ["Idefics2ForConditionalGeneration"],
      text_config,
      vision_config: { ...vision, model_type: "idefics2" },
      perceiver_config: { resampler_depth: 3, resampler_n_heads: 16, num_key_value_heads: 4, resampler_n_latents: 64 },
    };
    expect(checkpointOf(config) - text).toBe(siglip(1152, 4304, 27, 980, 14) + gated(1152, 1024, 512) + perceiver);
  });

  test("Idefics2's own sizes are its class's where the file leaves them out", () => {
    const config = { model_type: "idefics2", text_config: { ...mistral, ...sizes }, vision_config: { patch_size: 14 } };
    const [tower] = described(config).stacks;
    expect(tower?.layers).toHaveLength(12);
    expect(tower?.hiddenSize).toBe(768);
  });

  test("Aria: queries read the patches through two projections each", () => {
    const text_config = {
      model_type: "aria_text",
      hidden_size: 512,
      intermediate_size: 256,
      moe_num_experts: 8,
      num_hidden_layers: 2,
      ...sizes,
    };
    const config = {
      model_type: "aria",
      architectures: ["AriaForConditionalGeneration"],
      projector_patch_to_query_dict: { "1225": 128, "4900": 256 },
      text_config,
      vision_config: { ...vision, model_type: "idefics3_vision" },
    };
    const text = checkpointOf({ ...text_config, architectures: ["AriaTextForCausalLM"] });
    const attention = 3 * 1152 ** 2 + 4 * linear(1152, 1152) + linear(1152, 1152) + 2 * 2 * 1152;
    const projector = 256 * 1152 + attention + 2 * 1152 + 1152 * 512 + 512 * 512;
    expect(checkpointOf(config) - text).toBe(siglip(1152, 4304, 27, 980, 14) + projector);
  });

  test("Command A Vision: SigLIP's head is there unless the file says otherwise; half of the network is a gate", () => {
    const text_config = { ...mistral, ...sizes, model_type: "cohere2" };
    const text = checkpointOf({ ...text_config, architectures: ["Cohere2ForCausalLM"] });
    const config = (more: object) => ({
      model_type: "cohere2_vision",
      architectures: ["Cohere2VisionForConditionalGeneration"],
      alignment_intermediate_size: 2048,
      text_config,
      vision_config: { ...vision, model_type: "siglip_vision_model", ...more },
    });
    const projector = linear(4 * 1152, 2048) + linear(1024, 512);
    const head = 1152 + 4 * linear(1152, 1152) + 2 * 1152 + linear(1152, 4304) + linear(4304, 1152);
    const tower = siglip(1152, 4304, 27, 980, 14) + projector;
    expect(checkpointOf(config({ vision_use_head: false })) - text).toBe(tower);
    expect(checkpointOf(config({})) - text).toBe(tower + head);
  });

  test("Aria's table of queries is checked", () => {
    const config = {
      model_type: "aria",
      text_config: { model_type: "aria_text" },
      projector_patch_to_query_dict: "no",
    };
    expect(() => described(config)).toThrow("projector_patch_to_query_dict");
  });

  test("Janus: an aligner, and what makes images of codes", () => {
    const text_config = { ...mistral, model_type: "llama", ...sizes };
    const text = checkpointOf({ ...text_config, architectures: ["LlamaForCausalLM"] });
    const config = {
      model_type: "janus",
      architectures: ["JanusForConditionalGeneration"],
      text_config,
      vision_config: { model_type: "janus_vision_model", projection_dim: 512 },
      vq_config: { projection_dim: 512, image_token_embed_dim: 512 },
    };
    const aligner = linear(1024, 512) + linear(512, 512);
    const codes = 2 * 16_384 * 8 + linear(8, 512) + 2 * linear(512, 512) + linear(512, 16_384);
    const made = janusCodec([128, 128, 256, 256, 512], 2) + convolution(256, 8, 1) + convolution(8, 256, 1);
    expect(checkpointOf(config) - text).toBe(siglip(1024, 4096, 24, 384, 16) + aligner + codes + made);
  });

  test("lists of levels without bounds are refused", () => {
    const config = (vq_config: object) => ({ model_type: "janus", text_config: { model_type: "llama" }, vq_config });
    expect(() => described(config({ num_res_blocks: 2 ** 20 }))).toThrow("num_res_blocks");
    expect(() => described(config({ channel_multiplier: [] }))).toThrow("channel_multiplier");
  });
});

/** Encoder and decoder of Janus's images, stepped through as their constructors do. */
function janusCodec(channels: readonly number[], blocks: number): number {
  const residual = (from: number, to: number): number =>
    2 * from +
    convolution(from, to, 3) +
    2 * to +
    convolution(to, to, 3) +
    (from === to ? 0 : convolution(from, to, 1));
  const attention = (width: number): number => 2 * width + 4 * convolution(width, width, 1);
  const middle = (width: number): number => 2 * residual(width, width) + attention(width);
  const last = channels.length - 1;
  let width = channels[0] ?? 0;
  let sum = convolution(3, width, 3);
  channels.forEach((next, level) => {
    for (let block = 0; block < blocks; block += 1) {
      sum += residual(width, next) + (level === last ? attention(next) : 0);
      width = next;
    }
    if (level < last) sum += convolution(width, width, 3);
  });
  sum += middle(width) + 2 * width + convolution(width, 256, 3);
  sum += convolution(256, width, 3) + middle(width);
  for (let level = last; level >= 0; level -= 1) {
    const next = channels[level] ?? 0;
    for (let block = 0; block <= blocks; block += 1) {
      sum += residual(width, next) + (level === last ? attention(next) : 0);
      width = next;
    }
    if (level > 0) sum += convolution(width, width, 3);
  }
  return sum + 2 * width + convolution(width, 3, 3);
}

describe("towers of their own", () => {
  test("Ovis 2: AIMv2, words of a visual vocabulary and their table", () => {
    const text_config = { ...mistral, model_type: "qwen2", ...sizes };
    const text = checkpointOf({ ...text_config, architectures: ["Qwen2ForCausalLM"] });
    const config = {
      model_type: "ovis2",
      architectures: ["Ovis2ForConditionalGeneration"],
      text_config,
      vision_config: { hidden_stride: 2, image_size: 448, vocab_size: 65_536 },
    };
    const layer = 4 * 1024 ** 2 + gated(1024, 2816, 1024) + 2 * 1024;
    const shown = 65_536 - 5;
    const tower = convolution(3, 1024, 14) + (448 / 14) ** 2 * 1024 + 24 * layer + 2 * 1024;
    expect(checkpointOf(config) - text).toBe(tower + 4 * 1024 * shown + 2 * shown + 65_536 * 512);
  });

  /* Microsoft states 0.23 and 0.77 billion. */
  test.each([
    ["base", [128, 256, 512, 1024], { d_model: 768, ffn: 3072, layers: 6 }, 231_414_016],
    ["large", [256, 512, 1024, 2048], { d_model: 1024, ffn: 4096, layers: 12 }, 770_173_952],
  ])(
    "Florence-2-%s: stages of attention in windows and between channels",
    (_, dim_embed, { d_model, ffn, layers }, all) => {
      const heads = d_model / 64;
      const config = {
        model_type: "florence2",
        architectures: ["Florence2ForConditionalGeneration"],
        text_config: {
          model_type: "florence2_language",
          d_model,
          decoder_attention_heads: heads,
          decoder_ffn_dim: ffn,
          decoder_layers: layers,
          encoder_attention_heads: heads,
          encoder_ffn_dim: ffn,
          encoder_layers: layers,
          max_position_embeddings: 1024,
          vocab_size: 51_289,
        },
        vision_config: { model_type: "davit", depths: [1, 1, 9, 1], dim_embed, projection_dim: d_model },
      };
      const block = (width: number): number =>
        2 * (9 * width + width) +
        linear(width, 3 * width) +
        linear(width, width) +
        linear(width, 4 * width) +
        linear(4 * width, width) +
        2 * 2 * width;
      const depths = [1, 1, 9, 1];
      const stages = dim_embed.map((width, stage) => {
        const from = stage === 0 ? 3 : (dim_embed[stage - 1] ?? 0);
        const normed = stage === 0 ? width : from;
        return convolution(from, width, stage === 0 ? 7 : 3) + 2 * normed + 2 * (depths[stage] ?? 0) * block(width);
      });
      const last = dim_embed.at(-1) ?? 0;
      const tower = stages.reduce((sum, stage) => sum + stage, 0) + last * d_model + 2 * d_model + 50 * last;
      const text = checkpointOf({
        ...config.text_config,
        model_type: "bart",
        architectures: ["BartForConditionalGeneration"],
      });
      expect(checkpointOf(config) - text).toBe(tower);
      expect(checkpointOf(config)).toBe(all);
    },
  );
});
