import type { EmbedOperator } from "../graph/types.js";
import type { Emitter } from "./emitter.js";
import { addCast } from "./linear.js";
import { int, ints } from "./proto.js";
import { type Scope, inputNames } from "./scope.js";

/** Name under which the embedding leaves an input of every layer's own (Gemma 4), [b, n, layers·width]. */
export const perLayerInputs = "per_layer";

/**
 * Rows of a table: by the token; by its position for the table `positions`; the first row for `types` (one segment). They are
 * left for what stands in front of the layers.
 */
export function lowerEmbed(operator: EmbedOperator, scope: Scope): string {
  const rows = lookUp(operator, scope);
  scope.left.set(operator.table === perLayerInputs ? perLayerInputs : `embed.${operator.table}`, rows);
  return rows;
}

function lookUp(operator: EmbedOperator, scope: Scope): string {
  const { builder } = scope;
  const output = scope.fresh(operator.output);
  const tokens = scope.value(operator.ids);
  if (operator.table === "positions") return lookUpPositions(output, tokens, operator.table, scope);
  if (scope.tied.has(scope.qualified(operator.table))) return lookUpTied(output, tokens, operator.table, scope);
  const table = scope.parameter(operator.table);
  if (operator.table !== "types") return builder.node(output, "Gather", [table, tokens]);
  const zeros = builder.node(`${output}.segment`, "Sub", [tokens, tokens]);
  return builder.node(output, "Gather", [table, zeros]);
}

/** Columns of a table that is stored [width, rows], as the head multiplies by it. @returns [b, n, width] */
function lookUpTied(output: string, tokens: string, table: string, { builder, layout, ...scope }: Scope): string {
  const half = scope.options.weights === "f16";
  const part = { ...scope.weight(table), offset: false };
  const matrix = layout.turned(scope.qualified(table), [part], half ? "float16" : "float32");
  const columns = builder.node(`${output}.columns`, "Gather", [matrix, tokens], { attributes: { axis: int(1) } });
  const rows = half ? `${output}.rows` : output;
  builder.node(rows, "Transpose", [columns], { attributes: { perm: ints([1, 2, 0]) } });
  return half ? addCast(builder, output, rows, "float32") : output;
}

/** Rows of a table of positions, or of those `ahead`, for every token of `stream`, [b, n, …]. @returns [1, n, width] */
export function lookUpPositions(output: string, stream: string, table: string, scope: Scope, ahead = 0): string {
  const { shape, firstRow = 0 } = scope.weight(table).weight;
  const places = positions(output, stream, { rows: shape[0] ?? 1, first: firstRow + ahead }, scope);
  return scope.builder.node(output, "Gather", [scope.parameter(table), places]);
}

/**
 * Rows of two tables side by side, as if the positions stood in a rectangle: its rows are the first table's, its columns the
 * second's (Reformer's axial positions). @returns [1, n, width]
 */
export function lookUpAxial(output: string, stream: string, tables: readonly [string, string], scope: Scope): string {
  const { builder } = scope;
  const [rows = 1, columns = 1] = tables.map((table) => scope.weight(table).weight.shape[0]);
  const places = positions(output, stream, { rows: rows * columns, first: 0 }, scope);
  const parts = (["Div", "Mod"] as const).map((op, side) => {
    const index = builder.node(`${output}.index.${side}`, op, [places, builder.integers([columns])]);
    return builder.node(`${output}.part.${side}`, "Gather", [scope.parameter(tables[side] ?? ""), index]);
  });
  return builder.node(output, "Concat", parts, { attributes: { axis: int(2) } });
}

/**
 * Sines of every token's position times frequencies from 1 to 1/10000, then the cosines (arXiv:1706.03762, as fairseq and
 * transformers' M2M-100 order them). @returns [1, n, width]
 */
export function addSinusoids(e: Emitter, stream: string, width: number, first: number): string {
  const { builder } = e.scope;
  const half = Math.floor(width / 2);
  const places = positions(e.fresh("sinusoids"), stream, { rows: 2 ** 53, first }, e.scope);
  const rates = Array.from({ length: half }, (_, i) => 10_000 ** (-i / Math.max(1, half - 1)));
  const angles = e.multiply(e.node("Unsqueeze", [e.toFloat(places), e.list([2])]), builder.floats(rates));
  return e.concat([e.node("Sin", [angles]), e.node("Cos", [angles])], 2);
}

/**
 * Positions c … c + n − 1, counted from `first`, [1, n]. Beyond the table they stay at its end: the times hold, the answers
 * would not.
 */
function positions(
  name: string,
  tokens: string,
  { rows, first }: { readonly rows: number; readonly first: number },
  { builder }: Scope,
): string {
  const depth = builder.input(inputNames.depth, "int64", [1]);
  const count = builder.node(`${name}.count`, "Shape", [tokens], { attributes: { start: int(1), end: int(2) } });
  const fresh = builder.node(`${name}.fresh`, "Range", [
    builder.integer(0),
    builder.node(`${name}.n`, "Squeeze", [count]),
    builder.integer(1),
  ]);
  const start = first === 0 ? depth : builder.node(`${name}.start`, "Add", [depth, builder.integers([first])]);
  const all = builder.node(`${name}.positions`, "Add", [fresh, start]);
  const inside = builder.node(`${name}.inside`, "Min", [all, builder.integers([rows - 1])]);
  return builder.node(`${name}.row`, "Unsqueeze", [inside, builder.integers([0])]);
}
