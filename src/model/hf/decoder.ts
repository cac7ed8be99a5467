import type { Dtype } from "../../base/units.js";
import type { Activation, Dtypes, Head, Layer, Rotary, Span } from "../types.js";
import { type Check, flag, layerCount, oneOf, real, size, text, tokenCount } from "./checks.js";
import { purposeOf } from "./architecture.js";
import type { ConfigReader } from "./config-reader.js";
import { isObject } from "./json.js";
import { readScaling } from "./rotary-scaling.js";

/** What the readers of decoder families have in common. Each function asks the config for the keys it names. */

const dtypeNames: Readonly<Record<string, Dtype>> = {
  float64: "float64",
  double: "float64",
  float32: "float32",
  float: "float32",
  float16: "float16",
  half: "float16",
  bfloat16: "bfloat16",
  float8_e4m3fn: "float8",
  float8_e5m2: "float8",
};

const dtypeCheck: Check<string> = {
  schema: text.schema.refine((name) => Object.hasOwn(dtypeNames, plainDtype(name))),
  expected: `expected one of ${Object.keys(dtypeNames).join(", ")}`,
};

function plainDtype(name: string): string {
  return name.replace(/^torch\./, "");
}

/** The type the checkpoint is stored in; keys, values and activations are taken to have it too. */
export function readDtypes(config: ConfigReader): Dtypes {
  const name = config.derived(
    ["torch_dtype", "dtype"],
    dtypeCheck,
    "assumed: the file names no dtype",
    () => "bfloat16",
  );
  const dtype = dtypeNames[plainDtype(name)] ?? "bfloat16";
  return { weights: dtype, kv: dtype, activations: dtype };
}

const activationNames: Readonly<Record<string, Activation>> = {
  silu: "silu",
  swish: "silu",
  gelu: "gelu",
  gelu_new: "gelu-tanh",
  gelu_fast: "gelu-tanh",
  gelu_pytorch_tanh: "gelu-tanh",
  gelu_accurate: "gelu-tanh",
  quick_gelu: "gelu",
  relu: "relu",
  relu2: "relu2",
};

export function readActivation(
  config: ConfigReader,
  key: string | readonly [string, ...string[]] = "hidden_act",
): Activation {
  const name = config.read(key, oneOf(Object.keys(activationNames)));
  return activationNames[name] ?? "silu";
}

/** Heads, key-value heads and head dimension, with the derivations that most families share. */
export function readHeads(
  config: ConfigReader,
  hiddenSize: number,
  rounding: "exact" | "down" = "exact",
): { readonly heads: number; readonly kvHeads: number; readonly headDim: number } {
  const heads = config.size("num_attention_heads");
  const kvHeads = config.derived("num_key_value_heads", size, "num_attention_heads", () => heads);
  const headDim = config.derived("head_dim", size, "hidden_size / num_attention_heads", () => {
    if (rounding === "down") return Math.floor(hiddenSize / heads);
    if (hiddenSize % heads !== 0) {
      throw config.bad(
        "num_attention_heads",
        heads,
        `expected a divisor of hidden_size (${hiddenSize}), or a head_dim`,
      );
    }
    return hiddenSize / heads;
  });
  if (heads % kvHeads !== 0 && !config.has("num_key_value_heads")) {
    const expected = `expected it to be named: the class default (${kvHeads}) does not divide num_attention_heads (${heads})`;
    throw config.bad("num_key_value_heads", undefined, expected);
  }
  if (heads % kvHeads !== 0) {
    throw config.bad("num_key_value_heads", kvHeads, `expected a divisor of num_attention_heads (${heads})`);
  }
  return { heads, kvHeads, headDim };
}

/** Rotary embedding of `headDim` dimensions, or of the share that partial_rotary_factor names. */
export function readRotary(config: ConfigReader, headDim: number): Rotary {
  const parameters = rotaryParameters(config);
  const theta = parameters.has("rope_theta")
    ? parameters.real("rope_theta")
    : config.derived("rope_theta", real, "class default of most families", () => 10_000);
  // Files that have it in both places mean the inner one.
  const inner = parameters.has("partial_rotary_factor");
  if (inner) config.ignore("partial_rotary_factor");
  const share = inner
    ? parameters.real("partial_rotary_factor")
    : (config.optional("partial_rotary_factor", real) ?? 1);
  const dims = Math.max(2, 2 * Math.floor((headDim * share) / 2));
  if (!(share > 0) || dims > headDim) {
    throw config.bad("partial_rotary_factor", share, "expected a share of the head above 0 and at most 1");
  }
  if (!(theta > 0)) throw config.bad("rope_theta", theta, "expected a number above 0");
  const own = config.raw("rope_parameters");
  const scaling = readScaling(config, isObject(own) ? own : null);
  return { dims, theta, interleaved: false, ...(scaling === null ? {} : { scaling }) };
}

/** `rope_parameters`, or those of its full layers where each kind of layer has its own. */
function rotaryParameters(config: ConfigReader): ConfigReader {
  const parameters = config.child("rope_parameters", {});
  parameters.ignoreRest();
  if (!isObject(parameters.raw("full_attention"))) return parameters;
  const own = parameters.child("full_attention", {});
  own.ignoreRest();
  return own;
}

export const full: Span = { kind: "full" };

/** A window of `tokens`, or the whole context where there is none. */
export function windowOrFull(tokens: number | null): Span {
  return tokens === null ? full : { kind: "window", size: tokens };
}

export function readLayerCount(config: ConfigReader): number {
  return config.read(["num_hidden_layers", "num_layers"], layerCount);
}

/** Language-model head, or none where the architecture's name says that it is a bare model. */
export function readHead(config: ConfigReader, softcap: number | null = null): Head {
  const purpose = purposeOf(config);
  const tied = config.derived("tie_word_embeddings", flag, "assumed: neither file nor class says", () => false);
  if (purpose === "classification") config.note("the classification head, a few thousand parameters, is left out");
  return { kind: purpose === "language-model" ? "lm" : "none", tied, bias: false, softcap };
}

export function readContextLength(config: ConfigReader): number | null {
  return config.optional("max_position_embeddings", tokenCount);
}

/** The same layers, equal ones being one object: graphs are built once per object. */
export function shareEqual(layers: readonly Layer[]): Layer[] {
  const known = new Map<string, Layer>();
  return layers.map((layer) => {
    const key = JSON.stringify(layer);
    const shared = known.get(key);
    if (shared !== undefined) return shared;
    known.set(key, layer);
    return layer;
  });
}
