import { scientific, tokens } from "../base/format.js";
import {
  type Basis,
  type BasisFit,
  extremesOf,
  fewSteps,
  fitBasis,
  type Range,
  reductionsOf,
  valueOf,
} from "./basis-fit.js";
import type { Explained, FittedLaw, LawFitter, LawKind } from "./law.js";

const polynomialBasis: Basis = (n) => [1, n, n * n];
const linearBasis: Basis = (n) => [1, n];
const nLogNBasis: Basis = (n) => [1, n * Math.log2(n)];

/** The reductions of a fit as the selection counts them, with what its shape costs beside its coefficients. */
function explainedBy(fit: BasisFit, needed: number | null, shape = 0): Explained[] {
  return reductionsOf(fit, needed).map(({ coefficients, chiSquare }) => ({
    parameterCount: shape + coefficients,
    chiSquare,
  }));
}

/** The law as it is: of its reductions the one with the most parameters. */
function whole(reductions: readonly Explained[]): Explained {
  const none = { parameterCount: 0, chiSquare: Number.POSITIVE_INFINITY };
  return reductions.reduce((most, one) => (one.parameterCount > most.parameterCount ? one : most), none);
}

/** `0.02 + 1.2e-4·n + 3e-9·n²`, zero terms left out. */
function sumText(beta: readonly number[], names: readonly string[]): string {
  const terms = beta.flatMap((value, i) => {
    const name = names[i] ?? "";
    return value === 0 ? [] : [name === "" ? scientific(value) : `${scientific(value)}·${name}`];
  });
  return terms.length === 0 ? "0" : terms.join(" + ");
}

function single(
  kind: LawKind,
  fit: BasisFit,
  names: readonly string[],
  keys: readonly string[],
  polynomial: boolean,
): FittedLaw {
  const reductions = explainedBy(fit, fit.beta.length - 1);
  return {
    kind,
    ...whole(reductions),
    reductions,
    seconds: (n) => valueOf(fit, n),
    range: (n, slack) => extremesOf(fit, fit.basis(n), slack),
    parameters: Object.fromEntries(keys.map((key, i) => [key, fit.beta[i] ?? 0])),
    polynomial: polynomial ? fit : null,
    expression: sumText(fit.beta, names),
  };
}

/** constant + linear. */
const fitLinear: LawFitter = (observations) => {
  const fit = fitBasis(linearBasis, observations);
  return single("linear", fit, ["", "n"], ["constant", "linear"], true);
};

/** constant + linear + quadratic. */
export const fitQuadratic: LawFitter = (observations) => {
  const fit = fitBasis(polynomialBasis, observations);
  return single("quadratic", fit, ["", "n", "n²"], ["constant", "linear", "quadratic"], true);
};

/** constant + n·log₂ n. */
const fitNLogN: LawFitter = (observations) => {
  if (observations.length < 3) return null;
  const fit = fitBasis(nLogNBasis, observations);
  return single("n-log-n", fit, ["", "n·log2(n)"], ["constant", "nLogN"], false);
};

/** factor · n^exponent: a straight line in logarithms, so least squares there are exact. */
const fitPower: LawFitter = (observations) => {
  if (observations.length < 3) return null;
  let weights = 0;
  let x = 0;
  let y = 0;
  for (const { n, logSeconds, precision } of observations) {
    weights += precision;
    x += precision * Math.log(n);
    y += precision * logSeconds;
  }
  x /= weights;
  y /= weights;
  let xx = 0;
  let xy = 0;
  for (const { n, logSeconds, precision } of observations) {
    xx += precision * (Math.log(n) - x) ** 2;
    xy += precision * (Math.log(n) - x) * (logSeconds - y);
  }
  const exponent = xy / xx;
  const logSecondsAt = (n: number) => y + exponent * (Math.log(n) - x);
  let chiSquare = 0;
  for (const { n, logSeconds, precision } of observations) chiSquare += precision * (logSeconds - logSecondsAt(n)) ** 2;
  const factor = Math.exp(y - exponent * x);
  const explained = { parameterCount: 2, chiSquare };
  return {
    kind: "power",
    ...explained,
    reductions: [explained],
    seconds: (n) => Math.exp(logSecondsAt(n)),
    range: (n, slack) => {
      const reach = Math.sqrt(slack * (1 / weights + (Math.log(n) - x) ** 2 / xx));
      return { low: Math.exp(logSecondsAt(n) - reach), high: Math.exp(logSecondsAt(n) + reach) };
    },
    parameters: { factor, exponent },
    polynomial: null,
    expression: `${scientific(factor)}·n^${scientific(exponent)}`,
  };
};

