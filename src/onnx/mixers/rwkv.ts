import type { Rwkv, Rwkv4, RwkvFfn } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { int } from "../proto.js";
import type { Around } from "./around.js";
import { addLinearRecurrence } from "./linear-recurrence.js";

/** The token before each, [b, n, hidden]: zeros before the first. The last token is handed on as a state. */
export function tokenBefore(e: Emitter, input: string, hidden: number): string {
  const state = e.scope.state([1, hidden]);
  const both = e.concat([state.past, input], 1);
  const n = e.length(input, 1);
  e.into(state.present, "Slice", [both, n, e.add(n, e.list([1])), e.list([1])]);
  return e.slice(both, 1, 0, n);
}

/** x·μ + x′·(1 − μ). */
function mix(e: Emitter, input: string, before: string, share: string): string {
  return e.add(before, e.multiply(e.subtract(input, before), share));
}

/**
 * Time mixing of RWKV 4 (arXiv:2305.13048): per channel a mean of earlier values weighed by exp(k), decaying by
 * exp(−exp(time_decay)), the present token with a bonus of its own.
 */
export function addRwkv4(e: Emitter, input: string, { width }: Rwkv4, { hidden }: Around): string {
  const before = tokenBefore(e, input, hidden);
  const project = (name: "key" | "value" | "receptance"): string =>
    e.linear(name, mix(e, input, before, e.weight(`time_mix_${name}`)));
  const key = project("key");
  const value = project("value");
  const rate = e.node("Exp", [e.weight("time_decay")]);
  const batch = e.length(input, 0);
  const n = e.length(input, 1);
  // Numerator and denominator are two columns of one state per channel.
  const pair = (weight: string): string => {
    const alone = e.node("Unsqueeze", [weight, e.list([3])]);
    return e.concat([e.node("Unsqueeze", [e.multiply(weight, value), e.list([3])]), alone], 3);
  };
  const entering = pair(e.node("Exp", [key]));
  const summed = addLinearRecurrence(e, {
    queryHeads: 1,
    heads: width,
    keyDim: 1,
    valueDim: 2,
    query: e.expand(e.scope.builder.scalar(1), [batch, n, 1]),
    key: e.expand(e.scope.builder.scalar(1), [batch, n, 1]),
    value: e.reshape(entering, [0, 0, 2 * width]),
    decay: e.expand(e.node("Neg", [rate]), [batch, n, width]),
  });
  // What was there before this token came: the sum without it, its last decay undone.
  const earlier = e.multiply(
    e.subtract(e.reshape(summed, [0, 0, width, 2]), entering),
    e.reshape(e.node("Exp", [rate]), [width, 1]),
  );
  const now = pair(e.node("Exp", [e.add(key, e.weight("time_first"))]));
  const [numerator = "", denominator = ""] = e.split(e.add(earlier, now), [1, 1]);
  const mean = e.reshape(e.node("Div", [numerator, denominator]), [0, 0, width]);
  return e.linear("output", e.multiply(e.sigmoid(project("receptance")), mean));
}

/** Channel mixing of RWKV: value(relu²(key(x))), gated by receptance(x) where there is one. */
export function addRwkvFfn(e: Emitter, input: string, ffn: RwkvFfn, { hidden }: Around): string {
  const before = tokenBefore(e, input, hidden);
  const key = e.linear("key", mix(e, input, before, e.weight("time_mix_key")));
  const positive = e.node("Relu", [key]);
  const value = e.linear("value", e.multiply(positive, positive));
  if (ffn.ungated === true) return value;
  const receptance = e.linear("receptance", mix(e, input, before, e.weight("time_mix_receptance")));
  return e.multiply(value, e.sigmoid(receptance));
}

