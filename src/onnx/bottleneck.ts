import type { Block } from "../graph/types.js";
import type { Emitter } from "./emitter.js";
import type { Scope } from "./scope.js";

/*
 * Layers that work in a bottleneck (MobileBERT, arXiv:2004.02984): the stream is projected to a narrower one, in which
 * attention and several networks stand, and back, where it is added; queries and keys have a bottleneck of their own, values
 * are projected from the whole stream. What is called a norm scales and shifts.
 */

const [streamName, attentionName] = ["bottleneck.stream", "bottleneck.attention"];

/** Scaled and shifted by the two rows of one parameter. */
function moved(e: Emitter, x: string, both: string): string {
  const [weight = "", bias = ""] = e.rows(both, 2);
  return e.add(e.multiply(x, weight), bias);
}

export function isBottleneck(e: Emitter): boolean {
  return e.has("into_attention.weight");
}

/** What a layer's parts stand in. */
export function enterBottleneck(e: Emitter, stream: string): string {
  const [into = "", attention = ""] = e.nodes("Split", [e.weight("into_norms")], 2, {
    axis: { kind: "int", value: 0 },
    num_outputs: { kind: "int", value: 2 },
  });
  const flat = (both: string): string => e.reshape(both, [2, -1]);
  e.scope.left.set(streamName, stream);
  e.scope.left.set(attentionName, moved(e, e.linear("into_attention", stream), flat(attention)));
  return moved(e, e.linear("into", stream), flat(into));
}

/** Back to the stream's width, and added to it. */
export function leaveBottleneck(e: Emitter, made: string): string {
  const stream = e.scope.left.get(streamName) ?? "";
  return moved(e, e.add(e.linear("out", made), stream), e.weight("out_norm"));
}

/** Queries, keys and values of a layer in a bottleneck; null elsewhere. */
export function projectAround(e: Emitter, widths: readonly number[]): string[] | null {
  const extras = e.beside("extra");
  if (!isBottleneck(extras)) return null;
  const { left } = e.scope;
  const [stream = "", attention = ""] = [streamName, attentionName].map((name) => left.get(name) ?? "");
  const [query = "", key = ""] = e.split(e.linears(["query", "key"], attention), widths.slice(0, 2));
  const inner = e.scope.weight(e.local("value.weight")).weight.shape[1] ?? 0;
  const near = e.linear("value", e.slice(stream, 2, 0, inner));
  return [query, key, e.add(near, extras.linear("value_rest", e.slice(stream, 2, inner)))];
}

/** The embeddings beside those of the neighbours, projected; then positions, segments, a scale and a shift. */
export function joinNeighbours(e: Emitter, stream: string): string {
  const { left } = e.scope;
  const rows = left.get("embed.table") ?? "";
  // From the next token on and one of nothing at the end; one of nothing and up to the token before.
  const after = e.node("Pad", [e.slice(rows, 1, 1), e.list([0, 0, 0, 0, 1, 0])]);
  const before = e.node("Pad", [e.slice(rows, 1, 0, -1), e.list([0, 1, 0, 0, 0, 0])]);
  let sum = e.add(stream, e.linear("neighbours", e.concat([after, before], 2)));
  for (const table of ["positions", "types"]) {
    const found = left.get(`embed.${table}`);
    if (found !== undefined) sum = e.add(sum, found);
  }
  return moved(e, sum, e.weight("embedding_norm"));
}

/** Logits of a head that reads more channels than its tied table has: the others have rows of their own. */
export function lowerWideHead(input: string, block: Block, e: Emitter, scope: Scope): string {
  const [rows = 0, narrow = 0] = block.weights.get("table")?.shape ?? [];
  const matrix = { rank: 2 };
  const near = e.transposedProduct(e.slice(input, 2, 0, narrow), scope.parameter("table"), 1, matrix);
  const far = e.transposedProduct(e.slice(input, 2, narrow), scope.parameter("rest.weight"), 1, matrix);
  const sum = e.add(near, far);
  return rows > 0 && scope.hasWeight("bias") ? e.add(sum, scope.parameter("bias")) : sum;
}
