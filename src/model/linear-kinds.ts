import type { LinearAttention } from "./recurrent-mixers.js";

/** What the papers fix about their linear attention; sizes are the model's. */
type Kind = Pick<LinearAttention, "feature" | "scale" | "normalised" | "decay" | "rotary" | "gated">;

/** Linear attention (arXiv:2006.16236) and Performer (arXiv:2009.14794): normalised, nothing forgotten. */
export function normalisedKind(feature: LinearAttention["feature"]): Kind {
  return { feature, scale: 1, normalised: true, decay: "none", rotary: null, gated: false };
}

/** RetNet (arXiv:2307.08621): a fixed decay per head, a norm and a gate on the mixture; heads of even width rotate. */
export function retentionKind(keyDim: number): Kind {
  return {
    feature: "none",
    scale: keyDim ** -0.5,
    normalised: false,
    decay: "fixed",
    rotary: keyDim % 2 === 0 ? { dims: keyDim, theta: 10_000, interleaved: false } : null,
    gated: true,
  };
}

/** Gated linear attention (arXiv:2312.06635): a decay per channel of the keys, from a projection of this rank. */
export function gatedKind(keyDim: number, rank = 16): Kind {
  return {
    feature: "none",
    scale: keyDim ** -0.5,
    normalised: false,
    decay: { rank },
    rotary: null,
    gated: true,
  };
}
