import type { Norm, Rwkv } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { int } from "../proto.js";
import { unsupported } from "../unsupported.js";
import { evenBlocks } from "./even-blocks.js";
import { tokenBefore } from "./rwkv.js";

/** Tokens of a chunk: decays over so many stay far from the limits of float32. */
const chunkTokens = 16;
/** Squarings until a strictly triangular matrix of that size has vanished. */
const squarings = Math.log2(chunkTokens) - 1;
/** The strongest decay is exp(−exp(−1/2)). */
const fastest = Math.exp(-0.5);
/** Added to the mean square under the root that removal keys are divided by. */
const lengthEpsilon = 1e-12;
const handedOn = "rwkv7.value";

/** What the recurrence takes, [b, n, width] each. */
interface Steps {
  readonly receptance: string;
  readonly key: string;
  readonly value: string;
  /** Logarithm of the decay w. */
  readonly decay: string;
  /** The direction κ that is removed, of length 1 per head, and how much of it: a. */
  readonly removed: string;
  readonly rate: string;
}

/**
 * Time mixing of RWKV 7 (Goose, arXiv:2503.14456): S ← diag(w)·S − (a ⊙ κ)·(κᵀ·S) + k·vᵀ, read as Sᵀ·r. Values of the
 * first layer are mixed into those of all others.
 */
export function addRwkv7(e: Emitter, input: string, mixer: Rwkv, norm: Norm, hidden: number): string {
  const { builder } = e.scope;
  const { width, headDim } = mixer;
  const heads = width / headDim;
  const before = e.subtract(tokenBefore(e, input, hidden), input);
  const [r = "", w = "", k = "", v = "", a = "", g = ""] = e
    .rows(e.weight("time_mix"), 6)
    .map((share) => e.add(input, e.multiply(before, share)));
  const low = (name: string, from: string, bend: (x: string) => string = (x) => x): string =>
    e.linear(`${name}_up`, bend(e.linear(`${name}_down`, from)));
  const receptance = e.linear("receptance", r);
  const raw = e.add(
    low("decay", w, (x) => e.node("Tanh", [x])),
    e.weight("decay_base"),
  );
  const rate = e.sigmoid(e.add(low("rate", a), e.weight("rate_base")));
  const plainKey = e.linear("key", k);
  const apart = (from: string): string => e.reshape(from, [0, 0, heads, headDim]);
  // An RMS norm divides by the root of the mean instead of the sum.
  const unit = builder.repeated(1 / Math.sqrt(headDim), headDim);
  const removed = e.rms(apart(e.multiply(plainKey, e.weight("key_norm"))), unit, lengthEpsilon);
  const less = e.multiply(e.subtract(rate, builder.scalar(1)), e.weight("key_rate"));
  const key = e.multiply(plainKey, e.add(less, builder.scalar(1)));
  const value = mixedValue(e, v, e.linear("value", v), mixer);
  const read = addRecurrence(
    e,
    {
      receptance,
      key,
      value,
      decay: e.scale(e.sigmoid(raw), -fastest),
      removed: e.reshape(removed, [0, 0, width]),
      rate,
    },
    heads,
    headDim,
  );
  const normed = e.multiply(
    e.normalised(apart(read), "layer", headDim, norm.epsilon),
    e.weight("norm.weight", norm.offset),
  );
  const pair = e.multiply(e.multiply(apart(receptance), apart(key)), e.weight("bonus"));
  const own = e.multiply(e.node("ReduceSum", [pair, e.list([-1])], { keepdims: int(1) }), apart(value));
  const mixed = e.reshape(e.add(e.add(normed, e.weight("norm.bias")), own), [0, 0, width]);
  return e.linear(
    "output",
    e.multiply(
      mixed,
      low("gate", g, (x) => e.sigmoid(x)),
    ),
  );
}

/** The layer's values, and a share of the first layer's; that layer leaves its own. */
function mixedValue(e: Emitter, input: string, value: string, { first }: Rwkv): string {
  const { left } = e.scope;
  if (first === true) {
    left.set(handedOn, value);
    return value;
  }
  const theirs = left.get(handedOn);
  if (theirs === undefined) throw unsupported(e.name, "no first layer of RWKV 7 before it");
  const small = e.linear("value_mix_up", e.linear("value_mix_down", input));
  const share = e.sigmoid(e.add(small, e.weight("value_base")));
  return e.add(value, e.multiply(e.subtract(theirs, value), share));
}

