import type { Layer } from "../types.js";
import type { ConfigReader } from "./config-reader.js";
import { readLayerCount } from "./decoder.js";
import { notePrediction } from "./prediction.js";
import {
  attentionSizes,
  decoder,
  dense,
  firstDense,
  inputBias,
  listLayers,
  moe,
  noBias,
  rmsNorm,
  sharedWidth,
  softmax,
} from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

/** Ling 2 (bailing_moe_v2): dense first layers, experts with shared ones and a balancing bias, norms per head. */
export function readLing2(config: ConfigReader): ReaderResult {
  const { sizes, rotary } = attentionSizes(config);
  const norm = rmsNorm(config);
  const first = firstDense(config);
  const experts = moe(config, { sharedWidth: sharedWidth(config) });
  const plain = first > 0 ? dense(config) : null;
  const attention = softmax(sizes, rotary, {
    bias: config.flag("use_qkv_bias") ? inputBias : noBias,
    queryKeyNorm: config.flag("use_qk_norm") ? "per-head" : "none",
  });
  const biased = config.flag("moe_router_enable_expert_bias");
  const balance = biased ? { extras: { weights: [{ name: "expert_bias", shape: [experts.experts] }] } } : {};
  config.ignore("intermediate_size", "use_bias", "use_rmsnorm", "score_function", "router_dtype", "norm_head");
  config.ignore("moe_shared_expert_intermediate_size", "rotary_dim", "norm_softmax", "max_window_layers");
  notePrediction(config);
  return decoder(config, {
    layers: listLayers(readLayerCount(config), (index): Layer => {
      const common = { mixers: [attention], norm, normPlacement: "pre" } as const;
      if (plain !== null && index < first) return { ...common, ffns: [plain] };
      return { ...common, ffns: [experts], ...balance };
    }),
    finalNorm: norm,
  });
}

export const bailingReaders: Readonly<Record<string, Reader>> = { bailing_moe_v2: readLing2 };
