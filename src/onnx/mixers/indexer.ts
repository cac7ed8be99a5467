import type { Indexer, Norm, Rotary } from "../../model/types.js";
import type { Choice } from "../choice.js";
import type { Emitter } from "../emitter.js";
import { float, int } from "../proto.js";
import { addRotary } from "../rotary-embedding.js";

/**
 * The indexer of sparse attention (DeepSeek-V3.2): token s counts Σ_j w_j·relu(q_j·k_s) for a query, over the indexer's
 * heads j. Its queries are projected from `from`, its keys and weights from `input`; both are rotated as the
 * attention's, in as many of their first dimensions, unless they have fewer.
 */
export function addIndexer(
  e: Emitter,
  { input, from }: { readonly input: string; readonly from: string },
  indexer: Indexer,
  rotary: Rotary | null,
  { epsilon, offset }: Norm,
): Choice {
  const { heads, dim, chosen } = indexer;
  const normed = (name: string, values: string): string => {
    const weight = e.weight(`indexer.${name}.weight`, offset);
    if (indexer.norm === "rms") return e.rms(values, weight, epsilon);
    const inputs = [values, weight, e.weight(`indexer.${name}.bias`)];
    return e.node("LayerNormalization", inputs, { axis: int(-1), epsilon: float(epsilon) });
  };
  const turned = (values: string, count: number): string =>
    rotary === null || rotary.dims > dim
      ? values
      : e.tagged(() => addRotary(values, e.fresh("rotated"), { rotary, heads: count, headDim: dim }, e.scope));
  let queries = e.linear("indexer.query", from);
  let key = e.linear("indexer.key", input);
  if (indexer.norm !== "none") key = normed("key_norm", key);
  if (indexer.norm === "rms") {
    queries = e.reshape(normed("query_norm", e.reshape(queries, [0, 0, heads, dim])), [0, 0, heads * dim]);
  }
  const cache = e.scope.cache(e.local("indexer.cache"));
  const append = (side: "key" | "value", fresh: string): string =>
    e.into(cache.present[side], "Concat", [cache.past[side], fresh], { axis: int(2) });
  const fresh = e.node("Unsqueeze", [turned(key, 1), e.list([1])]);
  append("value", e.slice(fresh, 3, 0, 0));
  return {
    queries: turned(queries, heads),
    keys: append("key", fresh),
    weights: indexer.weighted ? e.linear("indexer.weights", input) : null,
    heads,
    dim,
    chosen,
  };
}

/** Scores of some queries for the first keys, [b, rows, columns]. */
export function addIndexScores(
  e: Emitter,
  {
    queries,
    keys,
    weights,
    rows,
  }: Pick<Choice, "queries" | "keys" | "weights"> & {
    /** int64 [1]. */
    readonly rows: string;
  },
  { heads, dim }: Pick<Choice, "heads" | "dim">,
): string {
  const products = e.node("Relu", [e.transposedProduct(e.reshape(queries, [0, 1, -1, dim]), keys)]);
  const byQuery = e.reshape(products, [0, rows, heads, e.length(keys, 2)]);
  if (weights === null) return e.node("ReduceSum", [byQuery, e.list([2])], { keepdims: int(0) });
  const counted = e.matmul(e.reshape(weights, [0, 0, 1, heads]), byQuery);
  return e.reshape(counted, [0, 0, -1]);
}
