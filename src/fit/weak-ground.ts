import { bendsOf } from "./bend.js";
import { type JudgedLaw, misfitLevel, observationsOf } from "./judge.js";
import type { Pooled } from "./noise.js";
import { squareStaysBelow } from "./polynomial.js";

/** A law whose extrapolation rests on something that its samples show but do not explain, or on what they hardly show. */
export interface WeakGround {
  readonly code: "bend" | "two-regimes" | "hidden-square" | "laws-disagree";
  /** Longest length that may be extrapolated to. */
  readonly reliable: number;
}

/** Share of the quadratic part at the longest length below which it may be only a bend of something larger. */
const leadingShare = 0.5;
/** Lengths beyond a switch, as a factor, that make the second regime trustworthy. */
const settledFactor = 4;
/** How far beyond the data such a law is still believed. */
const believedFactor = 2;
/** Twice the log likelihood that a rival must lose by: p < 0.01 for one parameter. */
const ruledOut = 6.63;
/** Laws disagree when they differ by this factor at eight times the longest length. */
export const disagreement = 1.3;
export const disagreementReach = 8;

/** Whether the samples rule out all of some rivals by their misfit; they must have measured their noise. */
function rulesOut({ law }: JudgedLaw, rivals: readonly { readonly chiSquare: number }[], pooled: Pooled): boolean {
  const { noise, centres } = pooled;
  const samples = centres.reduce((sum, centre) => sum + centre.weight, 0);
  const likelihood = (chiSquare: number) => samples * Math.log1p(chiSquare / noise.degreesOfFreedom);
  return rivals.every((rival) => likelihood(rival.chiSquare) - likelihood(law.chiSquare) >= ruledOut);
}

/** Whether the samples rule out that the square is only a bend that a machine makes. */
function bendsRuledOut(selected: JudgedLaw, pooled: Pooled): boolean {
  const misses = selected.lackOfFit !== null && selected.lackOfFit < misfitLevel;
  // Without repeats no bend is too small to be there.
  if (pooled.noise.assumed || misses) return false;
  const bends = bendsOf(observationsOf(pooled.centres));
  return bends.length > 0 && rulesOut(selected, bends, pooled);
}

/** Whether a quadratic says something else far out and explains the samples about as well. Without repeats it is averaged. */
function quadraticDisagrees(selected: JudgedLaw, quadratic: JudgedLaw, pooled: Pooled, to: number): boolean {
  if (pooled.noise.assumed) return false;
  const n = to * disagreementReach;
  const apart = Math.abs(Math.log(quadratic.law.seconds(n) / selected.law.seconds(n)));
  return apart > Math.log(disagreement) && !rulesOut(selected, [quadratic.law], pooled);
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
  if (law.kind === "n-log-n" || law.kind === "power") {
    const doubtful = quadratic !== null && quadraticDisagrees(selected, quadratic, pooled, to);
    return doubtful ? { code: "laws-disagree", reliable } : null;
  }
  if (law.kind === "two-regimes") {
    return to < settledFactor * (law.parameters.switch ?? to) ? { code: "two-regimes", reliable } : null;
  }
  return null;
}
