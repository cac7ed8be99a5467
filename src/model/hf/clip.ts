import type { ExtraLinear, Norm } from "../types.js";
import { className } from "./architecture.js";
import { layerCount, real, size, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readDtypes } from "./decoder.js";
import { plainLayers } from "./parts.js";
import type { Reader, ReaderResult } from "./reader.js";

/** Text towers that end in one space with a tower for images: n tokens, nothing kept, one vector at the end. */
interface TextTower {
  readonly type: string;
  /** Class that holds the text tower alone. */
  readonly alone: string;
  readonly defaults: Readonly<
    Record<"hidden" | "heads" | "layers" | "width" | "vocabulary" | "positions", number> & { epsilon: number }
  >;
  readonly causal: boolean;
  /** The projection at the end: its width, its bias, and whether the tower alone has it too. */
  readonly out: (config: ConfigReader, hidden: number) => number;
  readonly outBias: boolean;
  readonly alwaysOut: boolean;
  /** Numbers beside both towers. */
  readonly scalars: readonly string[];
}

function readTextTower(config: ConfigReader, tower: TextTower): ReaderResult {
  const { defaults } = tower;
  const from = `class default of ${tower.type}`;
  const hidden = config.derived("hidden_size", size, from, () => defaults.hidden);
  const heads = config.derived("num_attention_heads", size, from, () => defaults.heads);
  if (hidden % heads !== 0) throw config.bad("num_attention_heads", heads, `expected a divisor of ${hidden}`);
  const vocabulary = config.derived("vocab_size", tokenCount, from, () => defaults.vocabulary);
  const positions = config.derived("max_position_embeddings", tokenCount, from, () => defaults.positions);
  const width = config.derived("intermediate_size", size, from, () => defaults.width);
  const epsilon = config.derived("layer_norm_eps", real, from, () => defaults.epsilon);
  const count = config.derived("num_hidden_layers", layerCount, from, () => defaults.layers);
  const norm: Norm = { kind: "layer", bias: true, epsilon, offset: false };
  const alone = className(config) === tower.alone;
  const outWidth = tower.out(config, hidden);
  const linears: ExtraLinear[] =
    alone && !tower.alwaysOut ? [] : [{ name: "project", inWidth: hidden, outWidth, bias: tower.outBias }];
  config.ignore("hidden_act", "attention_dropout", "dropout", "projection_dim", "projection_size");
  return {
    hiddenSize: hidden,
    vocabularySize: vocabulary,
    contextLength: positions,
    embedding: {
      rows: vocabulary,
      width: hidden,
      scale: null,
      tables: [{ name: "positions", rows: positions, width: hidden }],
    },
    head: { kind: "none", tied: true, bias: false, softcap: null },
    stacks: [
      {
        kind: "encoder",
        length: { kind: "new" },
        layers: plainLayers(count, { hidden, heads, width, norm, causal: tower.causal }),
        finalNorm: norm,
        extras: { linears, weights: alone ? [] : tower.scalars.map((name) => ({ name, shape: [1] })) },
      },
    ],
    dtypes: readDtypes(config),
  };
}

/** models/clip: causal attention over 77 positions. */
const readClipText: Reader = (config) =>
  readTextTower(config, {
    type: "clip_text_model",
    alone: "CLIPTextModel",
    defaults: { hidden: 512, heads: 8, layers: 12, width: 2048, vocabulary: 49_408, positions: 77, epsilon: 1e-5 },
    causal: true,
    out: (own) => own.optional("projection_dim", size) ?? 512,
    outBias: false,
    alwaysOut: false,
    scalars: ["logit_scale"],
  });

/** models/siglip, models/siglip2: every position sees every other. */
const readSiglipText: Reader = (config) =>
  readTextTower(config, {
    type: config.family,
    alone: config.family === "siglip2_text_model" ? "Siglip2TextModel" : "SiglipTextModel",
    defaults: { hidden: 768, heads: 12, layers: 12, width: 3072, vocabulary: 32_000, positions: 64, epsilon: 1e-6 },
    causal: false,
    out: (own, hidden) => own.optional("projection_size", size) ?? hidden,
    outBias: true,
    alwaysOut: true,
    scalars: ["logit_scale", "logit_bias"],
  });

export const clipReaders: Readonly<Record<string, Reader>> = {
  clip_text_model: readClipText,
  siglip_text_model: readSiglipText,
  siglip2_text_model: readSiglipText,
};
