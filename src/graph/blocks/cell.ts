import { Expression, b } from "../../math/expression.js";
import type { RecurrentCell } from "../../model/types.js";
import type { ModuleBuilder } from "../module.js";

/** LSTM or GRU over the tokens (`RecurrentCell` has the equations): [b, n, hidden] → the same. */
export function addCell(module: ModuleBuilder, input: string, mixer: RecurrentCell): string {
  const { hidden, dtypes } = module.around;
  const { cell, width, bias } = mixer;
  const gates = cell === "lstm" ? 4 : 3;
  const projected = module.linear("input", input, hidden, gates * width, { bias });
  // An LSTM keeps its cell beside its output.
  const kept = cell === "lstm" ? 2 : 1;
  const state = module.block.state(
    module.name("state"),
    [b, Expression.constant(kept), Expression.constant(width)],
    dtypes.activations,
  );
  const stepped = module.add({
    kind: "recurrence",
    name: module.name(cell),
    part: "attention",
    cell,
    input: projected,
    weight: module.weight("recurrent.weight", [gates * width, width]),
    bias: bias ? module.weight("recurrent.bias", [gates * width], "bias") : null,
    state,
    output: module.value("stepped", width),
  });
  return width === hidden ? stepped : module.linear("output", stepped, width, hidden, { bias });
}
