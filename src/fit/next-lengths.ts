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
  /** Repeats of a new length at a time; a length that would take too long with all of them gets fewer. Default 3. */
  readonly repeats?: number;
  /** Longest length that may be measured. Default: the target. */
  readonly longest?: number;
}

const defaultRepeats = 3;
/** Steps of the greedy design: more than one block of `measure --until` has lengths. */
const mostSteps = 16;

/** How well the target would be known with so many more samples of each length. */
interface Design {
  /** Lengths that may be measured within the time, ascending. */
  readonly candidates: readonly number[];
  readonly secondsAt: (n: number) => number;
  /** How often a length is measured at least: a new one some times, so that a late sample shows as one. */
  readonly fewest: (n: number) => number;
  /** Expected half-width of the interval at the target, relative; infinite where the samples do not tell it at all. */
  readonly halfWidth: (more: ReadonlyMap<number, number>) => number;
}

function designFor(
  fit: LawFit,
  { target, seconds: budget, repeats = defaultRepeats, longest = target }: NextOptions,
): Design {
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
  const variancePerRepeat = fit.noise.relative ** 2;
  // The misfit of a length that was measured before stays what it is, however often it is repeated.
  const precisionOf = (count: number) => (count === 0 ? 0 : 1 / (variancePerRepeat / count + fit.discrepancy ** 2));
  const counts = new Map(fit.residuals.map(({ n, samples }) => [n, samples]));
  const wanted = row(target);
  const quantile = studentQuantile((1 + fit.level) / 2, fit.noise.degreesOfFreedom);
  const halfWidth = (more: ReadonlyMap<number, number>): number => {
    const information = [0, 0, 0].map(() => [0, 0, 0]);
    for (const n of new Set([...counts.keys(), ...more.keys()])) {
      const precision = precisionOf((counts.get(n) ?? 0) + (more.get(n) ?? 0));
      const values = row(n);
      values.forEach((left, i) => {
        const line = information[i] ?? [];
        values.forEach((right, j) => {
          line[j] = (line[j] ?? 0) + precision * left * right;
        });
      });
    }
    const inverse = invertPositive(information);
    if (inverse === null) return Number.POSITIVE_INFINITY;
    const variance = wanted.reduce((total, left, i) => {
      return total + wanted.reduce((sum, right, j) => sum + left * right * (inverse[i]?.[j] ?? 0), 0);
    }, 0);
    return quantile * Math.sqrt(variance);
  };
  const candidates = candidateLengths(fit.range.from, longest).filter((n) => secondsAt(n) <= budget);
  const fewest = (n: number) => (counts.has(n) ? 1 : Math.min(repeats, Math.floor(budget / secondsAt(n))));
  return { candidates, secondsAt, fewest, halfWidth };
}

/** A plan with `count` more of a length, which may be below 0. */
function withMore(plan: ReadonlyMap<number, number>, n: number, count: number): Map<number, number> {
  const next = new Map(plan);
  const left = (plan.get(n) ?? 0) + count;
  if (left > 0) next.set(n, left);
  else next.delete(n);
  return next;
}

/** Narrowing of the interval per second that it takes; where nothing was known of the target, how well it is known then. */
function gainOf(before: number, after: number, cost: number): number {
  return Number.isFinite(before) ? (before - after) / cost : 1 / after;
}

/**
 * The next lengths worth measuring, cheapest progress first: greedily, those that shrink the expected interval at the target
 * most for the time they take. For whoever looks again after each of them. Empty where no length fits the time.
 *
 * @param fit the law so far, whose quadratic reading gives the expected times
 * @throws NsquaredError where the target or the time is not positive
 */
export function nextLengths(fit: LawFit, options: NextOptions): NextLength[] {
  const { candidates, secondsAt, halfWidth } = designFor(fit, options);
  const { repeats = defaultRepeats } = options;
  const chosen: NextLength[] = [];
  let plan: ReadonlyMap<number, number> = new Map();
  let left = options.seconds;
  let width = halfWidth(plan);
  while (chosen.length < mostSteps) {
    let best: (NextLength & { readonly gain: number }) | undefined;
    for (const n of candidates) {
      const count = Math.min(repeats, Math.floor(left / secondsAt(n)));
      if (count < 1) continue;
      const seconds = secondsAt(n) * count;
      const after = halfWidth(withMore(plan, n, count));
      const gain = gainOf(width, after, seconds);
      if (after < width && (best === undefined || gain > best.gain)) {
        best = { n, repeats: count, seconds, halfWidth: after, gain };
      }
    }
    if (best === undefined) break;
    const { gain: _gain, ...taken } = best;
    plan = withMore(plan, taken.n, taken.repeats);
    left -= taken.seconds;
    width = taken.halfWidth;
    chosen.push(taken);
  }
  return chosen;
}

/** Parts that the time is dealt out in, coarsely and finely: exchanges from either may end in another plan. */
const portions = [5, 20, 80];
/** Exchanges that narrow the interval by less than this share are not made; each makes it narrower, so they end. */
const leastExchange = 1e-3;
/** A further length that narrows the interval by less than this share of what is left is not worth its time. */
const leastGain = 0.02;

