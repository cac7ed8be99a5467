import type { Linformer, NystromAttention } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { int, ints } from "../proto.js";

/** Iterations of the pseudo-inverse (arXiv:2102.03902, equation 13). */
const inverseIterations = 6;

/**
 * Linformer (arXiv:2006.04768): keys and values of all tokens are weighed together to `length` rows by learned matrices,
 * of which a sequence uses as many columns as it has tokens.
 */
export function addLinformer(e: Emitter, input: string, mixer: Linformer): string {
  const { heads, headDim, shared } = mixer;
  const n = e.length(input, 1);
  const shortened = (side: "key" | "value"): string => {
    const weights = e.slice(e.weight(`${shared ? "sequence" : `${side}_sequence`}.weight`), 1, 0, n);
    return byHead(e, e.matmul(weights, e.linear(side, input)), heads, headDim);
  };
  const query = byHead(e, e.linear("query", input), heads, headDim);
  const weights = e.softmax(e.transposedProduct(query, shortened("key"), headDim ** -0.5));
  return e.linear("output", together(e, e.matmul(weights, shortened("value")), heads * headDim));
}

/** [b, n, heads·dim] → [b, heads, n, dim]. */
function byHead(e: Emitter, input: string, heads: number, dim: number): string {
  return e.transpose(e.reshape(input, [0, 0, heads, dim]), [0, 2, 1, 3]);
}

function together(e: Emitter, mixed: string, width: number): string {
  return e.reshape(e.transpose(mixed, [0, 2, 1, 3]), [0, 0, width]);
}

/**
 * Nyström attention (arXiv:2102.03902): softmax(q·k̃ᵀ)·softmax(q̃·k̃ᵀ)⁺·softmax(q̃·kᵀ)·v, where q̃ and k̃ are means of as
 * many stretches of the sequence as there are landmarks. A sequence no longer than that has full attention.
 */
export function addNystrom(e: Emitter, input: string, mixer: NystromAttention): string {
  const { heads, headDim, landmarks, convolution } = mixer;
  const side = (name: string): string => byHead(e, e.linear(name, input), heads, headDim);
  const scale = headDim ** -0.25;
  const [query, key, value] = [e.scale(side("query"), scale), e.scale(side("key"), scale), side("value")];
  const short = e.node("LessOrEqual", [e.length(input, 1), e.list([landmarks])]);
  const full = (): readonly string[] => [e.matmul(e.softmax(e.transposedProduct(query, key)), value)];
  const approximate = (): readonly string[] => {
    const means = stretches(e, input, landmarks);
    const [fewQueries, fewKeys] = [e.matmul(means, query), e.matmul(means, key)];
    const left = e.softmax(e.transposedProduct(query, fewKeys));
    const middle = e.softmax(e.transposedProduct(fewQueries, fewKeys));
    const right = e.softmax(e.transposedProduct(fewQueries, key));
    return [e.matmul(e.matmul(left, pseudoInverse(e, middle, landmarks)), e.matmul(right, value))];
  };
  const [mixed = ""] = e.either(short, [4], full, approximate);
  const summed = convolution === null ? mixed : e.add(mixed, alongTokens(e, value, heads, convolution));
  return e.linear("output", together(e, summed, heads * headDim));
}

/** A matrix [landmarks, n] whose row i takes the mean of tokens ⌊i·n/landmarks⌋ to the next such bound. */
function stretches(e: Emitter, input: string, landmarks: number): string {
  const { builder } = e.scope;
  const n = e.length(input, 1);
  const count = builder.integers([landmarks]);
  const tokens = e.node("Range", [builder.integer(1), e.alone(e.add(n, e.list([1]))), builder.integer(1)]);
  // Token j is in stretch ⌊((j + 1)·landmarks − 1) / n⌋.
  const stretch = e.node("Div", [e.subtract(e.multiply(tokens, count), e.list([1])), n]);
  const rows = e.node("Range", [builder.integer(0), builder.integer(landmarks), builder.integer(1)]);
  const member = e.toFloat(e.node("Equal", [stretch, e.node("Unsqueeze", [rows, e.list([1])])]));
  return e.node("Div", [member, e.node("ReduceSum", [member, e.list([1])], { keepdims: int(1) })]);
}

/** The iterated inverse of the paper: Z ← ¼·Z·(13 − A·Z·(15 − A·Z·(7 − A·Z))), from Aᵀ over its largest column sum. */
function pseudoInverse(e: Emitter, matrix: string, size: number): string {
  const identity = e.node("EyeLike", [e.expand(e.scope.builder.scalar(0), [size, size])]);
  const sums = e.node("ReduceSum", [matrix, e.list([-2])], { keepdims: int(1) });
  const largest = e.node("ReduceMax", [sums, e.list([-1])], { keepdims: int(1) });
  const less = (factor: number, what: string): string => e.subtract(e.scale(identity, factor), what);
  let inverse = e.node("Div", [e.transpose(matrix, [0, 1, 3, 2]), largest]);
  for (let i = 0; i < inverseIterations; i += 1) {
    const product = e.matmul(matrix, inverse);
    const inner = less(15, e.matmul(product, less(7, product)));
    inverse = e.scale(e.matmul(inverse, less(13, e.matmul(product, inner))), 0.25);
  }
  return inverse;
}

/** A convolution of the values over the tokens, one kernel per head, as many tokens on either side. */
function alongTokens(e: Emitter, value: string, heads: number, kernel: number): string {
  const weight = e.reshape(e.weight("value_convolution.weight"), [heads, 1, kernel, 1]);
  const before = Math.floor(kernel / 2);
  return e.node("Conv", [value, weight], {
    group: int(heads),
    kernel_shape: ints([kernel, 1]),
    pads: ints([before, 0, kernel - 1 - before, 0]),
  });
}
