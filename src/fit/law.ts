import type { BasisFit, Observation, Range } from "./basis-fit.js";

export const lawKinds = ["linear", "quadratic", "power", "n-log-n", "hinge", "steps", "two-regimes"] as const;
/** Which law, simplest first; where two explain the samples equally well the earlier one is preferred. */
export type LawKind = (typeof lawKinds)[number];

/** How well some parameters explain the observations. */
export interface Explained {
  /** Free parameters, as the selection counts them. */
  readonly parameterCount: number;
  /** Σ precision · (log seconds − log law)². */
  readonly chiSquare: number;
}

/** A law fitted to observations. */
export interface FittedLaw extends Explained {
  readonly kind: LawKind;
  /**
   * The law as it is, and with some of its coefficients left out. A coefficient that is 0 in truth comes out above 0 by chance
   * in half of all data sets; counted as a parameter there, it would speak against a law that can do without it.
   */
  readonly reductions: readonly Explained[];
  readonly seconds: (n: number) => number;
  /** Extremes of seconds(n) where chiSquare exceeds its minimum by at most `slack`: a profile likelihood. */
  readonly range: (n: number, slack: number) => Range;
  /** Named values that make the law, for people. */
  readonly parameters: Readonly<Record<string, number>>;
  /** The law as a plain polynomial, where it is one. */
  readonly polynomial: BasisFit | null;
  /** Seconds as text: `0.02 + 1.2e-4·n`. */
  readonly expression: string;
}

/** Makes a law from observations; null where there are too few lengths for it, or where it says nothing new. */
export type LawFitter = (observations: readonly Observation[]) => FittedLaw | null;
