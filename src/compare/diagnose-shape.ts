import { percent, seconds as showSeconds, tokens } from "../base/format.js";
import { nonNegativeLeastSquares } from "../math/least-squares.js";
import { median } from "../math/median.js";
import { grouped, noiseOf } from "./diagnose-noise.js";
import type { DiagnosedSample } from "./diagnosed-sample.js";

/** All repeats of one length. */
export interface ShapeGroup {
  readonly n: number;
  /** Median. */
  readonly seconds: number;
  readonly repeats: number;
  /** Relative standard deviation of one repeat. */
  readonly noise: number;
}

export interface Shape {
  readonly kind: "smooth" | "fixed-overhead" | "padding" | "regather" | "memory-pressure";
  readonly evidence: string;
  /** Of the smooth law a + b·n + c·n². */
  readonly coefficients: { readonly constant: number; readonly linear: number; readonly quadratic: number };
  readonly longest: number;
  readonly noise: number;
  /** Seconds as the smooth law has them, and as this shape does. */
  readonly plain: (n: number) => number;
  readonly at: (n: number) => number;
}

export function shapeGroups(samples: readonly DiagnosedSample[]): ShapeGroup[] {
  const noise = noiseOf(samples);
  return [...grouped(samples)]
    .map(([n, group]) => ({ n, seconds: median(group.map(({ seconds }) => seconds)), repeats: group.length, noise }))
    .sort((left, right) => left.n - right.n);
}

type Columns = (n: number) => readonly number[];

interface Fitted {
  /** Sum of squares in units of the noise of medians. */
  readonly chi: number;
  readonly beta: readonly number[];
  readonly at: (n: number) => number;
}

/** Of a median of normal repeats: π/2 times the variance of a mean. */
const medianVariance = Math.PI / 2;

/** Relative variance of a length's median. */
export function varianceOf({ noise, repeats }: ShapeGroup): number {
  return ((repeats < 3 ? 1 : medianVariance) * noise ** 2) / repeats;
}

function fit(groups: readonly ShapeGroup[], columns: Columns): Fitted {
  const rows = groups.map(({ n, seconds }) => columns(n).map((value) => value / seconds));
  const weights = groups.map((group) => 1 / varianceOf(group));
  const { beta, rss } = nonNegativeLeastSquares(
    rows,
    groups.map(() => 1),
    weights,
  );
  const at = (n: number): number => columns(n).reduce((sum, value, index) => sum + value * (beta[index] ?? 0), 0);
  return { chi: rss, beta, at };
}

const smooth: Columns = (n) => [1, n, n * n];

/** Coefficients of a + b·n + c·n², none of them negative. */
export function smoothLaw(groups: readonly ShapeGroup[]): Shape["coefficients"] {
  const [constant = 0, linear = 0, quadratic = 0] = fit(groups, smooth).beta;
  return { constant, linear, quadratic };
}

/**
 * Without lengths whose every repeat waited: each is held against the smooth law of the others.
 *
 * @param limit log of the ratio from which on a time is one with a wait
 */
export function withoutWaited(groups: readonly ShapeGroup[], limit: number): ShapeGroup[] {
  return groups.filter(({ n, seconds }) => {
    const others = fit(
      groups.filter((group) => group.n !== n),
      smooth,
    );
    return seconds < others.at(n) * Math.exp(limit);
  });
}

interface Candidate {
  /** `smooth`: as it should be, although the smooth law does not fit. */
  readonly kind: Shape["kind"];
  readonly columns: Columns;
  /** The square of the noise that the shape must explain beyond the smooth law. */
  readonly leastGain: number;
  /** …and the share of the time that it must change somewhere. */
  readonly leastEffect: number;
  readonly evidence: (fitted: Fitted, groups: readonly ShapeGroup[]) => string | null;
}

/** Of a shape that is searched for at some ten places. */
const clear = { leastGain: 20, leastEffect: 0.04 };
/** One term more than the smooth law: of healthy servers one in a hundred gains 6.5 (300 simulated runs). */
const oneTerm = { leastGain: 9.5, leastEffect: 0.01 };
/** A shape that is as near as the noise allows need not halve the misfit: squares per degree of freedom. */
const asNear = 2;
/** Chunks that are gathered anew must take this share of the longest prefill. */
const leastGathered = 0.04;

/**
 * The shape that explains the medians best, where it does so clearly better than constant + linear + quadratic.
 *
 * @param ridge tokens up to which a prefill takes as long as reading the weights, whatever the prompt: no plateau is an overhead
 *   that ends there
 */
