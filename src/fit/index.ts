export type { Drift } from "./drift.js";
export type { Range } from "./basis-fit.js";
export {
  type Candidate,
  type FitOptions,
  fitLaw,
  type LawFit,
  type LawPrediction,
} from "./fit-law.js";
export type { HoldOut } from "./hold-out.js";
export { type LawKind, lawKinds } from "./law.js";
export type { LengthAt } from "./length-at.js";
export type { Bimodality } from "./bimodality.js";
export { type JointFit, type JointPoint, type JointPrediction, fitJoint } from "./joint.js";
export { type NextLength, type NextOptions, nextLengths, planLengths } from "./next-lengths.js";
export type { Noise, Outlier } from "./noise.js";
export {
  type Efficiency,
  fitPhysical,
  type PhysicalFit,
  type PhysicalOptions,
  type PhysicalPrediction,
} from "./physical.js";
export type { PhysicalComponent, PhysicalCurve } from "./physical-curve.js";
export type { Point } from "./points.js";
export type { Coefficients, Crossover, Estimate } from "./polynomial.js";
export { type KnownShape, type Scenario, scenariosOf } from "./scenarios.js";
export type { Residual } from "./residual.js";
export type { FitWarning, FitWarningCode } from "./warnings.js";
