import type { Extras } from "../model/types.js";
import type { BlockInstance, Operator } from "../graph/types.js";
import { lookUpPositions } from "./embed.js";
import { float, int } from "./proto.js";
import type { Scope } from "./scope.js";

/** Epsilon of the norm behind BART's embeddings (`nn.LayerNorm`'s own). */
const epsilon = 1e-5;

/**
 * What may stand in front of a stack beside its layers: a table of positions of its own, a norm (its weight, then its
 * bias), a table of tokens that takes the place of the model's.
 */
const runnable = ["positions", "embedding_norm"] as const;

/**
 * Parameters that a checkpoint has and this pass needs not: a mask token, attention to an encoder that is not there, a
 * table of sinusoids behind rotary positions, the projections that Longformer's global tokens have of their own.
 */
const unused = /^(mask|sinusoids|unused_\w+|global_projections|global_biases)$/;

/** What of a layer's extras running it would need and cannot do. */
export function strangeExtras({ weights = [], ...others }: Extras): string[] {
  return [
    ...Object.entries(others).flatMap(([name, list]: [string, readonly unknown[]]) =>
      list.length === 0 ? [] : [name],
    ),
    ...weights.flatMap(({ name }) => (unused.test(name) ? [] : [name])),
  ];
}

/** The same of what stands in front of a stack. */
export function strangeStackExtras({ weights = [], ...others }: Extras): string[] {
  const known: readonly string[] = runnable;
  return strangeExtras({ ...others, weights: weights.filter(({ name }) => !known.includes(name)) });
}

/** Whether an operator of a layer stands for extras that change nothing in the stream. */
export function isPassedBy(operator: Operator): operator is Extract<Operator, { kind: "weighted" }> {
  return operator.kind === "weighted" && operator.name === "extra.weights";
}

/** Whether an instance is what stands in front of a stack. */
export function isStackExtras({ block }: BlockInstance): boolean {
  return block.name === "extras";
}

/** Learned positions added to the stream, then normed, as far as the stack has them. @returns [b, n, width] */
export function lowerStackExtras(stream: string, scope: Scope): string {
  const { builder } = scope;
  let result = stream;
  const local = (name: string): string => `extra.${name}`;
  if (scope.hasWeight(local("positions"))) {
    const rows = lookUpPositions(scope.fresh("positions"), stream, local("positions"), scope);
    result = builder.node(scope.fresh("placed"), "Add", [result, rows]);
  }
  if (scope.hasWeight(local("embedding_norm"))) {
    const both = scope.parameter(local("embedding_norm"));
    const row = (index: number): string =>
      builder.node(scope.fresh(`norm.${index}`), "Gather", [both, builder.integer(index)], {
        attributes: { axis: int(0) },
      });
    result = builder.node(scope.fresh("normed"), "LayerNormalization", [result, row(0), row(1)], {
      attributes: { axis: int(-1), epsilon: float(epsilon) },
    });
  }
  return result;
}
