import { bendsOf } from "./bend.js";
import { type JudgedLaw, misfitLevel, observationsOf } from "./judge.js";
import type { Pooled } from "./noise.js";
import { squareStaysBelow } from "./polynomial.js";

/** A law whose extrapolation rests on something that its samples show but do not explain, or on what they hardly show. */
export interface WeakGround {
  readonly code: "bend" | "two-regimes" | "hidden-square";
  /** Longest length that may be extrapolated to. */
  readonly reliable: number;
}

/** Share of the quadratic part at the longest length below which it may be only a bend of something larger. */
const leadingShare = 0.5;
/** Lengths beyond a switch, as a factor, that make the second regime trustworthy. */
const settledFactor = 4;
/** How far beyond the data such a law is still believed. */
const believedFactor = 2;
/** Twice the log likelihood that a bend must lose by: p < 0.01 for one parameter. */
const ruledOut = 6.63;

/** Whether the samples rule out that the square is only a bend that a machine makes. */
function bendsRuledOut(selected: JudgedLaw, { centres, noise }: Pooled): boolean {
  const misses = selected.lackOfFit !== null && selected.lackOfFit < misfitLevel;
  // Without repeats no bend is small enough to be ruled out.
  if (noise.assumed || misses) return false;
  const samples = centres.reduce((sum, centre) => sum + centre.weight, 0);
  const likelihood = (chiSquare: number) => samples * Math.log1p(chiSquare / noise.degreesOfFreedom);
  const bends = bendsOf(observationsOf(centres));
  const own = likelihood(selected.law.chiSquare);
  return bends.length > 0 && bends.every((bend) => likelihood(bend.chiSquare) - own >= ruledOut);
}

/**
 * Whether the part of the law that decides longer lengths is hardly seen. On real machines a curve also bends where
 * activations leave a cache or a kernel changes, and such a bend looks like a small quadratic term or a late regime. A
 * straight line fits a short range well, and a square that its samples do not rule out decides far beyond it.
 *
 * @param quadratic the quadratic law of the same samples, where a square is possible; null where it is not
 * @param slack rise of chiSquare within which the quadratic law counts as possible
 * @param to longest length measured
 */
export function weakGroundOf(
  selected: JudgedLaw,
  pooled: Pooled,
  quadratic: JudgedLaw | null,
  slack: number,
  to: number,
): WeakGround | null {
  const { law } = selected;
  const reliable = to * believedFactor;
  if (law.kind === "linear") {
    const fit = quadratic?.law.polynomial ?? null;
    if (fit === null) return null;
    return { code: "hidden-square", reliable: Math.max(to, squareStaysBelow(fit, slack)) };
  }
  if (law.kind === "quadratic") {
    const square = (law.parameters.quadratic ?? 0) * to * to;
    if (square >= leadingShare * law.seconds(to) || bendsRuledOut(selected, pooled)) return null;
    return { code: "bend", reliable };
  }
  if (law.kind === "two-regimes") {
    return to < settledFactor * (law.parameters.switch ?? to) ? { code: "two-regimes", reliable } : null;
  }
  return null;
}
