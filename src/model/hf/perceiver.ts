import type { ExtraLinear, ExtraProduct, ExtraWeight, Extras, Norm } from "../types.js";
import { layerCount, tokenCount } from "./checks.js";
import { purposeOf } from "./architecture.js";
import type { ConfigReader } from "./config-reader.js";
import { readActivation, readDtypes } from "./decoder.js";
import { allBias, layerNorm, listLayers, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

interface Widths {
  /** Of what each token is. */
  readonly model: number;
  /** Of a latent, and how many there are. */
  readonly latent: number;
  readonly latents: number;
  /** Of the decoder's queries, all heads together. */
  readonly asked: number;
}

/**
 * Cross-attention from the latents to the tokens, and from the tokens' positions back to the latents. What belongs to
 * the latents is done once per sequence; every token is compared with every latent.
 */
function crossing({ model, latent, latents, asked }: Widths, factor: number): Extras {
  const once = (name: string, inner: number, columns: number): ExtraProduct => ({
    name,
    rows: latents,
    inner,
    columns,
    perSequence: true,
  });
  const pairs = (name: string, inner: number): ExtraProduct => ({ name, rows: latents, inner, columns: 1 });
  const perToken = (name: string, inWidth: number, outWidth: number): ExtraLinear => ({
    name,
    inWidth,
    outWidth,
    bias: true,
  });
  const stored = (name: string, inWidth: number, outWidth: number): ExtraWeight[] => [
    { name: `${name}.weight`, shape: [outWidth, inWidth] },
    { name: `${name}.bias`, shape: [outWidth] },
  ];
  const norms = (name: string, widths: readonly number[]): ExtraWeight[] =>
    widths.map((width, index) => ({ name: `${name}${index}`, shape: [2, width] }));
  const ofLatents: readonly (readonly [string, number, number])[] = [
    ["read.query", latent, model],
    ["read.output", model, latent],
    ["read.up", latent, factor * latent],
    ["read.down", factor * latent, latent],
    ["answer.key", latent, asked],
    ["answer.value", latent, model],
  ];
  return {
    linears: [
      perToken("read.key", model, model),
      perToken("read.value", model, model),
      perToken("answer.query", model, asked),
      perToken("answer.output", model, model),
      perToken("answer.up", model, factor * model),
      perToken("answer.down", factor * model, model),
    ],
    products: [
      ...ofLatents.map(([name, inner, columns]) => once(`${name}_product`, inner, columns)),
      pairs("read.scores", model),
      pairs("read.mix", model),
      pairs("answer.scores", asked),
      pairs("answer.mix", model),
    ],
    weights: [
      { name: "latents", shape: [latents, latent] },
      ...ofLatents.flatMap(([name, inner, columns]) => stored(name, inner, columns)),
      ...norms("read.norm", [latent, model, latent]),
      ...norms("answer.norm", [model, latent, model]),
    ],
  };
}

/** Channels of the masked language model's queries, fixed in the class: 8 heads of 32. */
const askedChannels = 8 * 32;

function widthsOf(config: ConfigReader): Widths {
  return {
    model: config.size("d_model"),
    latent: config.size("d_latents"),
    latents: config.size("num_latents"),
    asked: askedChannels,
  };
}

/** models/perceiver (Perceiver IO, arXiv:2107.14795): a fixed number of latents reads the tokens, works, and answers. */
const readPerceiver: Reader = (config) => {
  const widths = widthsOf(config);
  const heads = config.size("num_self_attention_heads");
  if (widths.latent % heads !== 0) {
    throw config.bad("num_self_attention_heads", heads, `expected a divisor of d_latents (${widths.latent})`);
  }
  const norm: Norm = layerNorm(config);
  const blocks = config.size("num_blocks");
  const each = config.read("num_self_attends_per_block", layerCount);
  const positions = config.read("max_position_embeddings", tokenCount);
  const vocabularySize = config.read("vocab_size", tokenCount);
  const factor = config.size("self_attention_widening_factor");
  const attention = softmax({ heads, kvHeads: heads, headDim: widths.latent / heads }, null, {
    causal: false,
    bias: allBias,
  });
  const activation = readActivation(config);
  const layer = {
    mixers: [attention],
    ffns: [{ kind: "dense", width: factor * widths.latent, gated: false, activation, bias: true }],
    norm,
    normPlacement: "pre",
  } as const;
  const crossed = crossing(widths, config.size("cross_attention_widening_factor"));
  const lm = purposeOf(config) !== "bare";
  if (!lm) config.note("priced as the masked language model: the bare class reads what its preprocessor gives it");
  config.ignoreRest();
  return {
    hiddenSize: widths.model,
    vocabularySize,
    contextLength: positions,
    embedding: {
      rows: vocabularySize,
      width: widths.model,
      scale: null,
      tables: [{ name: "positions", rows: positions, width: widths.model }],
    },
    head: { kind: "lm", tied: true, bias: true, softcap: null },
    extras: {
      ...crossed,
      weights: [...(crossed.weights ?? []), { name: "answer.positions", shape: [positions, widths.model] }],
    },
    stacks: [
      {
        kind: "encoder",
        name: "latents",
        hiddenSize: widths.latent,
        length: { kind: "constant", tokens: widths.latents },
        // Every block is the same layers once more.
        layers: listLayers(blocks * each, (index) =>
          blocks === 1 ? layer : { ...layer, weightsOf: `self.${index % each}` },
        ),
        finalNorm: null,
      },
    ],
    dtypes: readDtypes(config),
  };
};

export const perceiverReaders: Readonly<Record<string, Reader>> = { perceiver: readPerceiver };