interface Shaped {
  readonly fit: BasisFit;
  readonly shape: number;
}

/** Extremes over all shapes that the samples allow. */
function rangeOver(shaped: readonly Shaped[], best: number, n: number, slack: number): Range {
  let low = Number.POSITIVE_INFINITY;
  let high = 0;
  for (const { fit } of shaped) {
    const left = best + slack - fit.chiSquare;
    if (left < 0) continue;
    const range = extremesOf(fit, fit.basis(n), left);
    low = Math.min(low, range.low);
    high = Math.max(high, range.high);
  }
  return { low, high };
}

function bestOf(shaped: readonly Shaped[]): Shaped | null {
  return shaped.reduce<Shaped | null>(
    (best, one) => (best === null || one.fit.chiSquare < best.fit.chiSquare ? one : best),
    null,
  );
}

/** Places for the hinge: on a coarse grid over all gaps, then on a fine one around the best. */
const coarsePlaces = 24;
const finer = 8;
/** A shape this much worse than the best in chiSquare is in no confidence region. */
const farOff = 60;
/** A hinge or a bucket is searched for: each costs more than one parameter. */
const hingeParameters = 2;
const bucketParameters = 2;

/** A switch costs one parameter, and choosing the best of several places as much as the logarithm of their number. */
function switchParameters(places: number): number {
  return 1 + Math.log(places);
}

/** Lengths for a law whose shape is searched for: with four, some hinge or bucket fits any curve. */
const fewestSearched = 5;

/** Flat up to a length, then growing linearly: a server with a fixed cost. */
const fitHinge: LawFitter = (observations) => {
  if (observations.length < fewestSearched) return null;
  const place = (gap: number): number => {
    const left = Math.min(Math.floor(gap), observations.length - 2);
    const from = Math.log(observations[left]?.n ?? 1);
    const to = Math.log(observations[left + 1]?.n ?? 1);
    return Math.exp(from + (to - from) * (gap - left));
  };
  const at = (gap: number, steps?: number): Shaped => {
    const hinge = place(gap);
    return { fit: fitBasis((n) => [1, Math.max(0, n - hinge)], observations, steps), shape: gap };
  };
  const last = observations.length - 2;
  const perGap = Math.ceil(coarsePlaces / last);
  const coarse = Array.from({ length: last * perGap }, (_, i) => at((i + 1) / perGap, fewSteps));
  const leading = bestOf(coarse);
  const around = leading?.shape ?? 0;
  const hopeless = (leading?.fit.chiSquare ?? 0) + farOff;
  const shaped = coarse.filter((one) => one.fit.chiSquare <= hopeless).map((one) => at(one.shape));
  for (let step = 1 - finer; step < finer; step += 1) {
    const gap = around + step / (finer * perGap);
    if (step !== 0 && gap > 0 && gap <= last) shaped.push(at(gap));
  }
  const best = bestOf(shaped);
  if (best === null) return null;
  const [constant = 0, slope = 0] = best.fit.beta;
  const hinge = place(best.shape);
  const explained = { parameterCount: 2 + hingeParameters, chiSquare: best.fit.chiSquare };
  return {
    kind: "hinge",
    ...explained,
    reductions: [explained],
    seconds: (n) => valueOf(best.fit, n),
    range: (n, slack) => rangeOver(shaped, best.fit.chiSquare, n, slack),
    parameters: { constant, slope, hinge },
    polynomial: null,
    expression: `${scientific(constant)} + ${scientific(slope)}·max(0, n − ${tokens(hinge)})`,
  };
};

/** Bucket widths that servers pad to; 0 stands for the next power of two. */
const buckets = [0, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192] as const;

/** The padded length: the next power of two for bucket 0, else the next multiple. */
export function padded(n: number, bucket: number): number {
  return bucket === 0 ? 2 ** Math.ceil(Math.log2(n) - 1e-12) : Math.ceil(n / bucket) * bucket;
}