export function bestShape(
  groups: readonly ShapeGroup[],
  { contextLimit, ridge }: { readonly contextLimit: number | null; readonly ridge: number },
): Shape {
  const noise = groups[0]?.noise ?? 0;
  const longest = groups.at(-1)?.n ?? 0;
  const plain = fit(groups, smooth);
  const [constant = 0, linear = 0, quadratic = 0] = plain.beta;
  const shape = { coefficients: { constant, linear, quadratic }, longest, noise, plain: plain.at };
  const nothing: Shape = { ...shape, at: plain.at, kind: "smooth", evidence: "" };
  if (groups.length < 5) return nothing;
  let best: { readonly chi: number; readonly shape: Shape } | null = null;
  for (const { kind, columns, evidence, leastGain, leastEffect } of candidates(groups, contextLimit, ridge)) {
    const fitted = fit(groups, columns);
    const near = asNear * Math.max(1, groups.length - columns(1).length);
    if (plain.chi - fitted.chi < leastGain || fitted.chi > Math.max(plain.chi / 2, near)) continue;
    const effect = Math.max(...groups.map(({ n }) => Math.abs(fitted.at(n) / plain.at(n) - 1)));
    const text = evidence(fitted, groups);
    if (effect < leastEffect || text === null) continue;
    if (best !== null && fitted.chi >= best.chi) continue;
    best = { chi: fitted.chi, shape: { ...shape, at: fitted.at, kind, evidence: text } };
  }
  return best?.shape ?? nothing;
}

const buckets = [64, 128, 256, 512, 1024, 2048, 4096, 8192];
const chunks = [256, 512, 1024, 2048, 4096, 8192];
/** Pressure is looked for in the last fifth before the limit. */
const pressureFrom = 0.8;

function candidates(groups: readonly ShapeGroup[], contextLimit: number | null, ridge: number): Candidate[] {
  const longest = groups.at(-1)?.n ?? 0;
  return [
    ...plateaus(groups, ridge),
    ...paddings(longest, ridge),
    ...gatherings(longest),
    pressure(contextLimit ?? longest),
  ];
}

/** Flat up to n₀, then growing. */
function plateaus(groups: readonly ShapeGroup[], ridge: number): Candidate[] {
  return groups.slice(1, -2).map(({ n: until }, index) => {
    const next = groups[index + 2]?.n ?? until;
    const edge = Math.sqrt(until * next);
    return {
      kind: edge <= ridge ? "smooth" : "fixed-overhead",
      ...clear,
      columns: (n) => [1, Math.max(0, n - edge), Math.max(0, n * n - edge * edge)],
      evidence: (fitted) =>
        `every prompt up to about ${tokens(Math.round(edge))} takes the same ${showSeconds(fitted.at(1))}; only beyond does the time grow`,
    };
  });
}

function paddings(longest: number, ridge: number): Candidate[] {
  const pads: [string, (n: number) => number][] = [
    ["the next power of two", (n) => 2 ** Math.ceil(Math.log2(n))],
    ...buckets
      .filter((bucket) => bucket < longest)
      .map((bucket): [string, (n: number) => number] => [
        `multiples of ${tokens(bucket)}`,
        (n) => Math.ceil(n / bucket) * bucket,
      ]),
  ];
  return pads.map(([name, padded]) => ({
    kind: "padding",
    ...clear,
    columns: (n) => smooth(padded(n)),
    evidence: (_fitted, groups) => {
      const most = Math.max(...groups.map(({ n }) => padded(n) / n));
      // Up to the ridge equal times need no padding.
      if (!groups.some(({ n }) => n > ridge && padded(n) > (1 + clear.leastEffect) * n)) return null;
      return `the time climbs in steps: it is that of ${name}, up to ${most.toFixed(1)} times the prompt`;
    },
  }));
}

function gatherings(longest: number): Candidate[] {
  return chunks
    .filter((chunk) => 3 * chunk <= longest)
    .map((chunk) => ({
      kind: "regather",
      ...oneTerm,
      columns: (n) => {
        const count = Math.ceil(n / chunk);
        return [...smooth(n), (chunk * count * (count - 1)) / 2];
      },
      evidence: ({ beta, at }) => {
        const count = Math.ceil(longest / chunk);
        const share = ((beta[3] ?? 0) * (chunk * count * (count - 1))) / 2 / at(longest);
        return share < leastGathered
          ? null
          : `each further chunk of ${tokens(chunk)} tokens costs the more the more went before it: ${percent(share)} of the time at ${tokens(longest)}`;
      },
    }));
}

function pressure(limit: number): Candidate {
  const near = (n: number): number => Math.max(0, (n / limit - pressureFrom) / (1 - pressureFrom)) ** 2;
  return {
    kind: "memory-pressure",
    ...clear,
    columns: (n) => [...smooth(n), near(n) * n * n, near(n) * n],
    evidence: ({ beta, at }, groups) => {
      const last = groups.at(-1)?.n ?? limit;
      const [constant = 0, linear = 0, quadratic = 0] = beta;
      const without = constant + linear * last + quadratic * last * last;
      return `close to the limit the time turns upwards: ${percent(at(last) / without - 1)} above the law of shorter prompts at ${tokens(last)}`;
    },
  };
}
