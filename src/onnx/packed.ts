import { operandsOf } from "../graph/operands.js";
import type { AttentionOperator, Block, LinearOperator } from "../graph/types.js";

/**
 * Query, key and value projections that one matrix product can do: they share their input and nobody but one fused
 * attention reads them.
 */
export function packedProjections(
  block: Block,
  /** Whether something is added to each projection alone. */
  adapted: boolean,
): Map<AttentionOperator, readonly [LinearOperator, LinearOperator, LinearOperator]> {
  const readers = new Map<string, number>();
  const linears = new Map<string, LinearOperator>();
  for (const operator of block.operators) {
    for (const input of operandsOf(operator)) readers.set(input, (readers.get(input) ?? 0) + 1);
    if (operator.kind === "linear") linears.set(operator.output, operator);
  }
  const packed = new Map<AttentionOperator, readonly [LinearOperator, LinearOperator, LinearOperator]>();
  if (adapted) return packed;
  for (const operator of block.operators) {
    if (operator.kind !== "attention") continue;
    const [query, key, value] = [operator.query, operator.key, operator.value].map((name) =>
      readers.get(name) === 1 ? linears.get(name) : undefined,
    );
    if (query === undefined || key === undefined || value === undefined) continue;
    if (query.input === key.input && key.input === value.input) packed.set(operator, [query, key, value]);
  }
  return packed;
}
