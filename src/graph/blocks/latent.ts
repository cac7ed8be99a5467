import { Expression, b } from "../../math/expression.js";
import type { LatentAttention } from "../../model/types.js";
import type { ModuleBuilder } from "../module.js";
import type { AttentionShape } from "../types.js";
import { addGate } from "./attention.js";
import { addIndexer } from "./indexer.js";
import { addScoresAndMix } from "./naive.js";

/**
 * Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434). What is kept per token is one latent of kvRank + ropeDim
 * numbers for all heads. Prefill expands it into keys and values of every head; decode folds the expansion into the
 * queries and the output ("absorbed"), so that it attends in the latent space. The reference expands the whole cache
 * at every step.
 *
 * @returns name of the output value
 */
export function addLatentAttention(module: ModuleBuilder, input: string, mixer: LatentAttention): string {
  const { heads, kvRank, nopeDim, ropeDim, valueDim, queryRank } = mixer;
  const { hidden, dtypes, tokens, earlier, norm, options } = module.around;
  const rms = { ...norm, kind: "rms", bias: false, plain: false } as const;
  const queryDim = nopeDim + ropeDim;
  let latentQuery = input;
  if (queryRank !== null) {
    const down = module.linear("query_down", input, hidden, queryRank, { bias: mixer.bias });
    latentQuery = module.normalise("query_norm", down, rms, queryRank);
  }
  const queryWidth = mixer.queryWidth ?? queryRank ?? hidden;
  let query = module.linear("query", latentQuery, queryWidth, heads * queryDim);
  if (mixer.sinks === true) query = module.weighted("sinks", query, { sinks: [heads] });
  const latent = module.linear("latent", input, hidden, kvRank + ropeDim, { bias: mixer.bias });
  const normed = module.normalise("latent_norm", latent, rms, kvRank);
  if (mixer.indexer !== undefined) addIndexer(module, input, latentQuery, mixer.indexer);

  const all = tokens.plus(earlier);
  const chosen = mixer.indexer?.chosen ?? mixer.sharedIndexer?.chosen;
  const span = chosen === undefined ? ({ kind: "full" } as const) : ({ kind: "chosen", size: chosen } as const);
  const cache = module.block.cache(module.name("cache"), {
    // The latent, which is key and value, and the key's rotated part beside it.
    key: { shape: [b, Expression.one, all, Expression.constant(kvRank)], dtype: dtypes.kv },
    value: { shape: [b, Expression.one, all, Expression.constant(ropeDim)], dtype: dtypes.kv },
  });
  const absorbed = module.decode && !module.reference;
  const expanded = module.linear("expand", normed, kvRank, heads * (nopeDim + valueDim), {
    tokens: absorbed ? tokens : all,
  });
  const shape: AttentionShape = {
    heads,
    kvHeads: absorbed ? 1 : heads,
    keyDim: absorbed ? kvRank + ropeDim : queryDim,
    valueDim: absorbed ? kvRank : valueDim,
    span,
    causal: true,
    scale: mixer.scale,
    softcap: null,
    ...(absorbed ? { valueInKey: true } : {}),
  };
  const scoresShape = [b, Expression.constant(heads), tokens, all];
  const output = module.value("mixed", heads * valueDim);
  const mixed =
    options.attention === "fused"
      ? module.add({
          kind: "attention",
          name: module.name("attention"),
          part: "attention",
          query,
          key: absorbed ? latent : expanded,
          value: absorbed ? latent : expanded,
          cache: absorbed ? cache : null,
          rotary: mixer.rotary,
          ...shape,
          output,
        })
      : addScoresAndMix(module, { query, key: expanded, value: expanded }, shape, scoresShape, output);
  const fromQuery = mixer.gateFromQuery === true;
  const gateInput = fromQuery ? latentQuery : input;
  const gated = addGate(module, gateInput, mixed, mixer.gate, heads, valueDim, fromQuery ? queryWidth : hidden);
  return module.linear("output", gated, heads * valueDim, hidden, { bias: mixer.bias });
}
