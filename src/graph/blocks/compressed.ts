import { Expression, b, floorDivide, min } from "../../math/expression.js";
import type { CompressedAttention, KeySpan } from "../../model/types.js";
import type { ModuleBuilder } from "../module.js";
import type { AttentionShape } from "../types.js";
import { addScoresAndMix } from "./naive.js";

/**
 * Attention of DeepSeek-V4: every query sees a window of plain keys and the compressed keys of what came before; one
 * softmax over both, with a sink. Keys are values and the same for all heads. Where there is an indexer it chooses
 * among the compressed keys. [b, n, hidden] → the same.
 *
 * @returns name of the output value
 */
export function addCompressedAttention(module: ModuleBuilder, input: string, mixer: CompressedAttention): string {
  const { heads, dim, queryRank, ratio, indexer } = mixer;
  const { hidden, norm } = module.around;
  const rms = { ...norm, kind: "rms", bias: false, plain: false } as const;
  const down = module.linear("query_down", input, hidden, queryRank);
  const latent = module.normalise("query_norm", down, rms, queryRank);
  const projected = module.linear("query", latent, queryRank, heads * dim);
  const query = module.weighted("sinks", projected, { sinks: [heads] });
  const keys = module.normalise("key_norm", module.linear("key", input, hidden, dim), rms, dim);
  const near = addPart(module, "window", query, keys, mixer, { kind: "window", size: mixer.window });
  const parts = [near];
  if (ratio > 0) {
    const compressed = compress(module.within("compressor"), input, dim, ratio, indexer !== null);
    const chosen = indexer?.chosen ?? null;
    if (indexer !== null) {
      const inner = module.within("indexer");
      compress(inner, input, indexer.dim, ratio, true);
      const queries = inner.linear("query", latent, queryRank, indexer.heads * indexer.dim);
      inner.linear("weights", input, hidden, indexer.heads);
      inner.add({
        kind: "index",
        name: inner.name("scores"),
        part: "attention",
        input: queries,
        cache: cacheOf(inner, "cache", indexer.dim, { kind: "compressed", ratio, chosen: null }),
        heads: indexer.heads,
        dim: indexer.dim,
        weighted: false,
        causal: true,
        span: { kind: "compressed", ratio, chosen: null },
        output: inner.value("chosen", indexer.chosen),
      });
    }
    parts.push(addPart(module, "far", query, compressed, mixer, { kind: "compressed", ratio, chosen }));
  }
  const mixed = parts.length === 1 ? near : module.elementwise("mixed", "add", parts);
  // The output projection is block-diagonal first: [groups · rank, heads · dim / groups].
  const groupWidth = (heads * dim) / mixer.outputGroups;
  const reduced = module.linear("output_group", mixed, groupWidth, mixer.outputGroups * mixer.outputRank);
  return module.linear("output", reduced, mixer.outputGroups * mixer.outputRank, hidden);
}

/** Keys of whole groups of tokens, weighed by a gate and a learned position; overlapping groups take twice the width. */
function compress(module: ModuleBuilder, input: string, dim: number, ratio: number, overlapping: boolean): string {
  const { hidden, norm } = module.around;
  const width = overlapping ? 2 * dim : dim;
  const keys = module.linear("key", input, hidden, width);
  const gate = module.linear("gate", input, hidden, width);
  const placed = module.weighted("positions", gate, { positions: [ratio, width] });
  const weighed = module.elementwise("weighed", "multiply", [keys, placed]);
  return module.normalise("norm", weighed, { ...norm, kind: "rms", bias: false, plain: false }, dim);
}

function cacheOf(module: ModuleBuilder, local: string, dim: number, span: KeySpan): string {
  const { dtypes } = module.around;
  const kept = keptBy(module, span);
  return module.block.cache(module.name(local), {
    key: { shape: [b, Expression.one, kept, Expression.constant(dim)], dtype: dtypes.kv },
    value: { shape: [b, Expression.one, kept, Expression.zero], dtype: dtypes.kv },
    span,
  });
}

function keptBy(module: ModuleBuilder, span: KeySpan): Expression {
  const { tokens } = module.around;
  if (span.kind === "compressed") return floorDivide({ n: 1, c: 1 }, span.ratio);
  return span.kind === "window" ? tokens.plus(min({ c: 1 }, span.size - 1)) : tokens.plus(module.around.earlier);
}

function addPart(
  module: ModuleBuilder,
  local: string,
  query: string,
  keys: string,
  mixer: CompressedAttention,
  span: KeySpan,
): string {
  const { heads, dim } = mixer;
  const { tokens, options } = module.around;
  const shape: AttentionShape = {
    heads,
    kvHeads: 1,
    keyDim: dim,
    valueDim: dim,
    span,
    causal: true,
    scale: dim ** -0.5,
    softcap: null,
    valueInKey: true,
  };
  const cache = cacheOf(module, `${local}.cache`, dim, span);
  const output = module.value(`${local}.mixed`, heads * dim);
  if (options.attention === "fused") {
    return module.add({
      kind: "attention",
      name: module.name(`${local}.attention`),
      part: "attention",
      query,
      key: keys,
      value: keys,
      cache,
      rotary: null,
      ...shape,
      output,
    });
  }
  const scoresShape = [b, Expression.constant(heads), tokens, keptBy(module, span)];
  return addScoresAndMix(module.within(local), { query, key: keys, value: keys }, shape, scoresShape, output);
}
