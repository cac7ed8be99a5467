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
  /** Repeats of each new length. Default 3. */
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
  const row = (n: number) => [1, n, n * n].map((value) => value / fit.predict(n).seconds);
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
    let best: { n: number; cost: number; width: number; gain: number } | undefined;
    for (const n of candidates) {
      const cost = fit.predict(n).seconds * repeats;
      if (cost > left) continue;
      add(n, gained(n, repeats));
      const after = halfWidth();
      add(n, -gained(n, repeats));
      const gain = Number.isFinite(width) ? (width - after) / cost : 1 / after;
      if (after < width && (best === undefined || gain > best.gain)) best = { n, cost, width: after, gain };
    }
    if (best === undefined) break;
    add(best.n, gained(best.n, repeats));
    counts.set(best.n, (counts.get(best.n) ?? 0) + repeats);
    left -= best.cost;
    width = best.width;
    chosen.push({ n: best.n, repeats, seconds: best.cost, halfWidth: width });
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
