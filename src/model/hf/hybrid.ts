import type { Ffn, Layer, Mixer } from "../types.js";
import { integer, layerCount, listOf, oneOf, size, sizeOrZero, text } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readLayerCount } from "./decoder.js";
import { readBambaMixer, readMamba1, readNemotronMixer } from "./mamba.js";
import { notePrediction } from "./prediction.js";
import { attentionSizes, biasOf, decoder, dense, flagOr, listLayers, moe, rmsNorm, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/** Decoders that mix state-space layers with attention. */

const kinds = ["mamba", "linear_attention", "attention", "full_attention", "hybrid", "conv", "mlp", "moe"] as const;

/** Kinds of the layers as the file lists them, or null where it does not. */
function listedKinds(config: ConfigReader, key: "layer_types" | "layers_block_type", layers: number) {
  return config.perLayer(key, oneOf(kinds), layers);
}

const isAttention = (kind: string): boolean => kind === "attention" || kind === "full_attention" || kind === "hybrid";

/** models/jamba: attention every attn_layer_period-th layer, experts every expert_layer_period-th. */
const readJamba: Reader = (config) => {
  const { sizes } = attentionSizes(config);
  const norm = rmsNorm(config);
  const mamba = readMamba1(config, true);
  const attention = softmax(sizes, null);
  const experts = config.size("num_experts");
  const sparse = experts > 1 ? moe(config, { experts, width: config.size("intermediate_size") }) : null;
  const plain = dense(config);
  const at = (period: string, offset: string) => {
    const every = config.size(period);
    const from = config.sizeOrZero(offset);
    return (layer: number): boolean => layer % every === from;
  };
  const attends = at("attn_layer_period", "attn_layer_offset");
  const expert = at("expert_layer_period", "expert_layer_offset");
  return decoder(config, {
    layers: listLayers(readLayerCount(config), (layer) => ({
      mixers: [attends(layer) ? attention : mamba],
      ffns: [sparse !== null && expert(layer) ? sparse : plain],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
  });
};

/** models/bamba: attention in the layers that attn_layer_indices lists. */
const readBamba: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const norm = rmsNorm(config);
  const mamba = readBambaMixer(config);
  const attention = softmax(sizes, rotary, { bias: biasOf(config.flag("attention_bias")) });
  const indices = new Set(config.optional("attn_layer_indices", listOf(integer)) ?? []);
  const ffn = dense(config, { bias: config.flag("mlp_bias") });
  config.ignore("mamba_expand");
  return decoder(config, {
    layers: listLayers(readLayerCount(config), (layer) => ({
      mixers: [indices.has(layer) ? attention : mamba],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
  });
};

/** models/falcon_h1: attention and Mamba 2 side by side in every layer. */
const readFalconH1: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const norm = rmsNorm(config);
  const heads = config.size("mamba_n_heads");
  // A file that names the heads but not their width in all means heads · mamba_d_head, whatever the class default.
  const perHead = config.optional("mamba_d_head", size);
  const width = !config.has("mamba_d_ssm") && perHead !== null ? heads * perHead : config.size("mamba_d_ssm");
  if (width % heads !== 0) throw config.bad("mamba_n_heads", heads, `expected a divisor of mamba_d_ssm (${width})`);
  const mamba = readBambaMixer(config, { headDim: width / heads, gatedNorm: flagOr(config, "mamba_rms_norm", false) });
  const attention = softmax(sizes, rotary, { bias: biasOf(config.flag("attention_bias")) });
  const ffn = dense(config, { bias: config.flag("mlp_bias") });
  config.ignore("mamba_expand", "mamba_use_mlp", "mamba_d_head", "mamba_norm_before_gate", "projectors_bias");
  return decoder(config, {
    layers: listLayers(readLayerCount(config), () => ({
      mixers: [mamba, attention],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
      arrangement: "parallel-mixers",
    })),
    finalNorm: norm,
  });
};

/** models/granitemoehybrid: experts with a shared one, or the shared one alone. */
const readGraniteHybrid: Reader = (config) => {
  const { sizes, rotary } = attentionSizes(config);
  const layers = readLayerCount(config);
  const norm = rmsNorm(config);
  const mamba = readBambaMixer(config);
  const rotates = config.raw("position_embedding_type") === "rope";
  config.ignore("position_embedding_type", "mamba_expand");
  const attention = softmax(sizes, rotates ? rotary : null, { bias: biasOf(config.flag("attention_bias")) });
  const types = listedKinds(config, "layer_types", layers);
  const shared = config.sizeOrZero("shared_intermediate_size");
  const experts = config.optional("num_local_experts", sizeOrZero) ?? 0;
  const ffn: Ffn = experts > 0 ? moe(config, { sharedWidth: shared }) : dense(config, { width: shared });
  config.ignore("num_experts_per_tok", "intermediate_size");
  return decoder(config, {
    layers: listLayers(layers, (layer) => ({
      mixers: [isAttention(types?.[layer] ?? "mamba") ? attention : mamba],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: norm,
  });
};

const nemotronLetters: Readonly<Record<string, (typeof kinds)[number]>> = {
  M: "mamba",
  "*": "attention",
  "-": "mlp",
  E: "moe",
};

/** models/nemotron_h: each layer is one part: Mamba 2, attention, a network or experts. */
const readNemotronH: Reader = (config) => {
  const { sizes } = attentionSizes(config);
  const norm = rmsNorm(config, ["layer_norm_epsilon", "norm_eps", "rms_norm_eps"]);
  const types = nemotronKinds(config);
  const has = (kind: string): boolean => types.some((type) => type === kind);
  const mamba = readNemotronMixer(config);
  const attention = softmax(sizes, null, { bias: biasOf(config.flag("attention_bias")) });
  const plain = has("mlp")
    ? dense(config, { gated: false, bias: config.flag("mlp_bias"), act: "mlp_hidden_act" })
    : null;
  const latent = config.optional("moe_latent_size", size);
  const experts = has("moe")
    ? moe(config, {
        gated: false,
        activation: "relu2",
        sharedWidth: config.sizeOrZero("n_shared_experts") * config.size("moe_shared_expert_intermediate_size"),
        ...(latent === null ? {} : { latentWidth: latent }),
      })
    : null;
  config.ignore("num_hidden_layers", "expand", "hidden_dropout", "intermediate_size", "mtp_hybrid_override_pattern");
  notePrediction(config);
  const partsOf = (type: string): { mixers: readonly Mixer[]; ffns: readonly Ffn[] } => {
    if (isAttention(type)) return { mixers: [attention], ffns: [] };
    if (type === "mlp") return { mixers: [], ffns: plain === null ? [] : [plain] };
    if (type === "moe") return { mixers: [], ffns: experts === null ? [] : [experts] };
    return { mixers: [mamba], ffns: [] };
  };
  return decoder(config, {
    layers: types.map((type) => ({ ...partsOf(type), norm, normPlacement: "pre" })),
    finalNorm: norm,
  });
};

function nemotronKinds(config: ConfigReader): (typeof kinds)[number][] {
  const pattern = config.has("hybrid_override_pattern") ? config.read("hybrid_override_pattern", text) : null;
  const listed = pattern === null ? config.read("layers_block_type", listOf(oneOf(kinds))) : null;
  const types =
    listed ??
    [...(pattern ?? "")].map((letter) => {
      const kind = nemotronLetters[letter];
      if (kind === undefined)
        throw config.bad("hybrid_override_pattern", pattern, "expected the letters M, *, - and E");
      return kind;
    });
  const count = config.optional("num_hidden_layers", layerCount);
  if (types.length === 0 || types.length > 10_000)
    throw config.bad("hybrid_override_pattern", pattern, "expected one letter per layer");
  if (count !== null && config.has("num_hidden_layers") && count !== types.length) {
    throw config.bad("num_hidden_layers", count, `expected ${types.length}, the number of layers in the pattern`);
  }
  return types;
}

/** A block of attention and network whose weights several layers use, on the stream beside the embeddings. */
type SharedBlock = Pick<Layer, "mixers" | "ffns">;

/** models/zamba: one shared block; the layer's own part is a projection and Mamba. */
const readZamba: Reader = (config) => {
  const layers = readLayerCount(config);
  const hidden = config.size("hidden_size");
  const norm = rmsNorm(config);
  const mambaHeads = config.size("n_mamba_heads");
  const mamba = { ...readMamba1(config, false), ...(mambaHeads === 1 ? {} : { heads: mambaHeads }) };
  const block = zambaBlock(config, hidden);
  const period = config.size("attn_layer_period");
  const offset = config.sizeOrZero("attn_layer_offset");
  const types = listedKinds(config, "layers_block_type", layers);
  config.ignore("hidden_mamba_act");
  const hybrid = (layer: number): boolean =>
    types === null ? zambaHybrid(layer, period, offset) : types[layer] === "hybrid";
  return decoder(config, {
    layers: Array.from({ length: layers }, (_, layer) => layer).flatMap((layer): Layer[] => {
      const own: Layer = { mixers: [mamba], ffns: [], norm, normPlacement: "pre" };
      if (!hybrid(layer)) return [own];
      const linears = [{ name: "linear", inWidth: hidden, outWidth: hidden, bias: false }];
      return [
        { ...block, norm, normPlacement: "pre", weightsOf: "memory.0", aside: true },
        { ...own, extras: { linears } },
      ];
    }),
    finalNorm: norm,
  });
};

/** The reference's own order where the file lists none: the third layer, then every period-th behind the offset. */
function zambaHybrid(layer: number, period: number, offset: number): boolean {
  return layer === 2 || (layer > 2 && layer % period === (offset + 3) % period && layer >= period);
}

function zambaBlock(config: ConfigReader, hidden: number): SharedBlock {
  const heads = config.size("num_attention_heads");
  const inputWidth = config.derived("attention_hidden_size", size, "2 · hidden_size", () => 2 * hidden);
  const headDim = config.derived("attention_head_dim", size, "2 · hidden_size / heads", () => inputWidth / heads);
  config.ignore("num_query_groups", "kv_channels");
  const kvHeads = config.derived("num_key_value_heads", size, "num_attention_heads", () => heads);
  const rotary = { dims: headDim, theta: 10_000, interleaved: false };
  const attention = softmax({ heads, kvHeads, headDim }, config.flag("use_mem_rope") ? rotary : null, {
    inputWidth,
    // As if heads were as wide as the stream has room for.
    scale: (headDim / 2) ** -0.5,
  });
  const ffn = dense(config, {
    width: config.size(["intermediate_size", "ffn_hidden_size"]),
    act: ["hidden_act", "hidden_activation"],
  });
  return { mixers: [attention], ffns: [ffn] };
}

/** models/zamba2: several shared blocks in turn, each use with low-rank adapters of its own. */
const readZamba2: Reader = (config) => {
  const layers = readLayerCount(config);
  const hidden = config.size("hidden_size");
  const norm = rmsNorm(config);
  const heads = config.derived(["n_mamba_heads", "mamba_n_heads"], size, "2 · hidden_size / mamba_headdim", () =>
    Math.floor((2 * hidden) / config.size("mamba_headdim")),
  );
  const width =
    config.derived("mamba_expand", size, "expansion_factor", () => config.size("expansion_factor")) * hidden;
  config.ignore(
    "expansion_factor",
    "mamba_headdim",
    "gated_linear_unit",
    "use_mem_eff_path",
    "use_long_context",
    "sliding_window",
  );
  const mamba = readBambaMixer(config, { heads, headDim: width / heads });
  const block = zambaBlock(config, hidden);
  const types = listedKinds(config, "layers_block_type", layers);
  const listed = new Set(config.optional("hybrid_layer_ids", listOf(integer)) ?? defaultHybridIds);
  const blocks = config.size("num_mem_blocks");
  const rank = config.size(["adapter_rank", "lora_rank"]);
  const [ffn] = block.ffns;
  const ffnWidth = ffn?.kind === "dense" ? ffn.width : 0;
  const inputWidth = 2 * hidden;
  const attends = flagOr(config, ["use_shared_attention_adapter", "use_shared_attention_lora"], false);
  const adapter = (name: string, inWidth: number, outWidth: number) => [
    { name: `${name}_down`, inWidth, outWidth: rank, bias: false },
    { name: `${name}_up`, inWidth: rank, outWidth, bias: false },
  ];
  config.ignore("use_shared_block_lora", "use_shared_mlp_adapter", "ft_lora");
  let uses = 0;
  return decoder(config, {
    layers: Array.from({ length: layers }, (_, layer) => layer).flatMap((layer): Layer[] => {
      const own: Layer = { mixers: [mamba], ffns: [], norm, normPlacement: "pre" };
      const hybrid = types === null ? listed.has(layer) : types[layer] === "hybrid";
      if (!hybrid) return [own];
      const shared = `memory.${uses % blocks}`;
      uses += 1;
      const linears = [
        { name: "linear", inWidth: hidden, outWidth: hidden, bias: false },
        ...adapter("ffn_adapter", hidden, 2 * ffnWidth),
        ...(attends
          ? ["query", "key", "value"].flatMap((side) => adapter(`${side}_adapter`, inputWidth, inputWidth))
          : []),
      ];
      return [
        { ...block, norm, normPlacement: "pre", weightsOf: shared, aside: true },
        { ...own, extras: { linears } },
      ];
    }),
    finalNorm: norm,
  });
};

/** Where Zamba 2's class puts its shared blocks by default. */
const defaultHybridIds = [6, 12, 18, 24, 30, 36, 42, 47, 51];

export const hybridReaders: Readonly<Record<string, Reader>> = {
  jamba: readJamba,
  bamba: readBamba,
  falcon_h1: readFalconH1,
  granitemoehybrid: readGraniteHybrid,
  nemotron_h: readNemotronH,
  zamba: readZamba,
  zamba2: readZamba2,
};
