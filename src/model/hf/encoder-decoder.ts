import type { Attention, Embedding, ExtraLinear, ExtraWeight, Layer, Mixer, Stack } from "../types.js";
import { flag, layerCount, size, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readActivation, shareEqual } from "./decoder.js";
import { classDefaults } from "./defaults/all.js";
import { encoderLength, shared } from "./halves.js";
import { isKnownHarmless } from "./harmless-keys.js";
import { type JsonValue, isObject } from "./json.js";
import { allBias, flagOr, listLayers, softmax } from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

/** Encoders and decoders of any families side by side: Donut, TrOCR, Nougat, BERT to BERT, wav2vec to text. */

/** Classes that a half is made of, where its name decides what it has. */
const encoderClasses: Readonly<Record<string, string>> = { deit: "DeiTModel" };

/** Decoders whose layers can look across: how they name what their class does then. */
const crossing: Readonly<Record<string, string>> = {
  trocr: "TrOCRForCausalLM",
  mbart: "MBartForCausalLM",
  bart: "BartForCausalLM",
  gpt2: "GPT2LMHeadModel",
  bert: "BertLMHeadModel",
  "bert-generation": "BertGenerationDecoder",
  roberta: "RobertaForCausalLM",
  "xlm-roberta": "XLMRobertaForCausalLM",
  camembert: "CamembertForCausalLM",
  electra: "ElectraForCausalLM",
};

/** models/encoder_decoder, vision_encoder_decoder, speech_encoder_decoder. */
export function readHalves(config: ConfigReader, readerOf: (type: string) => Reader | undefined): ReaderResult {
  if (config.peek("tie_encoder_decoder", flag) === true) {
    throw config.bad("tie_encoder_decoder", true, "expected false: halves that share their weights are not read");
  }
  const encoder = half(config, "encoder", readerOf);
  const decoder = half(config, "decoder", readerOf);
  config.ignore("is_encoder_decoder", "processor_class", "tie_word_embeddings", "add_cross_attention");
  const main = decoder.result.stacks.at(-1);
  const seeing = encoder.result.stacks.at(-1);
  if (main === undefined || seeing === undefined) throw config.bad("decoder", decoder.type, "expected layers");
  const encoderWidth = seeing.hiddenSize ?? encoder.result.hiddenSize;
  const width = decoder.result.hiddenSize;
  const own = decoder.keys.peek("cross_attention_hidden_size", size);
  const projected = own === null && encoderWidth !== width;
  const sourceWidth = own ?? width;
  const projection: ExtraLinear[] = projected
    ? [{ name: "to_decoder", inWidth: encoderWidth, outWidth: width, bias: true }]
    : [];
  return {
    ...decoder.result,
    stacks: [
      ...encoder.result.stacks.slice(0, -1),
      behind(seeing, encoder.result, projection),
      { ...main, kind: "decoder", length: { kind: "new" }, layers: shareEqual(main.layers.map(across(sourceWidth))) },
    ],
  };
}

/** Keys that say what stands here anyway. */
const quiet = new Set([
  "architectures",
  "model_type",
  "is_decoder",
  "add_cross_attention",
  "cross_attention_hidden_size",
]);

function isOn(item: JsonValue | undefined): boolean {
  return (
    item !== undefined && item !== null && item !== false && item !== "" && !(Array.isArray(item) && item.length === 0)
  );
}

interface Half {
  readonly type: string;
  readonly keys: ConfigReader;
  readonly result: ReaderResult;
}

function half(config: ConfigReader, side: "encoder" | "decoder", readerOf: (type: string) => Reader | undefined): Half {
  const value = config.raw(side);
  const type = isObject(value) ? value["model_type"] : undefined;
  if (typeof type !== "string") throw config.bad(`${side}.model_type`, type, "expected the family of this half");
  const reader = readerOf(type);
  const named = side === "decoder" ? crossing[type] : (encoderClasses[type] ?? `${type}Model`);
  if (reader === undefined || named === undefined) {
    const expected = side === "decoder" ? Object.keys(crossing).join(", ") : "an encoder that is understood";
    throw config.bad(`${side}.model_type`, type, `expected ${expected}`);
  }
  const known = classDefaults[type] ?? {};
  const child = config.child(side, known, type);
  const keys = child.with({ architectures: [named] });
  child.ignoreRest();
  const strange = Object.entries(isObject(value) ? value : {})
    .filter(([key, item]) => !Object.hasOwn(known, key) && !isKnownHarmless(key) && !quiet.has(key) && isOn(item))
    .map(([key]) => key);
  if (strange.length > 0) config.note(`keys of ${side} that its class has no default for: ${strange.join(", ")}`);
  return { type, keys, result: reader(keys) };
}

