import { type JudgedLaw, judgeLaws, rangeOfLaw } from "./judge.js";
import type { LawKind } from "./law.js";
import type { Pooled } from "./noise.js";

/** What a law fitted to the shorter lengths says of the longest. */
export interface HoldOut {
  /** Longest length that was fitted. */
  readonly from: number;
  readonly n: number;
  /** Measured there. */
  readonly measured: number;
  readonly seconds: number;
  readonly low: number;
  readonly high: number;
  /** seconds / measured − 1. */
  readonly error: number;
}

const fewestKept = 3;
/** The hold-out asks for plain contradiction, so its interval is wider than the reported one. */
const holdOutLevel = 0.99;

/**
 * Fit each law without the longest third of the lengths and look at the longest.
 *
 * @returns empty where fewer than four lengths were measured
 */
export function holdOut(pooled: Pooled, kinds: readonly LawKind[]): ReadonlyMap<LawKind, HoldOut> {
  const { centres } = pooled;
  const kept = Math.max(fewestKept, Math.ceil((centres.length * 2) / 3));
  const last = centres.at(-1);
  const result = new Map<LawKind, HoldOut>();
  if (last === undefined || kept >= centres.length) return result;
  const shorter = centres.slice(0, kept);
  const from = shorter.at(-1)?.n ?? last.n;
  const measured = Math.exp(last.logSeconds);
  const laws: readonly JudgedLaw[] = judgeLaws({ ...pooled, centres: shorter }, kinds);
  for (const judged of laws) {
    const range = rangeOfLaw(judged, last.n, from, holdOutLevel);
    const ownNoise = 3 * Math.sqrt(last.variance);
    result.set(judged.law.kind, {
      from,
      n: last.n,
      measured,
      seconds: range.seconds,
      low: range.low * Math.exp(-ownNoise),
      high: range.high * Math.exp(ownNoise),
      error: range.seconds / measured - 1,
    });
  }
  return result;
}
