import type { Graph } from "../graph/types.js";
import type { LoweringOptions } from "./scope.js";

/**
 * Tables that a projection multiplies by too, by their names in the model, where projections' matrices are not stored as tables
 * are: they are looked up in as they are multiplied by, so that they need not be in memory twice. Quantised ones are.
 */
export function tiedTables(
  { instances }: Graph,
  { provider = "cpu", weights = "f32" }: LoweringOptions,
): ReadonlySet<string> {
  if (provider === "cpu" || weights === "q8" || weights === "q4") return new Set();
  const named = (kind: "embed" | "linear"): string[] =>
    instances.flatMap(({ block, scope }) =>
      block.operators.flatMap((operator) => {
        if (operator.kind === "embed" && kind === "embed") return [`${scope}.${operator.table}`];
        // A head that reads more channels than its table has multiplies by both parts in its own way.
        if (operator.kind !== "linear" || kind !== "linear" || block.weights.has("rest.weight")) return [];
        return [`${scope}.${operator.weight}`];
      }),
    );
  const multiplied = new Set(named("linear"));
  return new Set(named("embed").filter((name) => multiplied.has(name)));
}
