import { Expression, b } from "../../math/expression.js";
import type { Head } from "../../model/types.js";
import { BlockBuilder } from "../block-builder.js";
import { ModuleBuilder, type Surroundings } from "../module.js";
import type { Block } from "../types.js";

/** One learned token asks all others by attention and passes a network behind a norm (SigLIP's pooling head). */
export function probeBlock({ heads, width, activation }: NonNullable<Head["probe"]>, around: Surroundings): Block {
  const block = new BlockBuilder("probe");
  const { hidden, dtypes, tokens } = around;
  const input = block.value("x", [b, tokens, Expression.constant(hidden)], dtypes.activations);
  const every = new ModuleBuilder(block, "probe", around, "head");
  const one = new ModuleBuilder(block, "probe", { ...around, tokens: Expression.one }, "head");
  const start = one.value("start", hidden);
  const token = one.weighted("token", start, { token: [hidden] });
  const query = one.linear("query", token, hidden, hidden, { bias: true });
  const key = every.linear("key", input, hidden, hidden, { bias: true });
  const value = every.linear("value", input, hidden, hidden, { bias: true });
  const dim = hidden / heads;
  const mixed = one.add({
    kind: "attention",
    name: one.name("attention"),
    part: "head",
    query,
    key,
    value,
    cache: null,
    rotary: null,
    heads,
    kvHeads: heads,
    keyDim: dim,
    valueDim: dim,
    span: { kind: "full" },
    causal: false,
    scale: dim ** -0.5,
    softcap: null,
    lengths: { queries: Expression.one, keys: tokens },
    output: one.value("mixed", hidden),
  });
  const attended = one.linear("output", mixed, hidden, hidden, { bias: true });
  const normed = one.normalise("norm", attended, { ...around.norm, kind: "layer", bias: true }, hidden);
  const raised = one.elementwise("activated", activation, [one.linear("up", normed, hidden, width, { bias: true })]);
  const down = one.linear("down", raised, width, hidden, { bias: true });
  return block.build([input], one.elementwise("sum", "add", [attended, down]));
}
