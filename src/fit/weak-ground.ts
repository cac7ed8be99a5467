import type { FittedLaw } from "./law.js";

/** A law whose extrapolation rests on something that its samples show but do not explain. */
export interface WeakGround {
  readonly code: "bend" | "two-regimes";
  /** Longest length that may be extrapolated to. */
  readonly reliable: number;
}

/** Share of the quadratic part at the longest length below which it is only a bend of something larger. */
const leadingShare = 0.5;
/** Lengths beyond a switch, as a factor, that make the second regime trustworthy. */
const settledFactor = 4;
/** How far beyond the data such a law is still believed. */
const believedFactor = 2;

/**
 * Whether the part of the law that decides longer lengths is hardly seen. On real machines a curve also bends where
 * activations leave a cache or a kernel changes, and such a bend looks like a small quadratic term or a late regime.
 *
 * @param to longest length measured
 */
export function weakGroundOf(law: FittedLaw, to: number): WeakGround | null {
  const reliable = to * believedFactor;
  if (law.kind === "quadratic") {
    const quadratic = (law.parameters.quadratic ?? 0) * to * to;
    return quadratic < leadingShare * law.seconds(to) ? { code: "bend", reliable } : null;
  }
  if (law.kind === "two-regimes") {
    return to < settledFactor * (law.parameters.switch ?? to) ? { code: "two-regimes", reliable } : null;
  }
  return null;
}
