import type { Mamba1, Mamba2, Norm } from "../types.js";
import { flag, integer, listOf, oneOf, size, sizeOrZero } from "./checks.js";
import type { ConfigReader, Key } from "./config-reader.js";
import { readLayerCount } from "./decoder.js";
import { decoder, flagOr, listLayers, rmsNorm } from "./parts.js";
import type { Reader } from "./reader.js";

/** Mamba 1 as Jamba's and Zamba's configs name its sizes. */
export function readMamba1(config: ConfigReader, innerNorms: boolean): Mamba1 {
  const hidden = config.size("hidden_size");
  return {
    kind: "mamba1",
    width: config.size("mamba_expand") * hidden,
    stateDim: config.size("mamba_d_state"),
    convolution: config.size("mamba_d_conv"),
    timeRank: timeRank(config, "mamba_dt_rank", hidden),
    convolutionBias: flagOr(config, "mamba_conv_bias", true),
    bias: config.flag("mamba_proj_bias"),
    innerNorms,
  };
}

/** `auto` means hidden size / 16, rounded up. */
function timeRank(config: ConfigReader, key: string, hidden: number): number {
  const automatic = Math.ceil(hidden / 16);
  if (config.raw(key) === "auto") return automatic;
  return config.derived(key, size, "hidden_size / 16", () => automatic);
}

/** models/mamba, models/falcon_mamba: `expand` counts only where intermediate_size is not given. */
const readMamba: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const norm = rmsNorm(config);
  const width = config.derived("intermediate_size", size, "expand · hidden_size", () => config.size("expand") * hidden);
  config.ignore("expand", "residual_in_fp32", "mixer_rms_eps", "use_mambapy", "use_associative_scan");
  const mixer: Mamba1 = {
    kind: "mamba1",
    width,
    stateDim: config.size("state_size"),
    convolution: config.size("conv_kernel"),
    timeRank: timeRank(config, "time_step_rank", hidden),
    convolutionBias: flagOr(config, "use_conv_bias", true),
    bias: config.flag("use_bias"),
    innerNorms: false,
  };
  return decoder(config, {
    layers: listLayers(readLayerCount(config), () => ({ mixers: [mixer], ffns: [], norm, normPlacement: "pre" })),
    finalNorm: norm,
    contextLength: null,
  });
};

/** Names under which a config has Mamba 2's sizes. */
interface Mamba2Keys {
  readonly heads: Key;
  readonly headDim: Key;
  readonly stateDim: Key;
  readonly groups: Key;
  readonly convolution: Key;
  readonly chunk: Key;
  readonly convolutionBias: Key;
  readonly bias: Key;
}

/** The names of Bamba's kin. */
const bambaKeys: Mamba2Keys = {
  heads: ["mamba_n_heads", "n_mamba_heads"],
  headDim: ["mamba_d_head", "mamba_headdim"],
  stateDim: ["mamba_d_state", "state_size"],
  groups: ["mamba_n_groups", "mamba_ngroups"],
  convolution: ["mamba_d_conv", "conv_dimension"],
  chunk: ["mamba_chunk_size", "chunk_size"],
  convolutionBias: ["mamba_conv_bias", "use_conv_bias"],
  bias: ["mamba_proj_bias", "add_bias_linear"],
};

/** The names of Mamba 2 itself. */
const plainKeys: Mamba2Keys = {
  heads: ["num_heads", "mamba_num_heads"],
  headDim: ["head_dim", "mamba_head_dim"],
  stateDim: ["state_size", "ssm_state_size"],
  groups: "n_groups",
  convolution: "conv_kernel",
  chunk: "chunk_size",
  convolutionBias: "use_conv_bias",
  bias: ["use_bias", "mamba_proj_bias"],
};

/** The names of Nemotron-H, which has attention's head_dim beside. */
const nemotronKeys: Mamba2Keys = {
  ...plainKeys,
  heads: "mamba_num_heads",
  headDim: "mamba_head_dim",
  stateDim: "ssm_state_size",
};

function mamba2Of(config: ConfigReader, keys: Mamba2Keys, more: Partial<Mamba2>): Mamba2 {
  const heads = more.heads ?? config.size(keys.heads);
  return {
    kind: "mamba2",
    heads,
    headDim: more.headDim ?? headDimOf(config, keys, heads),
    stateDim: config.size(keys.stateDim),
    groups: config.optional(keys.groups, sizeOrZero) ?? 1,
    convolution: config.size(keys.convolution),
    chunk: config.size(keys.chunk),
    convolutionBias: flagOr(config, keys.convolutionBias, true),
    bias: config.optional(keys.bias, flag) ?? false,
    gatedNorm: true,
    ...more,
  };
}