/** The last stack of an encoder: what stands in front of its layers, and behind them, are weights of its own. */
function behind(stack: Stack, result: ReaderResult, projection: readonly ExtraLinear[]): Stack {
  const pooled = result.head.kind === "pooler" ? (result.head.pooler ?? result.head.rows ?? result.hiddenSize) : 0;
  const weights: ExtraWeight[] = [
    ...tablesOf(result.embedding, result.hiddenSize),
    ...(pooled === 0 ? [] : [{ name: "unused_pooler", shape: [result.hiddenSize + 1, pooled] }]),
  ];
  const extras = stack.extras ?? {};
  return {
    ...stack,
    length: stack.length?.kind === "new" || stack.length === undefined ? encoderLength : stack.length,
    hiddenSize: stack.hiddenSize ?? result.hiddenSize,
    extras: {
      ...extras,
      linears: [...(extras.linears ?? []), ...projection],
      weights: [...(extras.weights ?? []), ...weights],
    },
  };
}

function tablesOf({ rows, width, tables = [], norm, projection }: Embedding, hidden: number): ExtraWeight[] {
  if (rows === 0) return [];
  return [
    { name: "embedding", shape: [rows, width] },
    ...tables.map((table) => ({ name: `embedding_${table.name}`, shape: [table.rows, table.width] })),
    ...(norm === undefined ? [] : [{ name: "embedding_norm", shape: [norm.bias ? 2 : 1, width] }]),
    ...(projection === undefined ? [] : [{ name: "embedding_projection", shape: [width + 1, hidden] }]),
  ];
}

/** A decoder's layer that looks back at itself and across to the encoder. */
function across(sourceWidth: number): (layer: Layer) => Layer {
  const known = new Map<Layer, Layer>();
  return (layer) => {
    const made = known.get(layer) ?? crossed(layer, sourceWidth);
    known.set(layer, made);
    return made;
  };
}

function crossed(layer: Layer, sourceWidth: number): Layer {
  const [mixer] = layer.mixers;
  if (mixer?.kind !== "attention") return layer;
  const self: Mixer = { ...mixer, causal: true };
  const over: Attention = { ...mixer, source: "encoder", causal: false, rotary: null, sourceWidth };
  const { extras, ...rest } = layer;
  const weights = (extras?.weights ?? []).filter(({ name }) => !name.startsWith("unused_cross"));
  return {
    ...rest,
    mixers: [self, over],
    ...(weights.length === 0 && extras?.linears === undefined ? {} : { extras: { ...extras, weights } }),
  };
}

/** models/trocr (arXiv:2109.10282): BART's decoder alone; its class has attention across even where nobody is there. */
const readTrOcr: Reader = (config) => {
  const hidden = config.size(["d_model", "hidden_size"]);
  const heads = config.size(["decoder_attention_heads", "num_attention_heads"]);
  if (hidden % heads !== 0) throw config.bad("decoder_attention_heads", heads, `expected a divisor of ${hidden}`);
  const norm = { kind: "layer", bias: true, epsilon: 1e-5, offset: false } as const;
  const sourceWidth = config.peek("cross_attention_hidden_size", size) ?? hidden;
  const learned = flagOr(config, "use_learned_position_embeddings", true);
  const rows = config.read("max_position_embeddings", tokenCount) + 2;
  const attention = softmax({ heads, kvHeads: heads, headDim: hidden / heads }, null, { bias: allBias });
  const layer: Layer = {
    mixers: [attention],
    ffns: [
      {
        kind: "dense",
        width: config.size("decoder_ffn_dim"),
        gated: false,
        activation: readActivation(config, "activation_function"),
        bias: true,
      },
    ],
    norm,
    normPlacement: "post-residual",
    extras: {
      weights: [
        { name: "unused_cross_attention", shape: [2 * hidden + 2 * sourceWidth + 4, hidden] },
        { name: "unused_cross_norm", shape: [2, hidden] },
      ],
    },
  };
  config.ignore("scale_embedding", "is_decoder", "add_cross_attention", "tie_word_embeddings");
  return {
    ...shared(config, hidden),
    contextLength: rows - 2,
    head: { kind: "lm", tied: true, bias: false, softcap: null },
    stacks: [
      {
        kind: "decoder",
        layers: listLayers(config.read(["decoder_layers", "num_hidden_layers"], layerCount), () => layer),
        finalNorm: null,
        extras: {
          weights: [
            ...(learned ? [{ name: "positions", shape: [rows, hidden] }] : []),
            ...(flagOr(config, "layernorm_embedding", true) ? [{ name: "embedding_norm", shape: [2, hidden] }] : []),
          ],
        },
      },
    ],
  };
};

export const trOcrReaders: Readonly<Record<string, Reader>> = { trocr: readTrOcr };