/**
 * The recurrence in chunks. With Γ the decays multiplied up inside a chunk, α = −κ·Γ of the token before, β = a·κ/Γ,
 * k/Γ and r·Γ, the removals of a chunk solve U = tril(α·βᵀ)·U + tril(α·k̃ᵀ)·V + α·S, which a triangular inverse does at
 * once. What a chunk does to the state is then S ← Φ·S + Ψ: all Φ and Ψ are products over all chunks together, and only
 * that one step goes from chunk to chunk.
 */
function addRecurrence(e: Emitter, steps: Steps, heads: number, dim: number): string {
  const { builder } = e.scope;
  const n = e.length(steps.key, 1);
  const { blocks: chunks, rows, padded } = evenBlocks(e, n, builder.integers([chunkTokens]));
  const missing = e.concat([builder.integers([0, 0, 0, 0]), e.subtract(padded, n), builder.integers([0])], 0);
  // [b, n, heads·dim] → [chunks, b, heads, rows, dim]; what is filled up with zeros changes nothing.
  const cut = (from: string): string =>
    e.transpose(
      e.node("Reshape", [e.node("Pad", [from, missing]), e.list([0, chunks, rows, heads, dim])]),
      [1, 0, 3, 2, 4],
    );
  const log = cut(steps.decay);
  const summed = e.node("CumSum", [log, builder.integer(3)]);
  const grown = e.node("Exp", [summed]);
  const shrunk = e.node("Exp", [e.node("Neg", [summed])]);
  const removed = cut(steps.removed);
  const alpha = e.node("Neg", [e.multiply(removed, e.node("Exp", [e.subtract(summed, log)]))]);
  const beta = e.multiply(e.multiply(removed, cut(steps.rate)), shrunk);
  const key = e.multiply(cut(steps.key), shrunk);
  const receptance = e.multiply(cut(steps.receptance), grown);
  const value = cut(steps.value);
  const lower = (a: string, b: string, diagonal: number): string =>
    e.node("Trilu", [e.transposedProduct(a, b, 1, { rank: 5 }), builder.integer(diagonal)], { upper: int(0) });
  const inverse = addInverse(e, lower(alpha, beta, -1));
  const solved = e.matmul(inverse, alpha);
  const written = e.matmul(inverse, e.matmul(lower(alpha, key, -1), value));
  const readRemoved = lower(receptance, beta, 0);
  const readState = e.add(receptance, e.matmul(readRemoved, solved));
  const readInside = e.add(e.matmul(readRemoved, written), e.matmul(lower(receptance, key, 0), value));
  const turned = (from: string): string => e.transpose(from, [0, 1, 2, 4, 3]);
  // The decay of the whole chunk, [chunks, b, heads, dim, 1].
  const whole = turned(e.slice(grown, 3, -1));
  const identity = e.node("EyeLike", [e.expand(builder.scalar(0), [dim, dim])]);
  const step = e.multiply(e.add(e.matmul(turned(beta), solved), identity), whole);
  const added = e.multiply(e.add(e.matmul(turned(beta), written), e.matmul(turned(key), value)), whole);
  const state = e.scope.state([heads, dim, dim]);
  const [last = "", states = ""] = e.loop(e.alone(chunks), [{ value: state.past, rank: 4 }], (index, [before = ""]) => {
    const at = (from: string): string => e.node("Gather", [from, index]);
    const next = e.add(e.matmul(at(step), before), at(added));
    return { carried: [next], stacked: [{ value: e.node("Identity", [before]), rank: 4 }] };
  });
  e.into(state.present, "Identity", [last]);
  const read = e.add(e.matmul(readState, states), readInside);
  const inOrder = e.reshape(e.transpose(read, [1, 0, 3, 2, 4]), [0, padded, heads * dim]);
  return e.slice(inOrder, 1, 0, n);
}

/** (I − A)⁻¹ of a strictly triangular A: (I + A)·(I + A²)·(I + A⁴)… */
function addInverse(e: Emitter, matrix: string): string {
  const { builder } = e.scope;
  const size = e.length(matrix, 3);
  const identity = e.node("EyeLike", [e.expand(builder.scalar(0), [size, size])]);
  let power = matrix;
  let inverse = e.add(matrix, identity);
  for (let i = 0; i < squarings; i += 1) {
    power = e.matmul(power, power);
    inverse = e.matmul(inverse, e.add(power, identity));
  }
  return inverse;
}