/** Time mixing of RWKV 5 and 6 (`Rwkv` has the papers): S ← diag(w)·S + kᵀv; output r·(diag(u)·kᵀv + S before). */
export function addRwkv(e: Emitter, input: string, mixer: Rwkv, { norm, hidden }: Around): string {
  const { width, headDim } = mixer;
  const heads = width / headDim;
  const { receptance, key, value, gate, decay } =
    mixer.version === 5 ? mixedInFive(e, input, hidden, width) : mixedInSix(e, input, hidden, mixer.ranks.mix);
  const n = e.length(input, 1);
  const state = e.scope.state([heads, headDim, headDim]);
  const next = e.concat([e.slice(receptance, 1, 1), e.slice(receptance, 1, -1)], 1);
  // Asked with the receptance of the token after, the state after a token is the state before that one.
  const after = addLinearRecurrence(e, {
    binding: state,
    queryHeads: heads,
    heads,
    keyDim: headDim,
    valueDim: headDim,
    query: next,
    key,
    value,
    decay,
  });
  const first = e.transpose(e.reshape(e.slice(receptance, 1, 0, 1), [0, 1, heads, headDim]), [0, 2, 1, 3]);
  const read = e.reshape(e.transpose(e.matmul(first, state.past), [0, 2, 1, 3]), [0, 1, width]);
  const earlier = e.slice(e.concat([read, after], 1), 1, 0, n);
  const apart = (from: string): string => e.reshape(from, [0, 0, heads, headDim]);
  const pair = e.multiply(e.multiply(apart(receptance), apart(key)), e.weight("bonus"));
  const own = e.multiply(e.node("ReduceSum", [pair, e.list([-1])], { keepdims: int(1) }), apart(value));
  const mixed = e.add(apart(earlier), own);
  const normed = e.multiply(e.normalised(mixed, "layer", headDim, norm.epsilon), e.weight("norm.weight", norm.offset));
  const grouped = e.reshape(e.add(normed, e.weight("norm.bias")), [0, 0, width]);
  return e.linear("output", e.multiply(grouped, e.silu(gate)));
}

interface Mixed {
  readonly receptance: string;
  readonly key: string;
  readonly value: string;
  readonly gate: string;
  /** Logarithm of w, [b, n, width]. */
  readonly decay: string;
}

function mixedInFive(e: Emitter, input: string, hidden: number, width: number): Mixed {
  const before = tokenBefore(e, input, hidden);
  const [key = "", value = "", receptance = "", gate = ""] = e.rows(e.weight("time_mix"), 4);
  const project = (name: string, share: string): string => e.linear(name, mix(e, input, before, share));
  const rate = e.reshape(e.node("Neg", [e.node("Exp", [e.weight("decay")])]), [width]);
  return {
    receptance: project("receptance", receptance),
    key: project("key", key),
    value: project("value", value),
    gate: project("gate", gate),
    decay: e.expand(rate, [e.length(input, 0), e.length(input, 1), width]),
  };
}

/** Each of the five inputs is mixed with the token before by a share that depends on the token itself. */
function mixedInSix(e: Emitter, input: string, hidden: number, rank: number): Mixed {
  const before = e.subtract(tokenBefore(e, input, hidden), input);
  const [base = "", ...fixed] = e.rows(e.weight("time_mix"), 6);
  const down = e.node("Tanh", [e.linear("mix_down", e.add(input, e.multiply(before, base)))]);
  const parts = e.split(down, [rank, rank, rank, rank, rank]);
  const ups = e.nodes("Split", [e.weight("mix_up.weight"), e.list(Array<number>(5).fill(hidden))], 5, { axis: int(0) });
  const [w = "", k = "", v = "", r = "", g = ""] = fixed.map((share, i) => {
    const own = e.transposedProduct(parts[i] ?? "", ups[i] ?? "", 1, { rank: 2 });
    return e.add(input, e.multiply(before, e.add(share, own)));
  });
  const low = e.linear("decay_up", e.node("Tanh", [e.linear("decay_down", w)]));
  const raw = e.add(low, e.reshape(e.weight("decay"), [-1]));
  return {
    receptance: e.linear("receptance", r),
    key: e.linear("key", k),
    value: e.linear("value", v),
    gate: e.linear("gate", g),
    decay: e.node("Neg", [e.node("Exp", [raw])]),
  };
}
