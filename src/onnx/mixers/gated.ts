import { normalQuantile } from "../../math/distributions.js";
import type { Activation, Clamp, DenseFfn } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { float } from "../proto.js";

/** What a gated network hands to its last projection: act(gate)·up, or of bounded ones gate·σ(slope·gate)·(up + shift). */
export function addGated(
  e: Emitter,
  gate: string,
  up: string,
  { activation, clamp }: { readonly activation: Activation; readonly clamp: Clamp | undefined },
): string {
  if (clamp === undefined) return e.multiply(activated(e, activation, gate), up);
  const { builder } = e.scope;
  const { limit, slope, shift } = clamp;
  const bent = e.own("QuickGelu", [e.node("Min", [gate, builder.scalar(limit)])], { alpha: float(slope) });
  const bounded = e.node("Clip", [up, builder.scalar(-limit), builder.scalar(limit)]);
  return e.multiply(bent, shift === 0 ? bounded : e.add(bounded, builder.scalar(shift)));
}

/** A dense gated network with bounds, or one whose gates are few. */
export function addBentDense(e: Emitter, input: string, { activation, clamp, sparsity }: DenseFfn): string {
  const raised = e.linear("gate", input);
  const gate = sparsity === undefined ? raised : addCutoff(e, raised, normalQuantile(sparsity));
  return e.linear("down", addGated(e, gate, e.linear("up", input), { activation, clamp }));
}

/** What is above the mean of a token's numbers and so many standard deviations. */
function addCutoff(e: Emitter, x: string, cutoff: number): string {
  const mean = (of: string): string => e.node("ReduceMean", [of, e.list([-1])]);
  const centred = e.subtract(x, mean(x));
  const deviation = e.node("Sqrt", [mean(e.multiply(centred, centred))]);
  return e.node("Relu", [e.subtract(centred, e.scale(deviation, cutoff))]);
}

export function activated(e: Emitter, activation: Activation, x: string): string {
  switch (activation) {
    case "silu":
      return e.silu(x);
    case "gelu":
      return e.gelu(x, "none");
    case "gelu-tanh":
      return e.gelu(x, "tanh");
    case "relu":
      return e.node("Relu", [x]);
    case "relu2": {
      const positive = e.node("Relu", [x]);
      return e.multiply(positive, positive);
    }
  }
}
