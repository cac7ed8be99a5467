import type { RotaryOperator } from "../graph/types.js";
import type { Rotary } from "../model/types.js";
import { int, microsoft } from "./proto.js";
import { type Scope, inputNames } from "./scope.js";

interface RotaryHeads {
  readonly rotary: Rotary;
  readonly heads: number;
  readonly headDim: number;
}

/** Names of the tables of cosines and sines, [positions, dims / 2] each. */
export function rotaryTables({ interleaved: _interleaved, ...angles }: Rotary, { layout, options }: Scope): string[] {
  return (["cos", "sin"] as const).map((kind) =>
    layout.rotary({ function: kind, positions: options.positions, ...angles }),
  );
}

/** Rotates [b, n, heads·head_dim] at positions c … c + n − 1. */
export function addRotary(
  input: string,
  output: string,
  { rotary, heads, headDim }: RotaryHeads,
  scope: Scope,
): string {
  const depth = scope.builder.input(inputNames.depth, "int64", [1]);
  return scope.builder.node(output, "RotaryEmbedding", [input, depth, ...rotaryTables(rotary, scope)], {
    domain: microsoft,
    attributes: {
      num_heads: int(heads),
      // Zero means the whole head.
      rotary_embedding_dim: int(rotary.dims === headDim ? 0 : rotary.dims),
      interleaved: int(rotary.interleaved ? 1 : 0),
    },
  });
}

export function lowerRotary(operator: RotaryOperator, scope: Scope): string {
  return addRotary(scope.value(operator.input), scope.fresh(operator.output), operator, scope);
}