interface Plan {
  readonly counts: ReadonlyMap<number, number>;
  /** Time left. */
  readonly left: number;
  readonly width: number;
}

/**
 * The plan for a whole time: how often to measure which lengths so that the interval at the target is narrowest at its end (a
 * c-optimal design for the quadratic law within a cost; Silvey, Optimal Design, 1980). The time is dealt out in portions, then
 * time is moved from one length to another for as long as that helps (Fedorov's exchange). What brings most for its time comes
 * first, and what hardly brings anything is left out. Empty where no length fits the time.
 *
 * @param fit the law so far, whose quadratic reading gives the expected times
 * @throws NsquaredError where the target or the time is not positive
 */
export function planLengths(fit: LawFit, options: NextOptions): NextLength[] {
  const design = designFor(fit, options);
  const plans = portions.map((parts) => {
    let plan: Plan = { counts: new Map(), left: options.seconds, width: design.halfWidth(new Map()) };
    const portion = options.seconds / parts;
    for (const improved of [moreOf, exchanged]) {
      for (let next: Plan | null = plan; next !== null; next = improved(design, plan, portion)) plan = next;
    }
    return plan;
  });
  return worthwhile(
    inOrder(
      design,
      plans.reduce((best, plan) => (plan.width < best.width ? plan : best)),
    ),
  );
}

/** The plan with a portion of the time given to the length that brings most for it; null where nothing helps. */
function moreOf({ candidates, secondsAt, fewest, halfWidth }: Design, plan: Plan, portion: number): Plan | null {
  let best: (Plan & { readonly gain: number }) | null = null;
  for (const n of candidates) {
    const wanted = Math.max(fewest(n), Math.floor(portion / secondsAt(n)));
    const count = Math.min(wanted, Math.floor(plan.left / secondsAt(n)));
    if (count < (plan.counts.has(n) ? 1 : fewest(n))) continue;
    const cost = count * secondsAt(n);
    const counts = withMore(plan.counts, n, count);
    const width = halfWidth(counts);
    const gain = gainOf(plan.width, width, cost);
    if (width < plan.width && (best === null || gain > best.gain))
      best = { counts, left: plan.left - cost, width, gain };
  }
  return best;
}

/** The plan with the time of one length, or a part of it, given to another that makes most of it; null where nothing helps. */
function exchanged({ candidates, secondsAt, fewest, halfWidth }: Design, plan: Plan, portion: number): Plan | null {
  let best: Plan | null = null;
  for (const [from, planned] of plan.counts) {
    for (const fewer of new Set([planned, planned >> 1, Math.floor(portion / secondsAt(from)), 1])) {
      if (fewer < 1 || fewer > planned || (fewer < planned && planned - fewer < fewest(from))) continue;
      const freed = plan.left + fewer * secondsAt(from);
      for (const to of candidates) {
        const more = Math.floor(freed / secondsAt(to));
        if (to === from || more < (plan.counts.has(to) ? 1 : fewest(to))) continue;
        const counts = withMore(withMore(plan.counts, from, -fewer), to, more);
        const width = halfWidth(counts);
        if (width < (best?.width ?? plan.width * (1 - leastExchange))) {
          best = { counts, left: freed - more * secondsAt(to), width };
        }
      }
    }
  }
  return best;
}

/** A plan's lengths, each with all its repeats: what brings most for its time comes first. */
function inOrder({ secondsAt, halfWidth }: Design, { counts }: Plan): NextLength[] {
  const open = new Map(counts);
  const ordered: NextLength[] = [];
  let taken: ReadonlyMap<number, number> = new Map();
  let width = halfWidth(taken);
  while (open.size > 0) {
    const [first] = [...open]
      .map(([n, repeats]) => {
        const seconds = repeats * secondsAt(n);
        const after = halfWidth(withMore(taken, n, repeats));
        return { n, repeats, seconds, halfWidth: after, gain: gainOf(width, after, seconds) };
      })
      .sort((a, b) => b.gain - a.gain);
    if (first === undefined) break;
    const { gain: _gain, ...next } = first;
    ordered.push(next);
    open.delete(next.n);
    taken = withMore(taken, next.n, next.repeats);
    width = next.halfWidth;
  }
  return ordered;
}

function worthwhile(ordered: readonly NextLength[]): NextLength[] {
  const final = ordered.at(-1)?.halfWidth ?? 0;
  const enough = ordered.findIndex((one) => one.halfWidth <= final * (1 + leastGain));
  return ordered.slice(0, enough + 1);
}

/** Two lengths per doubling, as multiples of 16 tokens. */
function candidateLengths(from: number, to: number): number[] {
  const lengths = new Set<number>();
  for (let n = from; n <= to; n *= Math.SQRT2)
    lengths.add(Math.max(1, n >= 64 ? Math.round(n / 16) * 16 : Math.round(n)));
  lengths.add(to);
  return [...lengths].filter((n) => n <= to).sort((left, right) => left - right);
}
