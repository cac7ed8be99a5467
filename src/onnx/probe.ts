import type { BlockInstance } from "../graph/types.js";
import { Emitter } from "./emitter.js";
import { activated } from "./mixers/gated.js";
import { float, int } from "./proto.js";
import type { Scope } from "./scope.js";
import { unsupported } from "./unsupported.js";

/** Whether an instance makes one vector of a picture by attention of a learned token. */
export function isProbe({ block }: BlockInstance): boolean {
  return block.name === "probe";
}

/** @returns [b, 1, hidden] */
export function lowerProbe(stream: string, { block }: BlockInstance, scope: Scope): string {
  const e = new Emitter(scope, "probe", "head");
  const attention = block.operators.find((operator) => operator.kind === "attention");
  const norm = block.operators.find((operator) => operator.kind === "norm");
  const bent = block.operators.find((operator) => operator.name === "probe.activated");
  if (attention === undefined || norm === undefined || bent?.kind !== "elementwise") {
    throw unsupported(block.name, "no lowering of such a pooling head");
  }
  const token = e.expand(e.reshape(e.weight("token"), [1, 1, -1]), [e.length(stream, 0), 1, 1]);
  const rows = [e.linear("query", token), e.linear("key", stream), e.linear("value", stream)];
  const { heads, scale } = attention;
  const attributes = { num_heads: int(heads), scale: float(scale) };
  const attended = e.linear("output", e.own("MultiHeadAttention", rows, attributes));
  const normed = e.node("LayerNormalization", [attended, e.weight("norm.weight"), e.weight("norm.bias")], {
    axis: int(-1),
    epsilon: float(norm.epsilon),
  });
  const { function: activation } = bent;
  if (activation === "add" || activation === "multiply" || activation === "scale" || activation === "softcap") {
    throw unsupported(block.name, `no activation "${activation}"`);
  }
  return e.add(attended, e.linear("down", activated(e, activation, e.linear("up", normed))));
}
