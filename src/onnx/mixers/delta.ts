import type { DeltaRule } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { int } from "../proto.js";
import type { Around } from "./around.js";
import { addConvolution } from "./convolution.js";
import { addLinearRecurrence } from "./linear-recurrence.js";

/** Added to the sum of squares under the root that queries and keys are divided by. */
const lengthEpsilon = 1e-6;

/**
 * Delta rule, DeltaNet (arXiv:2406.06484), and gated ones. Queries, keys and values pass a convolution and SiLU; queries and keys are normed to length 1.
 * Gated DeltaNet (arXiv:2412.06464): decay exp(−exp(decay_base)·softplus(a + time_bias)) per head, output gated by
 * SiLU. Kimi Delta Attention (arXiv:2510.26692): the same decay per channel of the key, output gated by a sigmoid.
 */
export function addDeltaRule(e: Emitter, input: string, mixer: DeltaRule, { norm }: Around): string {
  const { keyHeads, valueHeads, keyDim, valueDim } = mixer;
  const { builder } = e.scope;
  const [keys, values] = [keyHeads * keyDim, valueHeads * valueDim];
  const perChannel = mixer.decay === "per-channel";
  const projected = e.linear("query_key_value", input);
  const width = 2 * keys + values;
  const kernel = mixer.convolution;
  const convolved =
    mixer.dynamicConvolution === undefined
      ? addConvolution(e, projected, "convolution", { width, kernel, activation: "silu" })
      : e.silu(convolvedAnew(e, input, projected, { keys: 2 * keys, values, kernel }));
  const [query = "", key = "", value = ""] = e.split(convolved, [keys, keys, values]);
  const unit = (from: string): string => {
    const heads = e.reshape(from, [0, 0, keyHeads, keyDim]);
    // An RMS norm divides by the root of the mean instead of the sum.
    const epsilon = lengthEpsilon / keyDim;
    return e.reshape(e.rms(heads, builder.repeated(1 / Math.sqrt(keyDim), keyDim), epsilon), [0, 0, keys]);
  };
  const through = (name: string, rank: number | null): string =>
    rank === null ? e.linear(name, input) : e.linear(`${name}_up`, e.linear(`${name}_down`, input));
  const decayed = (): string => {
    const times = e.node("Softplus", [e.add(through("decay", mixer.decayRank), e.weight("time_bias"))]);
    const rate = e.node("Neg", [e.node("Exp", [e.weight("decay_base")])]);
    if (!perChannel) return e.multiply(times, rate);
    const byChannel = e.multiply(e.reshape(times, [0, 0, valueHeads, keyDim]), e.reshape(rate, [valueHeads, 1]));
    return e.reshape(byChannel, [0, 0, valueHeads * keyDim]);
  };
  const mixed = addLinearRecurrence(e, {
    queryHeads: keyHeads,
    heads: valueHeads,
    keyDim,
    valueDim,
    query: unit(query),
    key: unit(key),
    value,
    ...(mixer.decay === "none" ? {} : { decay: decayed() }),
    strength: e.sigmoid(e.linear("strength", input)),
    scale: keyDim ** -0.5,
  });
  const heads = e.reshape(mixed, [0, 0, valueHeads, valueDim]);
  const normed = e.reshape(e.rms(heads, e.weight("norm.weight", norm.offset), norm.epsilon), [0, 0, values]);
  if (mixer.ungated === true) return e.linear("out", normed);
  const gate = through("gate", mixer.gateRank);
  return e.linear("out", e.multiply(normed, perChannel ? e.sigmoid(gate) : e.silu(gate)));
}

/**
 * Queries and keys as they are, values through a causal convolution whose kernels are made for every token and channel from
 * the token itself (JetBlock, arXiv:2508.15884). @returns [b, n, keys + values]
 */
function convolvedAnew(
  e: Emitter,
  input: string,
  projected: string,
  { keys, values, kernel }: { readonly keys: number; readonly values: number; readonly kernel: number },
): string {
  const [left = "", value = ""] = e.split(projected, [keys, values]);
  const made = e.linear("kernel_up", e.silu(e.linear("kernel_down", input)));
  const taps = e.nodes("Split", [e.reshape(made, [0, 0, values, kernel])], kernel, {
    axis: int(3),
    num_outputs: int(kernel),
  });
  const state = e.scope.state([kernel - 1, values]);
  const all = e.concat([state.past, value], 1);
  const n = e.length(value, 1);
  e.into(state.present, "Slice", [all, n, e.length(all, 1), e.list([1])]);
  const parts = taps.map((tap, place) => {
    const from = e.scope.builder.integers([place]);
    return e.multiply(e.reshape(tap, [0, 0, -1]), e.slice(all, 1, from, e.add(n, from)));
  });
  return e.concat([left, parts.reduce((sum, part) => e.add(sum, part))], 2);
}
