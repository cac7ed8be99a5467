import type { Attention, DenseFfn, Norm } from "../../model/types.js";
import { Emitter } from "../emitter.js";
import { masked } from "../masked.js";
import { float, int } from "../proto.js";
import { activated } from "./gated.js";

/*
 * An encoder whose tokens attend to their block and to global tokens (Pegasus-X, arXiv:2208.04347). The global ones are the
 * stack's own, attend to everything and pass every layer by the same weights, with a norm of their own before attention.
 */

/** Name under which a stack leaves the global tokens, [b, rows, hidden]. */
const globalsName = "globals";

/** The stack's global tokens, for every sequence of the batch. */
export function leaveGlobals(e: Emitter, stream: string): void {
  const own = e.weight("global_tokens");
  const batch = e.length(stream, 0);
  e.scope.left.set(globalsName, e.expand(e.node("Unsqueeze", [own, e.list([0])]), [batch, 1, 1]));
}

export function hasGlobals(e: Emitter): boolean {
  return e.has("global_norm");
}

function layerNorm(e: Emitter, x: string, weight: string, bias: string, epsilon: number): string {
  return e.node("LayerNormalization", [x, weight, bias], { axis: int(-1), epsilon: float(epsilon) });
}

/** @returns what attention makes of the tokens, projected, [b, n, hidden]; the global ones go on */
export function addGlobalAttention(e: Emitter, input: string, mixer: Attention, size: number, norm: Norm): string {
  const { heads, keyDim, valueDim, scale } = mixer;
  const { left } = e.scope;
  const globals = left.get(globalsName) ?? "";
  const [weight = "", bias = ""] = e.rows(e.beside("extra").weight("global_norm"), 2);
  const seen = layerNorm(e, globals, weight, bias, norm.epsilon);
  const widths = [heads * keyDim, heads * keyDim, heads * valueDim];
  const sides = ["query", "key", "value"] as const;
  const [query = "", key = "", value = ""] = e.split(e.linears(sides, input), widths);
  const apart = new Emitter(e.scope, e.name, "attention", `${e.name}.${globalsName}`);
  const [queryOf = "", keyOf = "", valueOf = ""] = sides.map((side) => apart.linear(side, seen));
  const all = [queryOf, e.concat([keyOf, key], 1), e.concat([valueOf, value], 1)];
  const attended = e.own("MultiHeadAttention", all, { num_heads: int(heads), scale: float(scale) });
  left.set(globalsName, e.add(globals, apart.linear("output", attended)));
  const turned = (x: string, dim: number): string => e.transpose(e.reshape(x, [0, 0, heads, dim]), [0, 2, 1, 3]);
  const everywhere = { keys: turned(keyOf, keyDim), values: turned(valueOf, valueDim) };
  return e.linear("output", addBlocks(e, [query, key, value], everywhere, mixer, size));
}

/** Each block of tokens to itself and to the global ones, block by block; blocks of some layers begin half a block earlier. */
function addBlocks(
  e: Emitter,
  [query, key, value]: readonly [string, string, string],
  globals: { readonly keys: string; readonly values: string },
  { heads, keyDim, valueDim, scale, staggered }: Attention,
  size: number,
): string {
  const { builder } = e.scope;
  const before = staggered === true ? Math.floor(size / 2) : 0;
  const tokens = e.length(query, 1);
  const end = e.add(tokens, e.list([before]));
  const blocks = e.node("Div", [e.add(end, e.list([size - 1])), e.list([size])]);
  const whole = e.multiply(blocks, e.list([size]));
  const pads = e.list([0, before, 0, 0, e.subtract(whole, end), 0]);
  /** [blocks, b, heads, size, dim] */
  const cut = (x: string, dim: number): string =>
    e.transpose(e.reshape(e.node("Pad", [x, pads]), [0, blocks, size, heads, dim]), [1, 0, 3, 2, 4]);
  const parts = [cut(query, keyDim), cut(key, keyDim), cut(value, valueDim)] as const;
  const places = e.node("Range", [builder.integer(0), e.alone(whole), builder.integer(1)]);
  const early = e.node("Less", [places, e.list([before])]);
  const outside = e.node("Or", [early, e.node("GreaterOrEqual", [places, end])]);
  const mask = e.reshape(e.node("Where", [outside, builder.scalar(masked), builder.scalar(0)]), [-1, 1, 1, size]);
  const [stacked = ""] = e.loop(e.alone(blocks), [], (index) => {
    const now = (x: string): string => e.node("Gather", [x, index]);
    const [q = "", k = "", v = ""] = parts.map(now);
    const near = e.add(e.transposedProduct(q, k, scale), now(mask));
    const weights = e.softmax(e.concat([e.transposedProduct(q, globals.keys, scale), near], 3));
    return {
      carried: [],
      stacked: [{ value: e.matmul(weights, e.concat([globals.values, v], 2)), rank: 4 }],
    };
  });
  // [blocks, b, heads, size, dim] → [b, blocks · size, heads · dim], and the tokens among them.
  const flat = e.reshape(e.transpose(stacked, [1, 0, 3, 2, 4]), [0, -1, heads * valueDim]);
  return e.slice(flat, 1, before, end);
}

/** The global tokens through the layer's network. */
export function passGlobals(e: Emitter, { activation }: DenseFfn, norm: Norm): void {
  const { left, scope } = { left: e.scope.left, scope: e.scope };
  const globals = left.get(globalsName) ?? "";
  const ffn = new Emitter(scope, "ffn", "ffn", `ffn.${globalsName}`);
  const normed = layerNorm(ffn, globals, ffn.weight("pre_norm.weight"), ffn.weight("pre_norm.bias"), norm.epsilon);
  const raised = activated(ffn, activation, ffn.linear("up", normed));
  left.set(globalsName, ffn.add(globals, ffn.linear("down", raised)));
}
