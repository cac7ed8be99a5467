import { bytesPerElement } from "../base/units.js";
import type { Block, Cache, Graph, Value } from "../graph/types.js";
import { Expression, b } from "../math/expression.js";
import { keptTokens } from "./pairs.js";

/**
 * Bytes of keys, values and recurrent states kept per batch after n new tokens on top of c: what the next step needs,
 * so a window's cache stops growing at the window and a state never grows.
 */
export function cacheBytes(graph: Graph): Expression {
  const perBlock = new Map<Block, Expression>();
  const sum: Expression[] = [];
  for (const { block } of graph.instances) {
    let bytes = perBlock.get(block);
    if (bytes === undefined) {
      bytes = Expression.sum([
        ...[...block.caches.values()].map(bytesOfCache),
        ...[...block.states.values()].map(bytesOfValue),
      ]);
      perBlock.set(block, bytes);
    }
    sum.push(bytes);
  }
  return Expression.sum(sum);
}

/** The part of `cacheBytes` that is states of recurrences and convolutions: the same at every length. */
export function stateBytes(graph: Graph): Expression {
  return Expression.sum(graph.instances.flatMap(({ block }) => [...block.states.values()].map(bytesOfValue)));
}

function bytesOfCache(cache: Cache): Expression {
  if (cache.span === undefined) return bytesOfValue(cache.key).plus(bytesOfValue(cache.value));
  const perToken = (side: Value): Expression => {
    const [, heads = Expression.zero, , dim = Expression.zero] = side.shape;
    return heads.times(dim).times(bytesPerElement(side.dtype));
  };
  return b.times(keptTokens(cache.span)).times(perToken(cache.key).plus(perToken(cache.value)));
}

function bytesOfValue(value: Value): Expression {
  return value.shape.reduce<Expression>(
    (product, size) => product.times(size),
    Expression.constant(bytesPerElement(value.dtype)),
  );
}
