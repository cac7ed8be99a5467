import { size } from "./checks.js";
import { full, readLayerCount } from "./decoder.js";
import { attentionBias, readDense } from "./dense.js";
import { readMoe } from "./moe.js";
import { dense, moe, spans } from "./parts.js";
import type { Reader } from "./reader.js";

/** Decoders that share nearly everything with Llama or with Granite's experts. */

/**
 * models/diffllama (differential attention, arXiv:2410.05258): the difference of two softmaxes over each half of the
 * values. The class attends once for each half, so every query meets every key twice.
 */
const readDiffLlama: Reader = (config) => {
  const heads = config.size("num_attention_heads");
  const headDim = config.derived("head_dim", size, "hidden_size / num_attention_heads", () =>
    Math.floor(config.size("hidden_size") / heads),
  );
  config.ignore("lambda_std_dev");
  return readDense(config, {
    bias: attentionBias(config),
    attention: { passes: 2 },
    layer: { extras: { weights: [{ name: "lambdas", shape: [4, headDim] }] } },
  });
};

/** models/doge (arXiv:2412.11834): values decide which keys are kept once there are more than a window of them. */
const readDoge: Reader = (config) => {
  if (config.flag("is_moe"))
    throw config.bad("is_moe", true, "only false is understood: its experts are single vectors");
  const hidden = config.size("hidden_size");
  const kvHeads = config.size("num_key_value_heads");
  const headDim = config.derived("head_dim", size, "hidden_size / num_attention_heads", () =>
    Math.floor(hidden / config.size("num_attention_heads")),
  );
  const window = config.tokens("sliding_window");
  const kept = config.tokens("keep_window_size");
  config.ignore("num_experts", "num_experts_per_tok", "router_aux_loss_coef");
  return readDense(config, {
    bias: attentionBias(config),
    ffn: dense(config, { bias: config.flag("mlp_bias") }),
    attention: {
      queryKeyNorm: "per-head",
      span: window !== null ? { kind: "window", size: window } : kept === null ? full : { kind: "chosen", size: kept },
    },
    layer: {
      extras: {
        linears: [{ name: "kept", inWidth: kvHeads * headDim, outWidth: kvHeads, bias: config.flag("attention_bias") }],
        weights: [
          { name: "kept_scale", shape: [kvHeads] },
          { name: "residual_scales", shape: [2, hidden] },
        ],
      },
    },
  });
};

/** models/granitemoe_swa: Granite's experts with layers that slide. */
const readGraniteMoeSwa: Reader = (config) => {
  const spanOf = spans(config, readLayerCount(config), (layer) =>
    layer % 4 === 0 ? "full_attention" : "sliding_attention",
  );
  const bias = attentionBias(config);
  const experts = moe(config, {
    width: config.size("intermediate_size"),
    sharedWidth: config.sizeOrZero("shared_intermediate_size"),
  });
  return readMoe(config, {
    ffn: () => [experts],
    attention: (layer) => ({ bias, sinks: true, span: spanOf[layer] ?? full }),
  });
};

/** The text of models/aria: Llama's attention, experts of intermediate_size, shared ones beside them. */
const readAriaText: Reader = (config) => {
  const width = config.size("intermediate_size");
  const experts = moe(config, { width, sharedWidth: config.sizeOrZero("moe_num_shared_experts") * width });
  const bias = attentionBias(config);
  return readMoe(config, { ffn: () => [experts], attention: () => ({ bias }) });
};

export const textKinReaders: Readonly<Record<string, Reader>> = {
  diffllama: readDiffLlama,
  doge: readDoge,
  granitemoe_swa: readGraniteMoeSwa,
  aria_text: readAriaText,
};
