import { Expression, b, floorDivide } from "../../math/expression.js";
import type { Indexer } from "../../model/types.js";
import type { ModuleBuilder } from "../module.js";

/**
 * The indexer of sparse attention (DeepSeek-V3.2): small queries from `queries`, one small key per token from
 * `input`, a score for every visible pair. The quadratic term is small, and it is there.
 */
export function addIndexer(module: ModuleBuilder, input: string, queries: string, indexer: Indexer): void {
  const inner = module.within("indexer");
  const { hidden, dtypes, tokens, earlier, norm } = module.around;
  const query = inner.linear("query", queries, indexer.queryWidth, indexer.heads * indexer.dim);
  const key = inner.linear("key", input, hidden, indexer.dim);
  if (indexer.norm !== "none") {
    const layerNorm = indexer.norm === "layer";
    const kind = { ...norm, kind: layerNorm ? "layer" : "rms", bias: layerNorm, plain: false } as const;
    inner.normalise("key_norm", key, kind, indexer.dim);
    if (!layerNorm) inner.normalise("query_norm", query, kind, indexer.dim);
  }
  if (indexer.weighted) inner.linear("weights", input, hidden, indexer.heads);
  const { pool } = indexer;
  const pooled = pool === undefined ? null : ({ kind: "compressed", ratio: pool, chosen: null } as const);
  const kept = pool === undefined ? tokens.plus(earlier) : floorDivide({ n: 1, c: 1 }, pool);
  const cache = inner.block.cache(inner.name("cache"), {
    key: { shape: [b, Expression.one, kept, Expression.constant(indexer.dim)], dtype: dtypes.kv },
    value: { shape: [b, Expression.one, kept, Expression.zero], dtype: dtypes.kv },
    ...(pooled === null ? {} : { span: pooled }),
  });
  inner.add({
    kind: "index",
    name: inner.name("scores"),
    part: "attention",
    input: query,
    cache,
    heads: indexer.heads,
    dim: indexer.dim,
    weighted: indexer.weighted,
    causal: true,
    ...(pooled === null ? {} : { span: pooled }),
    output: inner.value("chosen", indexer.chosen),
  });
}
