import { longestLength } from "../base/lengths.js";
import { firstNonNegative } from "../math/roots.js";
import type { Curve } from "./curve.js";
import { intervalDeviations } from "./interval.js";
import type { Work } from "./works.js";

/** A length, not always whole, with its interval; the high end is null where it lies beyond all that is looked at. */
export interface LengthInterval {
  readonly n: number;
  readonly low: number | null;
  readonly high: number | null;
}

/** Seconds of some of the work by class, in the order of the curve's components. */
type ByClass = (length: number) => readonly number[];

function byClass(curve: Curve, works: readonly Work[], outside: ((length: number) => number) | null): ByClass {
  const places = works.map((one) => curve.components.findIndex(({ name }) => name === one.class));
  const overheads = curve.components.findIndex(({ name }) => name === "overhead");
  return (length) => {
    const seconds = curve.components.map(() => 0);
    let overhead = outside === null ? 0 : outside(length);
    works.forEach((one, index) => {
      const place = places[index] ?? 0;
      seconds[place] = (seconds[place] ?? 0) + one.work(length);
      overhead += one.overhead(length);
    });
    seconds[overheads] = (seconds[overheads] ?? 0) + overhead;
    return seconds;
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Factor around a crossing within which the ends of its interval are looked for. */
const widest = 2 ** 12;

/**
 * The first length at which the seconds A of some operators equal the seconds R of all others, with its interval.
 *
 * The interval comes from log(A/R), whose variance is Σₖ sₖ²·(Aₖ/A − Rₖ/R)² over the classes k with spreads sₖ: a class
 * that makes up the same share of both sides cancels, and so does the engine.
 *
 * @returns null where they never meet
 */
function crossingOf(curve: Curve, belongs: (work: Work) => boolean): LengthInterval | null {
  const within = curve.works.filter(belongs);
  const others = curve.works.filter((work) => !belongs(work));
  if (within.length === 0) return null;
  const left = byClass(curve, within, null);
  const right = byClass(curve, others, curve.outside);
  const advantage = (deviations: number) => (length: number) => {
    const [ours, theirs] = [left(length), right(length)];
    const [a, r] = [sum(ours), sum(theirs)];
    if (r === 0) return Number.POSITIVE_INFINITY;
    if (a === 0) return Number.NEGATIVE_INFINITY;
    if (deviations === 0) return Math.log(a / r);
    const shares = curve.components.map(({ logSpread }, k) => logSpread * ((ours[k] ?? 0) / a - (theirs[k] ?? 0) / r));
    return Math.log(a / r) + deviations * Math.hypot(...shares);
  };
  const n = firstNonNegative(advantage(0), 1, longestLength);
  if (n === null) return null;
  return {
    n,
    low: firstNonNegative(advantage(intervalDeviations), Math.max(1, n / widest), n),
    high: firstNonNegative(advantage(-intervalDeviations), n, Math.min(longestLength, n * widest)),
  };
}

/** Where the work of degree two and more takes as long as all the rest. */
export function crossoverSeconds(curve: Curve): LengthInterval | null {
  return crossingOf(curve, ({ degree }) => degree >= 2);
}

/** Where attention takes half of the seconds. */
export function attentionHalfSeconds(curve: Curve): LengthInterval | null {
  return crossingOf(curve, ({ part }) => part === "attention");
}
