import type { Block } from "../graph/types.js";
import { n } from "../math/expression.js";
import type { ModelDescription } from "../model/types.js";
import type { Emitter } from "./emitter.js";
import { int } from "./proto.js";

/*
 * Encoders that see the same text at several lengths (Funnel-Transformer, arXiv:2006.03236): the first layer of a shorter
 * stack asks with means of two neighbours and reads all of them; at the end what was pooled is repeated and added to
 * what the first stack made.
 */

/** Names under which a pooling layer leaves what it pools, the first one what all pools come from, and each the distance of two of its tokens. */
const [unpooledName, wholeName, strideName] = ["pooled.from", "pooled.whole", "pooled.stride"];

/** Whether several stacks of an encoder pool the one before, by layers that ask with means. */
export function poolsStacks({ stacks }: Pick<ModelDescription, "stacks">): boolean {
  const [first] = stacks;
  const lengths = stacks.every(({ length }) => (length?.kind ?? "new") === "new" || length?.kind === "pooled");
  const relative = stacks.every(({ layers }) =>
    layers.every(({ mixers }) => mixers.every(({ kind }) => kind === "relative")),
  );
  return (
    lengths && relative && (first?.length?.kind ?? "new") === "new" && stacks.every(({ kind }) => kind === "encoder")
  );
}

/** Whether a block's queries are means of two neighbours. */
export function isPooling({ modules }: Block): boolean {
  return modules.some(({ description }) => description.kind === "relative" && description.pooling === 2);
}

/** Distance of two neighbouring tokens of the layer in progress, in tokens of the text. */
export function strideOf({ scope }: Emitter): number {
  return Number(scope.left.get(strideName) ?? 1);
}

/** What the keys of a pooling layer are made of, [b, n, hidden]. */
export function unpooled({ scope }: Emitter): string {
  const found = scope.left.get(unpooledName);
  if (found === undefined) throw new Error("nothing was pooled");
  return found;
}

/** Means of neighbours, the last one alone where it has none: [b, n, hidden] → [b, ⌈n/2⌉, hidden]. */
export function pool(e: Emitter, stream: string): string {
  const { left } = e.scope;
  if (!left.has(strideName)) left.set(wholeName, stream);
  left.set(unpooledName, stream);
  left.set(strideName, String(2 * strideOf(e)));
  const tokens = e.length(stream, 1);
  const odd = e.node("Mod", [tokens, e.list([2])]);
  const filled = e.concat([stream, e.slice(stream, 1, e.subtract(tokens, odd))], 1);
  const half = e.node("Div", [e.add(tokens, odd), e.list([2])]);
  const pairs = e.reshape(filled, [0, half, 2, e.length(stream, 2)]);
  return e.node("ReduceMean", [pairs, e.list([2])], { keepdims: int(0) });
}

/** Whether what was pooled becomes as long as the text again with this block. */
export function isUnpooling(block: Block, { scope }: Emitter): boolean {
  const tokens = block.values.get(block.inputs[0] ?? "")?.shape[1];
  return scope.left.has(strideName) && tokens?.minus(n).isZero === true;
}

/** Every token repeated to the length of the text, and what the first stack made of it. */
export function unpool(e: Emitter, stream: string): string {
  const { builder, left } = e.scope;
  const before = left.get(wholeName) ?? "";
  const tokens = e.node("Range", [builder.integer(0), e.alone(e.length(before, 1)), builder.integer(1)]);
  const rows = e.node("Div", [tokens, e.list([strideOf(e)])]);
  left.delete(strideName);
  return e.add(e.node("Gather", [stream, rows], { axis: int(1) }), before);
}
