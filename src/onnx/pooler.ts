import type { BlockInstance } from "../graph/types.js";
import { addLinear } from "./linear.js";
import { int } from "./proto.js";
import type { Scope } from "./scope.js";

/** Whether an instance makes a vector of the whole sequence (BERT's pooler). */
export function isPooler({ block }: BlockInstance): boolean {
  return block.name === "pooler";
}

/** The first position, projected and bent by tanh. @returns [b, 1, width] */
export function lowerPooler(stream: string, scope: Scope): string {
  const { builder } = scope;
  const first = builder.node(scope.fresh("position"), "Gather", [stream, builder.integers([0])], {
    attributes: { axis: int(1) },
  });
  const projection = { weight: "pooler.dense.weight", bias: "pooler.dense.bias" };
  return builder.node(scope.fresh("pooled"), "Tanh", [addLinear(first, projection, scope.fresh("dense"), scope)]);
}
