import type { Attention, Ffn, Stack } from "../types.js";
import { purposeOf } from "./architecture.js";
import { layerCount, sizeOrZero, text, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { shareEqual } from "./decoder.js";
import { encoderLength, halves, shared } from "./halves.js";
import { listLayers, moe, rmsNorm, softmax } from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

/** models/t5 and its kin: RMS norms, relative positions, no biases. */
function readT5(config: ConfigReader, relative: "first" | "every"): ReaderResult {
  const hidden = config.size("d_model");
  const heads = config.size("num_heads");
  const headDim = config.size("d_kv");
  const norm = rmsNorm(config, "layer_norm_epsilon");
  const buckets = config.size("relative_attention_num_buckets");
  const form = config.optional("feed_forward_proj", text) ?? "relu";
  const gated = form.startsWith("gated-");
  const width = config.size("d_ff");
  const plain: Ffn = { kind: "dense", width, gated, activation: gated ? "gelu-tanh" : "relu", bias: false };
  config.ignore(
    "is_gated_act",
    "dense_act_fn",
    "scalable_attention",
    "output_past",
    "scale_decoder_outputs",
    "n_positions",
  );
  const base = softmax({ heads, kvHeads: heads, headDim }, null, { scale: 1 });
  // Files of before 2021 and GGUF headers do not say it: every T5 has the class's.
  const reach = config.derived("relative_attention_max_distance", tokenCount, "class default of t5", () => 128);
  const biased = (attention: Attention, index: number): Attention => ({
    ...attention,
    relativePositions: { buckets, reach, own: relative === "every" || index === 0 },
  });
  const local = localAttention(config);
  const ffnOf = sparseSwitch(config, plain, width);
  const encoder: Stack = {
    kind: "encoder",
    length: halves(config) === "encoder" ? { kind: "new" } : encoderLength,
    layers: shareEqual(
      listLayers(config.read("num_layers", layerCount), (index) => ({
        mixers: [biased({ ...base, causal: false, ...local }, index)],
        ffns: [ffnOf("encoder", index)],
        norm,
        normPlacement: "pre",
      })),
    ),
    finalNorm: norm,
  };
  const across: Attention = { ...base, source: "encoder", causal: false };
  const count = config.derived("num_decoder_layers", layerCount, "num_layers", () =>
    config.read("num_layers", layerCount),
  );
  const decoder: Stack = {
    kind: "decoder",
    layers: shareEqual(
      listLayers(count, (index) => ({
        mixers: [biased(base, index), across],
        ffns: [ffnOf("decoder", index)],
        norm,
        normPlacement: "pre",
      })),
    ),
    finalNorm: norm,
  };
  if (config.raw("tie_word_embeddings") === false) {
    config.note("the head is taken as tied, as Hugging Face transformers 5 does; the checkpoint has one of its own");
  }
  config.ignore("tie_word_embeddings");
  const only = halves(config) === "encoder";
  return {
    ...shared(config, hidden),
    contextLength: null,
    head: { kind: only || purposeOf(config) === "bare" ? "none" : "lm", tied: true, bias: false, softcap: null },
    stacks: only ? [encoder] : [encoder, decoder],
  };
}

/** models/longt5: the encoder looks 127 positions to either side; the reference computes whole blocks. */
function localAttention(config: ConfigReader): Partial<Attention> {
  if (config.family !== "longt5") return {};
  const radius = config.size("local_radius");
  const kind = config.text("encoder_attention_type");
  if (kind !== "local") {
    throw config.bad("encoder_attention_type", kind, 'only "local" is understood yet');
  }
  config.ignore("global_block_size");
  const block = radius + 1;
  return { span: { kind: "window", size: block }, referenceBlocks: { block, keys: 3 * block } };
}

/** models/switch_transformers: every n-th layer sends each token to one expert. */
function sparseSwitch(
  config: ConfigReader,
  plain: Ffn,
  width: number,
): (half: "encoder" | "decoder", index: number) => Ffn {
  if (config.family !== "switch_transformers") return () => plain;
  const experts = moe(config, {
    experts: config.size("num_experts"),
    chosen: 1,
    width,
    gated: false,
    activation: "relu",
    routerBias: config.flag("router_bias"),
  });
  const step = { encoder: sparseStep(config, "encoder"), decoder: sparseStep(config, "decoder") };
  config.ignore("expert_capacity", "router_dtype", "router_ignore_padding_tokens", "add_router_probs");
  return (half, index) => {
    const every = step[half];
    return every > 0 && (every === 1 || index % every === 1) ? experts : plain;
  };
}

function sparseStep(config: ConfigReader, half: "encoder" | "decoder"): number {
  const sparse = config.optional(`num_sparse_${half}_layers`, sizeOrZero) ?? 0;
  config.ignore(`${half}_sparse_step`);
  const layers = config.read(half === "encoder" ? "num_layers" : "num_decoder_layers", layerCount);
  return sparse === 0 ? 0 : Math.floor(layers / sparse);
}

export const t5Readers: Readonly<Record<string, Reader>> = {
  t5: (config) => readT5(config, "first"),
  mt5: (config) => readT5(config, "first"),
  longt5: (config) => readT5(config, "first"),
  switch_transformers: (config) => readT5(config, "first"),
  umt5: (config) => readT5(config, "every"),
};
