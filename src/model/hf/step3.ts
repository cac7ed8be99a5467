import type { Layer } from "../types.js";
import { flag, integer, listOf, size } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readLayerCount, readRotary } from "./decoder.js";
import { decoder, dense, listLayers, moe, rmsNorm, softmax } from "./parts.js";
import type { Reader } from "./reader.js";
import { linear, weight } from "./beside.js";
import { type VisionReader, layerNormed, patchArea, tower } from "./vision-tower.js";

/**
 * Step 3 (arXiv:2507.19427): multi-matrix factorised attention: one head of keys and values, queries of all heads from one
 * of share_q_dim; experts beside a shared one in the layers that moe_layers_enum lists.
 */
const readStep3: Reader = (config) => {
  const layers = readLayerCount(config);
  const headDim = config.size("head_dim");
  const heads = config.size("num_attention_heads");
  const groups = config.size("num_attention_groups");
  if (groups !== 1) throw config.bad("num_attention_groups", groups, "expected 1: one head of keys and values");
  const queryRank = config.derived("share_q_dim", size, "head_dim", () => headDim);
  const norm = rmsNorm(config);
  const attention = softmax({ heads, kvHeads: groups, headDim }, readRotary(config, headDim), { queryRank });
  const plain = dense(config, { activation: "silu" });
  const experts = moe(config, {
    activation: "silu",
    experts: config.size("moe_num_experts"),
    chosen: config.size("moe_top_k"),
    sharedWidth: config.size("share_expert_dim"),
  });
  const sparse = sparseLayers(config, layers);
  config.ignore("norm_expert_weight", "max_seq_len", "max_position_embedding", "use_moe_router_bias");
  return decoder(config, {
    contextLength: config.optional(["max_position_embedding", "max_position_embeddings", "max_seq_len"], size),
    layers: listLayers(
      layers,
      (layer): Layer => ({
        mixers: [attention],
        ffns: [sparse.has(layer) ? experts : plain],
        norm,
        normPlacement: "pre",
      }),
    ),
    finalNorm: norm,
  });
};

/** Numbers of the layers with experts: a list, or text with commas; all but the first where there is none. */
function sparseLayers(config: ConfigReader, layers: number): ReadonlySet<number> {
  const raw = config.raw("moe_layers_enum");
  if (typeof raw !== "string") {
    const listed = config.optional("moe_layers_enum", listOf(integer));
    return new Set(listed ?? Array.from({ length: layers - 1 }, (_, index) => index + 1));
  }
  const numbers = raw.split(",").map((part) => Number(part.trim()));
  if (numbers.some((number) => !Number.isInteger(number) || number < 0)) {
    throw config.bad("moe_layers_enum", raw, "expected numbers of layers with commas between them");
  }
  return new Set(numbers);
}

/** The tower: norms after each branch, two convolutions that halve the side, one projection. */
export const step3Vision: VisionReader = (config, textHidden, whole) => {
  const from = "class default of step3_vision_encoder";
  const sized = (key: string, value: number): number => config.derived(key, size, from, () => value);
  const hidden = sized("hidden_size", 1792);
  const out = sized("output_hidden_size", 4096);
  const side = Math.floor(sized("image_size", 728) / sized("patch_size", 14));
  const bias = whole.optional("projector_bias", flag) ?? true;
  whole.ignore("understand_projector_stride", "image_token_len", "patch_token_len");
  const stack = tower({
    hidden,
    count: sized("num_hidden_layers", 63),
    heads: sized("num_attention_heads", 16),
    width: sized("intermediate_size", 3072),
    norm: layerNormed,
    layer: { normPlacement: "post-branch" },
    linears: [linear("project", 2 * out, textHidden, bias)],
    weights: [
      weight("class_token", hidden),
      weight("patches", hidden, patchArea(config, false)),
      weight("patches_bias", hidden),
      weight("positions", side * side + 1, hidden),
      weight("downsample1", out, hidden, 2, 2),
      weight("downsample1_bias", out),
      weight("downsample2", 2 * out, out, 3, 3),
      weight("downsample2_bias", 2 * out),
    ],
  });
  config.ignoreRest();
  return stack;
};

export const step3Readers: Readonly<Record<string, Reader>> = { step3_text: readStep3 };
