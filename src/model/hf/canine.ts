import type { Embedding, Head, Layer, Norm, Stack } from "../types.js";
import { layerCount, sizeOrZero, tokenCount } from "./checks.js";
import { purposeOf } from "./architecture.js";
import { readDtypes } from "./decoder.js";
import { allBias, dense, layerNorm, listLayers, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/** Unicode's code points are what it reads: it has no vocabulary. */
const codePoints = 0x11_00_00;

/**
 * models/canine (arXiv:2103.06874): characters pass one layer of local attention, are gathered into molecules of a few
 * characters, which pass the encoder; beside the characters again they pass one last layer of full attention.
 */
const readCanine: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const heads = config.size("num_attention_heads");
  if (hidden % heads !== 0) throw config.bad("num_attention_heads", heads, `expected a divisor of ${hidden}`);
  const rate = config.size("downsampling_rate");
  const kernel = config.size("upsampling_kernel_size");
  const buckets = config.size("num_hash_buckets");
  const norm: Norm = layerNorm(config);
  const attention = softmax({ heads, kvHeads: heads, headDim: hidden / heads }, null, {
    causal: false,
    bias: allBias,
  });
  const ffn = dense(config, { gated: false, bias: true });
  const layer = (more: Partial<typeof attention> = {}): Layer => ({
    mixers: [{ ...attention, ...more }],
    ffns: [ffn],
    norm,
    normPlacement: "post-residual",
  });
  const purpose = purposeOf(config);
  if (purpose === "classification") config.note("the classification head, a few thousand parameters, is left out");
  config.ignore("num_hash_functions");
  // Hash functions look up a share of the width each, as many as make up the whole of it.
  const embedding: Embedding = {
    rows: buckets,
    width: hidden,
    scale: null,
    tables: [
      { name: "positions", rows: config.read("max_position_embeddings", tokenCount), width: hidden },
      { name: "types", rows: config.optional("type_vocab_size", sizeOrZero) ?? 0, width: hidden },
    ],
    norm,
  };
  const head: Head = { kind: "pooler", tied: false, bias: true, softcap: null, rows: hidden };
  const merging = (name: string, inWidth: number) => ({
    linears: [{ name, inWidth, outWidth: hidden, bias: true }],
    weights: [{ name: `${name}_norm`, shape: [2, hidden] }],
  });
  const stack = (name: string, more: Pick<Stack, "layers"> & Partial<Stack>): Stack => ({
    name,
    kind: "encoder",
    finalNorm: null,
    length: { kind: "new" },
    ...more,
  });
  const first = layer({ span: { kind: "chunk", size: config.size("local_transformer_stride") } });
  const plain = layer();
  return {
    hiddenSize: hidden,
    vocabularySize: codePoints,
    contextLength: config.optional("max_position_embeddings", tokenCount),
    embedding,
    head,
    stacks: [
      stack("characters", { layers: [first] }),
      stack("molecules", {
        layers: listLayers(config.read("num_hidden_layers", layerCount), () => plain),
        length: { kind: "pooled", by: rate },
        extras: merging("to_molecules", rate * hidden),
      }),
      stack("characters_again", { layers: [plain], extras: merging("to_characters", kernel * 2 * hidden) }),
    ],
    dtypes: readDtypes(config),
  };
};

export const canineReaders: Readonly<Record<string, Reader>> = { canine: readCanine };
