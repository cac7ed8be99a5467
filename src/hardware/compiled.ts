import type { OperatorCost } from "../cost/table.js";
import { type Setting, rowsOf } from "./operator-time.js";

/** What an operator costs as functions of the setting's variable alone. */
export interface CompiledCost {
  readonly matmulFlops: (length: number) => number;
  readonly movedBytes: (length: number) => number;
  /** Positions times batch of its output. */
  readonly rows: (length: number) => number;
  /** Power of the variable that the work grows with: matrix products', or bytes' where there are none. */
  readonly degree: number;
}

const known = new WeakMap<OperatorCost, Map<string, CompiledCost>>();

/**
 * The cost of an operator under a setting. It knows no device, so that a second device, or a whole catalog, takes what the
 * first has made.
 */
export function compiledCost(row: OperatorCost, { variable, values }: Setting): CompiledCost {
  const settings = known.get(row) ?? new Map<string, CompiledCost>();
  known.set(row, settings);
  const key = `${variable} ${values.n ?? ""} ${values.c ?? ""} ${values.m ?? ""} ${values.b ?? ""}`;
  let compiled = settings.get(key);
  if (compiled === undefined) {
    const { cost } = row;
    const moved = cost.readBytes.plus(cost.writtenBytes);
    compiled = {
      matmulFlops: cost.matmulFlops.compile(variable, values),
      movedBytes: moved.compile(variable, values),
      rows: rowsOf(row).compile(variable, values),
      degree: (cost.matmulFlops.isZero ? moved : cost.matmulFlops).growth(variable).power,
    };
    if (settings.size >= mostSettings) settings.clear();
    settings.set(key, compiled);
  }
  return compiled;
}

/** Settings that are kept per operator: batches and depths come and go. */
const mostSettings = 64;
