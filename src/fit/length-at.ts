import { firstTrue } from "../math/roots.js";

/** The length at which the time passes a limit. */
export interface LengthAt {
  /** Null where the law never passes it below 2^40 tokens. */
  readonly n: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

const furthest = 2 ** 40;

/** Where a rising curve passes `limit`, or null. */
function passes(curve: (n: number) => number, limit: number): number | null {
  if (curve(furthest) < limit) return null;
  return curve(1) >= limit ? 1 : firstTrue((n) => curve(n) >= limit, 1, furthest);
}

/** The length at which predicted seconds pass `seconds`, with the lengths at which the interval's ends do. */
export function lengthAtOf(
  predict: (n: number) => { readonly seconds: number; readonly low: number; readonly high: number },
  seconds: number,
): LengthAt {
  return {
    n: passes((n) => predict(n).seconds, seconds),
    low: passes((n) => predict(n).high, seconds),
    high: passes((n) => predict(n).low, seconds),
  };
}
