import type { ExtraLinear, Norm } from "../types.js";
import { className } from "./architecture.js";
import { layerCount, real, size, tokenCount } from "./checks.js";
import { readDtypes, shareEqual } from "./decoder.js";
import { allBias, listLayers, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

const from = "class default of clip_text_model";

/** The text of CLIP (models/clip): causal attention over 77 positions, nothing kept, one vector at the end. */
const readClipText: Reader = (config) => {
  const hidden = config.derived("hidden_size", size, from, () => 512);
  const heads = config.derived("num_attention_heads", size, from, () => 8);
  if (hidden % heads !== 0) throw config.bad("num_attention_heads", heads, `expected a divisor of ${hidden}`);
  const vocabulary = config.derived("vocab_size", tokenCount, from, () => 49_408);
  const positions = config.derived("max_position_embeddings", tokenCount, from, () => 77);
  const width = config.derived("intermediate_size", size, from, () => 2048);
  const epsilon = config.derived("layer_norm_eps", real, from, () => 1e-5);
  const norm: Norm = { kind: "layer", bias: true, epsilon, offset: false };
  // Two towers beside each other end in one space.
  const out = config.optional("projection_dim", size) ?? 512;
  const shared = className(config) === "CLIPTextModel" ? null : { name: "project", inWidth: hidden, outWidth: out };
  const linears: ExtraLinear[] = shared === null ? [] : [{ ...shared, bias: false }];
  config.ignore("hidden_act", "attention_dropout", "dropout");
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
        layers: shareEqual(
          listLayers(
            config.derived("num_hidden_layers", layerCount, from, () => 12),
            () => ({
              mixers: [
                softmax({ heads, kvHeads: heads, headDim: hidden / heads }, null, { causal: true, bias: allBias }),
              ],
              ffns: [{ kind: "dense", width, gated: false, activation: "gelu", bias: true }],
              norm,
              normPlacement: "pre",
            }),
          ),
        ),
        finalNorm: norm,
        extras: { linears, weights: shared === null ? [] : [{ name: "logit_scale", shape: [1] }] },
      },
    ],
    dtypes: readDtypes(config),
  };
};

export const clipReaders: Readonly<Record<string, Reader>> = { clip_text_model: readClipText };