/** constant + linear + quadratic of the padded length: servers that pad to buckets. */
const fitSteps: LawFitter = (observations) => {
  if (observations.length < fewestSearched) return null;
  const shaped: Shaped[] = [];
  for (const bucket of buckets) {
    const sizes = new Set(observations.map(({ n }) => padded(n, bucket)));
    // Only lengths that share a bucket show a step; without any the padding cannot be told from a plain law.
    if (sizes.size === observations.length || sizes.size < 3) continue;
    const fit = fitBasis((n) => polynomialBasis(padded(n, bucket)), observations);
    shaped.push({ fit, shape: bucket });
  }
  const best = bestOf(shaped);
  if (best === null) return null;
  const [constant = 0, linear = 0, quadratic = 0] = best.fit.beta;
  const size = best.shape === 0 ? "pow2(n)" : `⌈n/${best.shape}⌉·${best.shape}`;
  const reductions = explainedBy(best.fit, null, bucketParameters);
  return {
    kind: "steps",
    ...whole(reductions),
    reductions,
    seconds: (n) => valueOf(best.fit, n),
    range: (n, slack) => rangeOver(shaped, best.fit.chiSquare, n, slack),
    parameters: { constant, linear, quadratic, bucket: best.shape },
    polynomial: null,
    expression: `${sumText(best.fit.beta, ["", "N", "N²"])} with N = ${size}`,
  };
};

interface Split {
  readonly left: BasisFit;
  readonly right: BasisFit;
  readonly chiSquare: number;
  /** Lengths between which the switch lies. */
  readonly after: number;
  readonly before: number;
}

/** Lengths that each regime needs. */
const fewestEach = 3;
/**
 * A regime that has two coefficients keeps two: two regimes, which are free to jump, must not count for less than the hinge,
 * which is not.
 */
const fewestOfRegime = 2;

/** One law up to a length and another after it: a kernel switch, or a memory that is full. */
const fitTwoRegimes: LawFitter = (observations) => {
  const splits: Split[] = [];
  for (let cut = fewestEach; cut + fewestEach <= observations.length; cut += 1) {
    const left = fitBasis(polynomialBasis, observations.slice(0, cut));
    const right = fitBasis(polynomialBasis, observations.slice(cut));
    splits.push({
      left,
      right,
      chiSquare: left.chiSquare + right.chiSquare,
      after: observations[cut - 1]?.n ?? 0,
      before: observations[cut]?.n ?? 0,
    });
  }
  const best = splits.reduce<Split | null>((a, b) => (a === null || b.chiSquare < a.chiSquare ? b : a), null);
  if (best === null) return null;
  const middle = Math.sqrt(best.after * best.before);
  const sideOf = (split: Split, n: number) => (n < Math.sqrt(split.after * split.before) ? split.left : split.right);
  const names = ["", "n", "n²"];
  const [left, right] = [best.left, best.right].map((side) => {
    const all = explainedBy(side, null);
    return all.filter((one) => one.parameterCount >= fewestOfRegime || one === whole(all));
  });
  const reductions = (left ?? []).flatMap((one) =>
    (right ?? []).map((other) => ({
      parameterCount: switchParameters(splits.length) + one.parameterCount + other.parameterCount,
      chiSquare: one.chiSquare + other.chiSquare,
    })),
  );
  return {
    kind: "two-regimes",
    ...whole(reductions),
    reductions,
    seconds: (n) => valueOf(sideOf(best, n), n),
    range: (n, slack) => {
      let low = Number.POSITIVE_INFINITY;
      let high = 0;
      for (const split of splits) {
        const remaining = best.chiSquare + slack - split.chiSquare;
        if (remaining < 0) continue;
        const side = sideOf(split, n);
        const range = extremesOf(side, side.basis(n), remaining);
        low = Math.min(low, range.low);
        high = Math.max(high, range.high);
      }
      return { low, high };
    },
    parameters: { switch: middle },
    polynomial: null,
    expression: `${sumText(best.left.beta, names)} up to ${tokens(best.after)}, ${sumText(best.right.beta, names)} from ${tokens(best.before)}`,
  };
};

export const lawFitters: Readonly<Record<LawKind, LawFitter>> = {
  linear: fitLinear,
  quadratic: fitQuadratic,
  power: fitPower,
  "n-log-n": fitNLogN,
  hinge: fitHinge,
  steps: fitSteps,
  "two-regimes": fitTwoRegimes,
};
