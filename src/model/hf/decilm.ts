import { z } from "zod";
import type { Layer } from "../types.js";
import { type Check, flag } from "./checks.js";
import type { ConfigReader } from "./config-reader.js";
import { readHeads, readRotary } from "./decoder.js";
import { biasOf, decoder, rmsNorm, softmax } from "./parts.js";
import type { Reader } from "./reader.js";

/** One part of a block: left out, replaced by a linear map, or there with its size. */
const choices = { no_op: flag.schema.nullish(), replace_with_linear: flag.schema.nullish() };
const blockSchema = z.looseObject({
  attention: z.looseObject({ ...choices, n_heads_in_group: z.int().min(1).max(65_536).nullish() }),
  ffn: z.looseObject({ ...choices, ffn_mult: z.number().min(0).max(1000).nullish() }),
});
type BlockConfig = z.infer<typeof blockSchema>;

const blockCheck: Check<BlockConfig> = {
  schema: blockSchema,
  expected: "expected attention (n_heads_in_group) and ffn (ffn_mult), each with no_op or replace_with_linear",
};

/**
 * DeciLM as its checkpoints bring it (Nemotron 51B, Super 49B, Ultra 253B): Llama whose blocks differ, found by a search:
 * some have no attention or no network, some a linear map instead, all their own number of heads and width.
 */
export const readDeciLm: Reader = (config) => {
  const hidden = config.size("hidden_size");
  const norm = rmsNorm(config);
  const layerCount = config.size("num_hidden_layers");
  const blocks = config.perLayer("block_configs", blockCheck, layerCount);
  if (blocks === null) throw config.bad("block_configs", undefined, "expected one block for each layer");
  const whole = readHeads(config, hidden);
  const rotary = readRotary(config, whole.headDim);
  const bias = biasOf(config.flag("attention_bias"));
  const mlpBias = config.flag("mlp_bias");
  config.ignore("intermediate_size", "hidden_act", "architectures_type", "block_configs");
  const layers = blocks.map(({ attention, ffn }): Layer => {
    const attends = attention.no_op !== true && attention.replace_with_linear !== true;
    const feeds = ffn.no_op !== true && ffn.replace_with_linear !== true;
    const linears = [
      ...(attention.replace_with_linear === true ? ["attention_linear"] : []),
      ...(ffn.replace_with_linear === true ? ["ffn_linear"] : []),
    ];
    return {
      mixers: attends
        ? [softmax({ ...whole, kvHeads: groupsOf(config, whole.heads, attention.n_heads_in_group) }, rotary, { bias })]
        : [],
      ffns: feeds
        ? [
            {
              kind: "dense",
              width: widthOf(config, ffn.ffn_mult, hidden),
              gated: true,
              activation: "silu",
              bias: mlpBias,
            },
          ]
        : [],
      norm,
      normPlacement: "pre",
      ...(linears.length === 0
        ? {}
        : {
            extras: {
              linears: linears.map((name) => ({ name, inWidth: hidden, outWidth: hidden, bias: false })),
              weights: linears.map((name) => ({ name: `${name}_norm`, shape: [hidden] })),
            },
          }),
    };
  });
  return decoder(config, { layers, finalNorm: norm });
};

function groupsOf(config: ConfigReader, heads: number, perGroup: number | null | undefined): number {
  if (perGroup === null || perGroup === undefined || heads % perGroup !== 0) {
    throw config.bad("block_configs", perGroup, `expected n_heads_in_group to divide num_attention_heads (${heads})`);
  }
  return heads / perGroup;
}

/** Two thirds of ffn_mult · hidden_size, rounded up to whole 256s. */
function widthOf(config: ConfigReader, multiple: number | null | undefined, hidden: number): number {
  const width = Math.ceil(Math.floor((2 * (multiple ?? 0) * hidden) / 3) / 256) * 256;
  if (width >= 1 && width <= 2 ** 24) return width;
  throw config.bad("block_configs", multiple, "expected an ffn_mult that gives a width from 1 to 16777216");
}
