import { badInput } from "../base/errors.js";
import { studentQuantile } from "../math/distributions.js";
import { invertPositive } from "../math/least-squares.js";
import type { LawFit } from "./fit-law.js";

/** A length worth measuring, and what it would bring. */
export interface NextLength {
  readonly n: number;
  readonly repeats: number;
  /** Seconds that measuring it takes, by the law. */
  readonly seconds: number;
  /** Expected half-width of the interval at the target afterwards, relative: 0.1 is ±10 %. */
  readonly halfWidth: number;
}

export interface NextOptions {
  /** Length whose time is wanted. */
  readonly target: number;
  /** Seconds that measuring may take. */
  readonly seconds: number;
  /** Most repeats of each new length at a time; a length that would take too long with all of them gets fewer. Default 3. */
  readonly repeats?: number;
  /** Longest length that may be measured. Default: the target. */
  readonly longest?: number;
}

const defaultRepeats = 3;
const mostLengths = 16;

/**
 * The next lengths worth measuring: greedily, those that shrink the expected interval at the target most for the time they
 * take (a c-optimal design for the quadratic law; Silvey, Optimal Design, 1980). Empty where no length fits the time.
 *
 * @param fit the law so far, whose quadratic reading gives the expected times
 * @throws NsquaredError where the target or the time is not positive
 */
export function nextLengths(fit: LawFit, options: NextOptions): NextLength[] {
  const { target, seconds: budget, repeats = defaultRepeats, longest = target } = options;
  for (const [key, value] of [
    ["target", target],
    ["seconds", budget],
    ["repeats", repeats],
  ] as const) {
    if (!(value > 0 && Number.isFinite(value))) {
      throw badInput("bad-design", { key, found: value, expected: "a positive number" });
    }
  }
  const known = new Map<number, number>();
  const secondsAt = (n: number): number => {
    const seconds = known.get(n) ?? fit.predict(n).seconds;
    known.set(n, seconds);
    return seconds;
  };
  const row = (n: number) => [1, n, n * n].map((value) => value / secondsAt(n));
  const information = [0, 0, 0].map(() => [0, 0, 0]);
  const add = (n: number, precision: number) => {
    const values = row(n);
    values.forEach((left, i) => {
      const line = information[i];
      values.forEach((right, j) => {
        if (line !== undefined) line[j] = (line[j] ?? 0) + precision * left * right;
      });
    });
  };
  const variancePerRepeat = fit.noise.relative ** 2;
  const precisionOf = (count: number) => 1 / (variancePerRepeat / count + fit.discrepancy ** 2);
  const counts = new Map<number, number>();
  /** What further repeats add: the misfit of a length that was measured before stays what it is. */
  const gained = (n: number, more: number): number => {
    const before = counts.get(n) ?? 0;
    return precisionOf(before + more) - (before === 0 ? 0 : precisionOf(before));
  };
  for (const { n, samples } of fit.residuals) {
    add(n, precisionOf(samples));
    counts.set(n, samples);
  }
  const wanted = row(target);
  const quantile = studentQuantile((1 + fit.level) / 2, fit.noise.degreesOfFreedom);
  const halfWidth = (): number => {
    const inverse = invertPositive(information);
    if (inverse === null) return Number.POSITIVE_INFINITY;
    const variance = wanted.reduce((total, left, i) => {
      return total + wanted.reduce((sum, right, j) => sum + left * right * (inverse[i]?.[j] ?? 0), 0);
    }, 0);
    return quantile * Math.sqrt(variance);
  };
  const candidates = candidateLengths(fit.range.from, longest);
  const chosen: NextLength[] = [];
  let left = budget;
  let width = halfWidth();
  for (let step = 0; step < mostLengths; step += 1) {
    let best: (NextLength & { readonly gain: number }) | undefined;
    for (const n of candidates) {
      const once = secondsAt(n);
      const count = Math.min(repeats, Math.floor(left / once));
      if (count < 1) continue;
      const cost = once * count;
      add(n, gained(n, count));
      const after = halfWidth();
      add(n, -gained(n, count));
      const gain = Number.isFinite(width) ? (width - after) / cost : 1 / after;
      if (after < width && (best === undefined || gain > best.gain)) {
        best = { n, repeats: count, seconds: cost, halfWidth: after, gain };
      }
    }
    if (best === undefined) break;
    const { gain: _gain, ...taken } = best;
    add(taken.n, gained(taken.n, taken.repeats));
    counts.set(taken.n, (counts.get(taken.n) ?? 0) + taken.repeats);
    left -= taken.seconds;
    width = taken.halfWidth;
    chosen.push(taken);
  }
  return chosen;
}

/** Two lengths per doubling, as multiples of 16 tokens. */
function candidateLengths(from: number, to: number): number[] {
  const lengths = new Set<number>();
  for (let n = from; n <= to; n *= Math.SQRT2)
    lengths.add(Math.max(1, n >= 64 ? Math.round(n / 16) * 16 : Math.round(n)));
  lengths.add(to);
  return [...lengths].filter((n) => n <= to).sort((left, right) => left - right);
}
