import type { Block, NormOperator } from "../graph/types.js";
import type { Emitter } from "./emitter.js";
import { addProductOfTurned, addTransposedProduct } from "./product.js";
import { int } from "./proto.js";
import { isAlternating, readAlternating } from "./alternating.js";
import { isReversible, readReversible } from "./reversible.js";

/*
 * Several residual streams (DeepSeek-V4's hyper-connections): each branch reads a weighed sum of them, and what it makes is
 * added to a mixture of them. [b, n, streams·hidden], one stream behind the other.
 */

/** Steps that make the rows and columns of a mixture sum to 1, and what keeps its divisors from 0 (published configs). */
const [balancingSteps, least] = [20, 1e-6];
/** Epsilon of the norm in front of the weights (published configs). */
const epsilon = 1e-6;

/** What the streams were left under: names of the parameters that join them, and what the branch in progress mixes by. */
const [joinWeight, joinBias, joinScale] = ["streams.join.weight", "streams.join.bias", "streams.join.scale"];
const [outgoing, mixture] = ["streams.out", "streams.mixture"];

/** Weights of the streams before they are bent, [b, n, outWidth]: a projection of all of them together, normed. */
function weighed(e: Emitter, streams: string, width: number, weight: string): string {
  return projected(e, e.normalised(streams, "rms", width, epsilon), weight);
}

/** x·Wᵀ with a matrix. */
function projected(e: Emitter, x: string, weight: string): string {
  const name = e.fresh("FusedMatMul");
  return e.tagged(() => addTransposedProduct(e.scope.builder, name, [x, weight], { rank: 2 }));
}

/** x·scale + base, for a part of the weights. */
function bent(e: Emitter, x: string, scale: string, base: string): string {
  return e.add(e.multiply(x, scale), base);
}

function summed(e: Emitter, shares: string, streams: string, count: number): string {
  const product = e.matmul(e.reshape(shares, [0, 0, 1, count]), e.reshape(streams, [0, 0, count, -1]));
  return e.reshape(product, [0, 0, -1]);
}

/** Copies of the stream, as many as the model has; what joins them at the end is left for the final norm. */
export function openStreams(e: Emitter, stream: string): string {
  const [count = 1] = e.scope.weight("extra.join_streams.weight").weight.shape;
  e.scope.left.set(joinWeight, e.weight("join_streams.weight"));
  e.scope.left.set(joinBias, e.weight("join_streams.bias"));
  e.scope.left.set(joinScale, e.weight("join_scale"));
  return e.concat(Array<string>(count).fill(stream), 2);
}

/** What a norm reads: the stream, or what a branch or the final norm takes of several. */
export function readStreams(e: Emitter, operator: NormOperator, block: Block): string {
  const { scope } = e;
  const streams = scope.value(operator.input);
  const { width } = operator;
  const weight = scope.left.get(joinWeight);
  if (block.name === "final_norm" && weight !== undefined) {
    const [bias = "", scale = ""] = [joinBias, joinScale].map((name) => scope.left.get(name) ?? "");
    return joined(e, streams, width, { weight, bias, scale });
  }
  if (isReversible(e)) return readReversible(e, streams, operator);
  if (isAlternating(e)) return readAlternating(e, operator, block, streams);
  const branch = operator.name.replace(".pre_norm", "");
  if (!e.has(`${branch}_streams.weight`)) return streams;
  const [rows = 0, all = 0] = scope.weight(`extra.${branch}_streams.weight`).weight.shape;
  const count = all / width;
  const sizes = [count, count, rows - 2 * count];
  const scales = e.rows(e.weight("stream_scales"), 2)[branch === "mixer" ? 0 : 1] ?? "";
  const [into = "", out = "", across = ""] = e.split(
    weighed(e, streams, all, e.weight(`${branch}_streams.weight`)),
    sizes,
  );
  const [intoBase = "", outBase = "", acrossBase = ""] = e.split(e.weight(`${branch}_streams.bias`), sizes);
  const [intoScale = "", outScale = "", acrossScale = ""] = e.split(scales, [1, 1, 1]);
  const square = e.reshape(bent(e, across, acrossScale, acrossBase), [0, 0, count, count]);
  scope.left.set(outgoing, e.scale(e.sigmoid(bent(e, out, outScale, outBase)), 2));
  scope.left.set(mixture, balanced(e, square));
  const shares = e.add(e.sigmoid(bent(e, into, intoScale, intoBase)), scope.builder.scalar(least));
  return summed(e, shares, streams, count);
}

interface Join {
  readonly weight: string;
  readonly bias: string;
  readonly scale: string;
}

function joined(e: Emitter, streams: string, width: number, { weight, bias, scale }: Join): string {
  const apart = e.reshape(streams, [0, 0, -1, width]);
  const flat = e.node("SimplifiedLayerNormalization", [streams, ones(e, streams)], {
    axis: int(-1),
    epsilon: { kind: "float", value: epsilon },
  });
  const raw = projected(e, flat, weight);
  const shares = e.add(e.sigmoid(bent(e, raw, scale, bias)), e.scope.builder.scalar(least));
  return e.reshape(e.matmul(e.node("Unsqueeze", [shares, e.list([2])]), apart), [0, 0, width]);
}

/** A vector of ones, as wide as a value. */
function ones(e: Emitter, like: string): string {
  return e.expand(e.scope.builder.scalar(1), [e.length(like, 2)]);
}

/** Softmax of each row, then columns and rows divided by their sums in turn (Sinkhorn and Knopp). */
function balanced(e: Emitter, square: string): string {
  const small = e.scope.builder.scalar(least);
  const divided = (x: string, axis: number): string =>
    e.node("Div", [x, e.add(e.node("ReduceSum", [x, e.list([axis])], { keepdims: int(1) }), small)]);
  let result = divided(e.add(e.softmax(square), small), -2);
  for (let step = 1; step < balancingSteps; step += 1) result = divided(divided(result, -1), -2);
  return result;
}

/** What a branch's result is added to, and the result as it is added: both for all streams, [b, n, streams·hidden]. */
export function writeStreams(e: Emitter, streams: string, leaving: string, hidden: number): readonly string[] {
  const [out = "", across = ""] = [outgoing, mixture].map((name) => e.scope.left.get(name) ?? "");
  const apart = e.reshape(streams, [0, 0, -1, hidden]);
  const name = e.fresh("FusedMatMul");
  const mixed = e.tagged(() => addProductOfTurned(e.scope.builder, name, [across, apart], 4));
  const spread = e.multiply(e.node("Unsqueeze", [out, e.list([3])]), e.node("Unsqueeze", [leaving, e.list([2])]));
  const flat = (x: string): string => e.node("Reshape", [x, e.node("Shape", [streams])]);
  return [flat(mixed), flat(spread)];
}
