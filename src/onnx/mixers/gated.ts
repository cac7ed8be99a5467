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

/** A dense gated network with bounds. */
export function addClampedDense(e: Emitter, input: string, { activation, clamp }: DenseFfn): string {
  return e.linear("down", addGated(e, e.linear("gate", input), e.linear("up", input), { activation, clamp }));
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
