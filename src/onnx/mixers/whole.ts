import type { GraphModule, GraphOptions } from "../../graph/types.js";
import type { Ffn, Mixer } from "../../model/types.js";
import { Emitter } from "../emitter.js";
import type { Scope } from "../scope.js";
import type { Around } from "./around.js";
import { addWholeAttention, isPlainAttention } from "./attention.js";

type Description = Mixer | Ffn;
type Kind = Description["kind"];

type Lower<K extends Kind> = (
  e: Emitter,
  input: string,
  description: Extract<Description, { kind: K }>,
  around: Around,
) => string;

/** From the input of a module, by its name in the model, to its output: [b, n, hidden] both. */
const lowerings: { readonly [K in Kind]?: Lower<K> } = {
  attention: addWholeAttention,
};

/** How a module is executed as a whole: from its input to its output, both by their names in the model. */
export type WholeLowering = (input: string, scope: Scope) => string;

/** The lowering of a module as a whole, or null where its operators are lowered one by one. */
export function wholeLowering(module: GraphModule, options: GraphOptions): WholeLowering | null {
  const { description, name, norm } = module;
  if (description.kind === "attention" && isPlainAttention(description)) return null;
  const lower = lowerings[description.kind];
  if (lower === undefined) return null;
  const part = module.operators.some((operator) => operator.part === "attention") ? "attention" : "ffn";
  return (input, scope) => {
    // The table pairs each kind with its own lowering.
    const run = lower as Lower<Kind>;
    return run(new Emitter(scope, name, part), input, description, { norm, naive: options.attention === "naive" });
  };
}
