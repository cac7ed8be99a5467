import type { Ffn, Mixer } from "../types.js";
import { real, size } from "./checks.js";
import { readLayerCount } from "./decoder.js";
import { decoder, flagOr, layerNorm, listLayers, rmsNorm } from "./parts.js";
import type { Reader } from "./reader.js";

/** models/xlstm: matrix memory and a gated network. */
const readXlstm: Reader = (config) => {
  const hidden = config.size(["hidden_size", "embedding_dim"]);
  const heads = config.size("num_heads");
  const norm = rmsNorm(config, "norm_eps");
  const whole = config.optional("mlstm_round_up_to_multiple_of", size) ?? 64;
  const share = (factor: string): number => whole * Math.ceil(Math.floor(hidden * config.real(factor)) / whole);
  const keys = share("qk_dim_factor");
  const values = share("v_dim_factor");
  const multiple = config.size("ffn_round_up_to_multiple_of");
  const width = multiple * Math.ceil(Math.floor(hidden * config.real("ffn_proj_factor")) / multiple);
  for (const [name, total] of [
    ["qk_dim_factor", keys],
    ["v_dim_factor", values],
  ] as const) {
    if (total % heads !== 0)
      throw config.bad("num_heads", heads, `expected a divisor of ${name} · hidden_size (${total})`);
  }
  const mixer: Mixer = {
    kind: "mlstm",
    heads,
    keyDim: keys / heads,
    valueDim: values / heads,
    chunk: config.size("chunk_size"),
  };
  const ffn: Ffn = { kind: "dense", width, gated: true, activation: "silu", bias: config.flag("use_bias") };
  config.ignore("embedding_dim", "num_blocks", "head_dim");
  return decoder(config, {
    hiddenSize: hidden,
    contextLength: null,
    layers: listLayers(config.size(["num_hidden_layers", "num_blocks"]), () => ({
      mixers: [mixer],
      ffns: [ffn],
      norm,
      normPlacement: "pre",
    })),
    finalNorm: flagOr(config, "add_out_norm", true) ? norm : null,
    head: { softcap: config.optional("output_logit_soft_cap", real) },
  });
};

/** models/rwkv (RWKV 4): time mixing and channel mixing; one more norm in front. */
const readRwkv4: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const norm = layerNorm(config);
  const width = config.derived("attention_hidden_size", size, "hidden_size", () => hidden);
  const ffnWidth = config.derived("intermediate_size", size, "4 · hidden_size", () => 4 * hidden);
  config.ignore("rescale_every", "context_length");
  return decoder(config, {
    layers: listLayers(readLayerCount(config), (layer) => ({
      mixers: [{ kind: "rwkv4", width }],
      ffns: [{ kind: "rwkv4-ffn", width: ffnWidth }],
      norm,
      normPlacement: "pre",
      ...(layer === 0 ? { extras: { weights: [{ name: "pre_norm", shape: [2, hidden] }] } } : {}),
    })),
    finalNorm: norm,
    contextLength: null,
  });
};

export const recurrentReaders: Readonly<Record<string, Reader>> = {
  xlstm: readXlstm,
  rwkv: readRwkv4,
};