/** `auto`, or nothing, means the expanded hidden size over the heads. */
function headDimOf(config: ConfigReader, keys: Mamba2Keys, heads: number): number {
  const expanded = (): number => (config.size(["mamba_expand", "expand"]) * config.size("hidden_size")) / heads;
  if (keys !== bambaKeys) return config.size(keys.headDim);
  return config.raw("mamba_d_head") === "auto"
    ? expanded()
    : config.derived(keys.headDim, size, "mamba_expand · hidden_size / heads", expanded);
}

export const readBambaMixer = (config: ConfigReader, more: Partial<Mamba2> = {}): Mamba2 =>
  mamba2Of(config, bambaKeys, more);
export const readNemotronMixer = (config: ConfigReader): Mamba2 => mamba2Of(config, nemotronKeys, {});

/** models/mamba2. */
const readMamba2: Reader = (config) => {
  const norm = rmsNorm(config);
  const mixer = mamba2Of(config, plainKeys, {});
  config.ignore("expand", "residual_in_fp32", "time_step_rank", "norm_before_gate", "rms_norm");
  return decoder(config, {
    layers: listLayers(readLayerCount(config), () => ({ mixers: [mixer], ffns: [], norm, normPlacement: "pre" })),
    finalNorm: norm,
    contextLength: null,
  });
};

/**
 * The files of the mamba_ssm package, which name no model_type: Mamba 1 or 2, in some layers attention, with or without
 * gated networks.
 */
const readMambaSsm: Reader = (config) => {
  const hidden = config.size("d_model");
  const ssm = config.child("ssm_cfg", {});
  const from = "default of mamba_ssm";
  const kind = ssm.derived("layer", oneOf(["Mamba1", "Mamba2"]), from, () => "Mamba1");
  const sized = (key: string, otherwise: number): number => ssm.derived(key, size, from, () => otherwise);
  const width = sized("expand", 2) * hidden;
  const stateDim = sized("d_state", kind === "Mamba1" ? 16 : 128);
  const convolution = sized("d_conv", 4);
  const headDim = kind === "Mamba2" ? sized("headdim", 64) : 1;
  const convolutionBias = ssm.peek("conv_bias", flag) ?? true;
  const bias = ssm.peek("bias", flag) ?? false;
  if (kind === "Mamba2" && width % headDim !== 0) {
    throw config.bad("ssm_cfg", headDim, `expected a headdim that divides ${width}`);
  }
  const mixer: Mamba1 | Mamba2 =
    kind === "Mamba1"
      ? {
          kind: "mamba1",
          width,
          stateDim,
          convolution,
          timeRank: timeRank(ssm, "dt_rank", hidden),
          convolutionBias,
          bias,
          innerNorms: false,
        }
      : {
          kind: "mamba2",
          heads: width / headDim,
          headDim,
          stateDim,
          groups: sized("ngroups", 1),
          convolution,
          chunk: sized("chunk_size", 256),
          convolutionBias,
          bias,
          gatedNorm: true,
        };
  ssm.ignoreRest();
  const attending = config.peek("attn_layer_idx", listOf(integer)) ?? [];
  if (attending.length > 0) throw config.bad("attn_layer_idx", attending, "expected none: attention is not read here");
  const inner = config.peek("d_intermediate", sizeOrZero) ?? 0;
  if (inner > 0) throw config.bad("d_intermediate", inner, "expected 0: networks are not read here");
  const multiple = config.derived("pad_vocab_size_multiple", size, from, () => 8);
  const rows = multiple * Math.ceil(config.size("vocab_size") / multiple);
  const norm: Norm = {
    kind: flagOr(config, "rms_norm", true) ? "rms" : "layer",
    bias: !flagOr(config, "rms_norm", true),
    epsilon: 1e-5,
    offset: false,
  };
  const count = config.size("n_layer");
  const tied = config.derived("tie_embeddings", flag, from, () => true);
  config.child("attn_cfg", {}).ignoreRest();
  config.ignore("attn_cfg", "ssm_cfg");
  return decoder(config.with({ vocab_size: rows, tie_word_embeddings: tied }), {
    hiddenSize: hidden,
    layers: listLayers(count, () => ({ mixers: [mixer], ffns: [], norm, normPlacement: "pre" })),
    finalNorm: norm,
    contextLength: null,
  });
};

export const mambaReaders: Readonly<Record<string, Reader>> = {
  mamba: readMamba,
  falcon_mamba: readMamba,
  mamba2: readMamba2,
  mamba_ssm: readMambaSsm,
};
