import type { Indexer, Norm, Rotary } from "../../src/model/types.js";
import { rotate } from "./rotate.js";
import { type Parameters, runNorm } from "./parameters.js";
import { project } from "./sequences.js";
import { type Sequence, type Vector, at, concat, dot, split } from "./vectors.js";

/** The tokens that each position's attention may see: the best by Σ_j w_j·relu(q_j·k), of equal ones the earlier. */
export async function choose(
  inputs: Sequence,
  from: Sequence,
  indexer: Indexer,
  rotary: Rotary | null,
  norm: Norm,
  hidden: number,
  parameters: Parameters,
): Promise<Set<number>[]> {
  const { heads, dim, chosen } = indexer;
  const turning = rotary !== null && rotary.dims <= dim ? rotary : null;
  const own = parameters.within("indexer.");
  const kind: Norm = { ...norm, kind: indexer.norm === "layer" ? "layer" : "rms", bias: indexer.norm === "layer" };
  let queries = await project(from, "query", [indexer.queryWidth, heads * dim], own);
  let keys = await project(inputs, "key", [hidden, dim], own);
  if (indexer.norm !== "none") keys = await runNorm(keys, kind, dim, own.within("key_norm."));
  if (indexer.norm === "rms") {
    const normed = queries.map((x) => runNorm(split(x, heads), kind, dim, own.within("query_norm.")));
    queries = (await Promise.all(normed)).map(concat);
  }
  const weights = indexer.weighted ? await project(inputs, "weights", [hidden, heads], own) : null;
  const turned = keys.map((key, position) => rotate(key, position, turning));
  return queries.map((x, position) => {
    const byHead: Vector[] = split(x, heads).map((head) => rotate(head, position, turning));
    const scores = turned.slice(0, position + 1).map((key) => {
      const each = byHead.map(
        (query, j) => Math.max(0, dot(query, key)) * (weights === null ? 1 : at(weights[position], j)),
      );
      return each.reduce((sum, value) => sum + value, 0);
    });
    const order = scores.map((_, place) => place).toSorted((a, b) => at(scores, b) - at(scores, a) || a - b);
    return new Set(order.slice(0, chosen));
  });
}
