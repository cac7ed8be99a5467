import type { Block, NormOperator } from "../graph/types.js";
import type { Emitter } from "./emitter.js";

/*
 * Two residual streams side by side, [b, n, 2·hidden] (Reformer's reversible layers): mixers read the second and add to the
 * first, networks read the first and add to the second; both together are normed at the end.
 */

const [normName, epsilon] = ["reversible.norm", 1e-12];

export function openReversible(e: Emitter, stream: string): string {
  e.scope.left.set(normName, e.weight("final_norm"));
  return e.concat([stream, stream], 2);
}

export function isReversible({ scope }: Emitter): boolean {
  return scope.left.has(normName);
}

/** What a branch reads. */
export function readReversible(e: Emitter, both: string, { name, width }: NormOperator): string {
  return name.startsWith("mixer") ? e.slice(both, 2, width) : e.slice(both, 2, 0, width);
}

/** What a branch made, beside nothing for the stream that it does not change. */
export function besideNothing(e: Emitter, leaving: string, branch: string, width: number): string {
  const [before, after] = branch === "mixer" ? [0, width] : [width, 0];
  return e.node("Pad", [leaving, e.list([0, 0, before, 0, 0, after])]);
}

/** What the head reads. */
export function closeReversible(e: Emitter, both: string, block: Block): string {
  const norm = e.scope.left.get(normName);
  if (block.name !== "head" || norm === undefined) return both;
  const [weight = "", bias = ""] = e.rows(norm, 2);
  return e.node("LayerNormalization", [both, weight, bias], {
    axis: { kind: "int", value: -1 },
    epsilon: { kind: "float", value: epsilon },
  });
}
