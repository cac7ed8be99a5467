import type { RotaryOperator } from "../graph/types.js";
import type { Rotary } from "../model/types.js";
import type { ModelBuilder } from "./builder.js";
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
  return addTurned(scope.builder, input, output, { ...rotary, tables: rotaryTables(rotary, scope), heads, headDim });
}

interface Turning extends Pick<Rotary, "dims" | "interleaved"> {
  readonly tables: readonly string[];
  readonly heads: number;
  readonly headDim: number;
}

/** The same with the names of the tables. @returns `output` */
export function addTurned(
  builder: ModelBuilder,
  input: string,
  output: string,
  { tables, heads, headDim, dims, interleaved }: Turning,
): string {
  const depth = builder.input(inputNames.depth, "int64", [1]);
  return builder.node(output, "RotaryEmbedding", [input, depth, ...tables], {
    domain: microsoft,
    attributes: {
      num_heads: int(heads),
      // Zero means the whole head.
      rotary_embedding_dim: int(dims === headDim ? 0 : dims),
      interleaved: int(interleaved ? 1 : 0),
    },
  });
}

export function lowerRotary(operator: RotaryOperator, scope: Scope): string {
  return addRotary(scope.value(operator.input), scope.fresh(operator.output), operator, scope);
}
