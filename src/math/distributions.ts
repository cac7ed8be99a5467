import jStat from "jstat";

/** Above this many degrees of freedom Student's t is the normal to six digits. */
const nearlyNormal = 1e6;

/** Quantile of the standard normal distribution. */
export function normalQuantile(p: number): number {
  return jStat.normal.inv(p, 0, 1);
}

/** Quantile of Student's t; any positive, also infinite, degrees of freedom. */
export function studentQuantile(p: number, degreesOfFreedom: number): number {
  return degreesOfFreedom > nearlyNormal ? normalQuantile(p) : jStat.studentt.inv(p, degreesOfFreedom);
}

/** P(X ≤ x) for Student's t. */
export function studentCdf(x: number, degreesOfFreedom: number): number {
  return degreesOfFreedom > nearlyNormal ? jStat.normal.cdf(x, 0, 1) : jStat.studentt.cdf(x, degreesOfFreedom);
}

/** P(X > x) for Fisher's F; an infinite denominator gives χ²/numerator. */
export function fisherUpperTail(x: number, numerator: number, denominator: number): number {
  if (x <= 0) return 1;
  if (denominator > nearlyNormal) return 1 - jStat.chisquare.cdf(x * numerator, numerator);
  return 1 - jStat.centralF.cdf(x, numerator, denominator);
}

/** Quantile of χ². */
export function chiSquareQuantile(p: number, degreesOfFreedom: number): number {
  return jStat.chisquare.inv(p, degreesOfFreedom);
}
