import type { OperatorCost } from "../cost/table.js";
import { Expression } from "../math/expression.js";
import { type Setting, rowsOf, stepsOf } from "./operator-time.js";

/** What an operator costs as functions of the setting's variable alone. */
export interface CompiledCost {
  readonly matmulFlops: (length: number) => number;
  readonly movedBytes: (length: number) => number;
  /** Positions times batch of its output. */
  readonly rows: (length: number) => number;
  /** Steps that wait for one another. */
  readonly steps: (length: number) => number;
  /** Power of the variable that the work grows with: matrix products', or bytes' where there are none. */
  readonly degree: number;
  /** Whether none of these depends on the variable. */
  readonly fixed: boolean;
  /** c₀, c₁, … of its FLOPs and of its bytes, where they are polynomials. */
  readonly polynomials: {
    readonly matmulFlops: readonly number[] | null;
    readonly movedBytes: readonly number[] | null;
  };
  /** c₀, c₁, … of the moved bytes of what multiplies nothing and waits for nothing, where they are a polynomial. */
  readonly streamed: readonly number[] | null;
}

/** The cost of equal operators, whatever layer they are of. */
interface SharedCost {
  /** No two costs that differ have the same. */
  readonly id: number;
  readonly matmulFlops: Expression;
  readonly moved: Expression;
  readonly rows: Expression;
  readonly steps: Expression;
  readonly settings: Map<string, CompiledCost>;
}

const known = new WeakMap<OperatorCost, SharedCost>();
const shared = new Map<string, SharedCost>();
let made = 0;

function sharedCost(row: OperatorCost): SharedCost {
  const found = known.get(row);
  if (found !== undefined) return found;
  const { cost } = row;
  const moved = cost.readBytes.plus(cost.writtenBytes);
  const [rows, steps] = [rowsOf(row), stepsOf(row)];
  const key = [cost.matmulFlops.key, moved.key, rows.key, steps.key].join("|");
  let equal = shared.get(key);
  if (equal === undefined) {
    made += 1;
    equal = { id: made, matmulFlops: cost.matmulFlops, moved, rows, steps, settings: new Map() };
    if (shared.size >= mostCosts) shared.clear();
    shared.set(key, equal);
  }
  known.set(row, equal);
  return equal;
}

const kinds = new WeakMap<OperatorCost, string>();

/** Text that only operators have which take the same time under every setting, on every device and engine. */
export function kindKey(row: OperatorCost): string {
  const found = kinds.get(row);
  if (found !== undefined) return found;
  const { operator, block, cost } = row;
  const names = operator.kind === "linear" ? [operator.weight] : operator.kind === "experts" ? operator.weights : [];
  const weights = names.map((name) => {
    const { dtype, bits, shape, operands } = block.weights.get(name) ?? {};
    return [dtype, bits, operands, ...(shape ?? [])].join(" ");
  });
  const sizes =
    operator.kind === "attention"
      ? [operator.heads, operator.kvHeads, operator.keyDim, operator.valueDim]
      : operator.kind === "experts"
        ? [operator.chosen, operator.experts]
        : [];
  const activations = block.values.get(operator.output)?.dtype;
  const key = [sharedCost(row).id, operator.kind, cost.launches, activations, ...sizes, ...weights].join(" ");
  kinds.set(row, key);
  return key;
}

/**
 * The cost of an operator under a setting. It knows no device, so that a second device, or a whole catalog, takes what the
 * first has made.
 */
export function compiledCost(row: OperatorCost, { variable, values }: Setting): CompiledCost {
  const { matmulFlops, moved, rows, steps, settings } = sharedCost(row);
  const key = `${variable} ${values.n ?? ""} ${values.c ?? ""} ${values.m ?? ""} ${values.b ?? ""}`;
  let compiled = settings.get(key);
  if (compiled === undefined) {
    const [ofFlops, ofBytes, ...others] = [matmulFlops, moved, rows, steps].map((one) =>
      one.polynomial(variable, values),
    );
    const polynomials = { matmulFlops: ofFlops ?? null, movedBytes: ofBytes ?? null };
    const streams = matmulFlops.isZero && steps === Expression.one;
    compiled = {
      matmulFlops: matmulFlops.compile(variable, values),
      movedBytes: moved.compile(variable, values),
      rows: rows.compile(variable, values),
      steps: steps.compile(variable, values),
      degree: (matmulFlops.isZero ? moved : matmulFlops).growth(variable).power,
      fixed: [ofFlops, ofBytes, ...others].every((one) => one?.length === 1),
      polynomials,
      streamed: streams ? polynomials.movedBytes : null,
    };
    if (settings.size >= mostSettings) settings.clear();
    settings.set(key, compiled);
  }
  return compiled;
}

/** Settings that are kept per operator: batches and depths come and go. */
const mostSettings = 64;
/** Costs that are kept; models come and go. */
const mostCosts = 10_000;
