import type { Attention, Layer, Norm, Stack } from "../types.js";
import { flag, layerCount, listOf, oneOf, size, tokenCount } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readDtypes, readHead, readHeads, readLayerCount, readRotary } from "./decoder.js";
import { dense, listLayers, rmsNorm, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/** One of BLT's four Transformers. */
interface Part {
  readonly hidden: number;
  readonly layer: Layer;
  readonly attention: Attention;
  readonly norm: Norm;
  readonly count: number;
}

function readPart(config: ConfigReader): Part {
  const hidden = config.size("hidden_size");
  const heads = readHeads(config, hidden);
  const norm = rmsNorm(config);
  const attention = softmax(heads, readRotary(config, heads.headDim));
  const width = config.derived("intermediate_size", size, "8/3 of hidden_size", () => Math.floor((8 * hidden) / 3));
  const ffn = dense(config, { width });
  config.ignoreRest();
  return {
    hidden,
    norm,
    attention,
    layer: { mixers: [attention], ffns: [ffn], norm, normPlacement: "pre" },
    count: readLayerCount(config),
  };
}

/** Attention from one stack to another over the same text, each query to its own patch; both sides are normed. */
function crossing({ attention, hidden }: Part, positions: number, chunk: number, sourceWidth: number): Attention {
  return {
    ...attention,
    kvHeads: attention.heads,
    keyDim: hidden / attention.heads,
    valueDim: hidden / attention.heads,
    rotary: null,
    causal: false,
    span: { kind: "chunk", size: chunk },
    sourceWidth,
    across: { positions },
  };
}

const keyNorm = (width: number): NonNullable<Layer["extras"]> => ({ weights: [{ name: "key_norm", shape: [width] }] });

/**
 * models/blt (Byte Latent Transformer, arXiv:2412.09871): a small model finds where bytes are hard to foresee and begins a
 * patch there; bytes pass a local encoder, patches of them the global Transformer, and bytes again a local decoder that
 * reads the patches. Each patch is `cross_attn_k` vectors of the local width.
 */
const readBlt: Reader = (config) => {
  const patch = config.size("patch_size");
  const vectors = config.size("cross_attn_k");
  const mode = config.read("patching_mode", oneOf(["entropy", "space", "bpe", "static", "byte"]));
  const patches = config.read("patch_in_forward", flag);
  const encoderConfig = config.child("encoder_config");
  const decoderConfig = config.child("decoder_config");
  const globalConfig = config.child("global_config");
  const patcherConfig = config.child("patcher_config");
  const everyLayer = {
    encoder: encoderConfig.read("cross_attn_all_layers", flag),
    decoder: decoderConfig.read("cross_attn_all_layers", flag),
  };
  const contextLength = encoderConfig.optional("max_position_embeddings", tokenCount);
  const vocabularySize = config.read("vocab_size", tokenCount);
  const joined = globalConfig.optional("encoder_cross_output_size", size);
  const patcherWords = patcherConfig.read("vocab_size", tokenCount);
  const [encoder, decoder, whole, patcher] = [
    readPart(encoderConfig),
    readPart(decoderConfig),
    readPart(globalConfig),
    readPart(patcherConfig),
  ];
  if (decoder.hidden !== encoder.hidden) {
    throw decoderConfig.bad("hidden_size", decoder.hidden, `expected the encoder's, ${encoder.hidden}`);
  }
  if (joined === null && encoder.hidden * vectors !== whole.hidden) {
    const expected = `expected cross_attn_k times the encoder's hidden_size, ${encoder.hidden * vectors}`;
    throw globalConfig.bad("hidden_size", whole.hidden, expected);
  }
  const groups = config.read("encoder_hash_byte_group_size", listOf(size));
  const functions = config.read("encoder_hash_byte_group_nb_functions", layerCount);
  const buckets = config.size("encoder_hash_byte_group_vocab");
  config.ignore("patching_threshold", "patching_batch_size", "max_patch_length");
  config.ignoreRest();
  config.note(
    `lengths are bytes; patches depend on the text (${mode}) and are taken to be ${patch} bytes long, patch_size, on average`,
  );
  config.note(
    "decode is the mean over bytes; it reads the global weights for every byte, as batches do, though one sequence alone needs them once per patch",
  );

  const toPatches = crossing(encoder, patch / vectors, patch, encoder.hidden);
  const fromPatches = crossing(decoder, vectors / patch, vectors, decoder.hidden);
  const encodes = listLayers(encoder.count, () => encoder.layer);
  const asks = listLayers(
    everyLayer.encoder ? encoder.count : 1,
    (): Layer => ({
      mixers: [toPatches],
      ffns: [],
      norm: encoder.norm,
      normPlacement: "pre",
      extras: keyNorm(encoder.hidden),
    }),
  );
  const asking: Layer = {
    ...decoder.layer,
    mixers: [fromPatches, decoder.attention],
    extras: keyNorm(decoder.hidden),
  };
  const stack = (name: string, { hidden }: Part, layers: readonly Layer[], more: Partial<Stack> = {}): Stack => ({
    name,
    kind: "decoder",
    layers,
    finalNorm: null,
    hiddenSize: hidden,
    ...more,
  });
  const bare = (name: string, inWidth: number, outWidth: number) => ({ name, inWidth, outWidth, bias: false });
  const split = vectors * encoder.hidden;
  return {
    hiddenSize: encoder.hidden,
    vocabularySize,
    contextLength,
    embedding: {
      rows: vocabularySize,
      width: encoder.hidden,
      scale: null,
      // Of each group of bytes before and with a byte, one row per hash function.
      tables: groups.flatMap((group) =>
        Array.from({ length: functions }, (_, index) => ({
          name: `hashes_of_${group}_${index}`,
          rows: buckets,
          width: encoder.hidden,
        })),
      ),
    },
    head: { ...readHead(config), tied: false },
    stacks: [
      ...(patches
        ? [
            stack(
              "patcher",
              patcher,
              listLayers(patcher.count, () => patcher.layer),
              {
                finalNorm: patcher.norm,
                extras: {
                  linears: [bare("entropy_head", patcher.hidden, patcherWords)],
                  weights: [{ name: "table", shape: [patcherWords, patcher.hidden] }],
                },
              },
            ),
          ]
        : []),
      stack("local_encoder", encoder, encodes),
      stack("to_patches", encoder, asks, { length: { kind: "pooled", by: patch / vectors } }),
      stack(
        "global",
        whole,
        listLayers(whole.count, () => whole.layer),
        {
          length: { kind: "pooled", by: patch },
          extras: {
            linears: [
              bare("to_patches", encoder.hidden, split),
              ...(joined === null ? [] : [bare("joined", joined, whole.hidden)]),
              bare("from_patches", whole.hidden, vectors * decoder.hidden),
            ],
          },
        },
      ),
      stack(
        "local_decoder",
        decoder,
        listLayers(decoder.count, (index) => (everyLayer.decoder || index === 0 ? asking : decoder.layer)),
        { finalNorm: decoder.norm },
      ),
    ],
    dtypes: readDtypes(config),
  };
};

export const bltReaders: Readonly<Record<string, Reader>> = { blt: readBlt };
