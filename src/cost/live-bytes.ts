import { bytesPerElement } from "../base/units.js";
import { operandsOf } from "../graph/operands.js";
import type { Block } from "../graph/types.js";
import { Expression } from "../math/expression.js";

/**
 * Bytes of activations alive while each operator of a block runs: what it reads and writes, and what waits for a later
 * one. An elementwise operator writes over an operand that nobody needs afterwards, as runtimes do. What `append` hands
 * on is the cache itself and is counted there.
 *
 * @returns one expression per operator, in order
 */
export function liveBytes(block: Block): Expression[] {
  const lastUse = new Map<string, number>([[block.output, block.operators.length]]);
  block.operators.forEach((operator, index) => {
    for (const name of operandsOf(operator)) lastUse.set(name, Math.max(lastUse.get(name) ?? 0, index));
  });
  const cached = new Set(block.operators.flatMap((operator) => (operator.kind === "append" ? [operator.output] : [])));
  const bytesOf = (name: string): Expression => {
    const value = block.values.get(name);
    if (value === undefined || cached.has(name)) return Expression.zero;
    const elements = value.shape.reduce<Expression>((product, size) => product.times(size), Expression.one);
    return elements.times(bytesPerElement(value.dtype));
  };
  const alive = new Set(block.inputs);
  return block.operators.map((operator, index) => {
    const dying = operandsOf(operator).filter((name) => lastUse.get(name) === index);
    const written = bytesOf(operator.output);
    const inPlace =
      operator.kind === "elementwise" && dying.some((name) => alive.has(name) && bytesOf(name).minus(written).isZero);
    const live = Expression.sum([...alive].map(bytesOf)).plus(inPlace ? 0 : written);
    for (const name of dying) alive.delete(name);
    alive.add(operator.output);
    return live;
  });
}
