import { percent, tokens } from "../base/format.js";
import { median } from "../math/median.js";
import { grouped } from "./diagnose-noise.js";
import { type Physics, impossiblyFast } from "./diagnose-physics.js";
import type { ShapeGroup } from "./diagnose-shape.js";
import type { DiagnosedSample } from "./diagnosed-sample.js";

const reportedShare = 0.2;
const fewestReports = 3;

/** Where the server itself says that it found much of each prompt in a cache. */
export function reportedCache(samples: readonly DiagnosedSample[]): string | null {
  const told = samples.flatMap(({ n, cachedTokens }) => (cachedTokens === null ? [] : [cachedTokens / n]));
  const cached = told.filter((share) => share > reportedShare);
  if (cached.length < fewestReports || cached.length < reportedShare * told.length) return null;
  return `the server reports ${percent(median(cached))} of the prompt found in its cache, in ${cached.length} of ${told.length} requests`;
}

/** Whether the server counts cached tokens, and there were none worth the name. */
export function reportsNone(samples: readonly DiagnosedSample[]): boolean {
  return samples.every(({ n, cachedTokens }) => cachedTokens !== null && cachedTokens <= reportedShare * n);
}

const fewestLengths = 4;
const slowerFirst = 1.5;
/** Exponents of first and later visits differ by this where the later ones read a cache. */
const flatterLater = 0.15;

export interface Visits {
  /** The first sample of each length, and the others. */
  readonly first: readonly DiagnosedSample[];
  readonly later: readonly DiagnosedSample[];
  /** First visits are slower at nearly every length: something is remembered between requests. */
  readonly slower: boolean;
  /** …and the more so the longer the prompt: it is the prompt that is remembered. */
  readonly cached: string | null;
}

/** First visits to a length against later ones: a prompt that is sent again comes from a cache. */
export function visitsOf(samples: readonly DiagnosedSample[]): Visits {
  const none: Visits = { first: [], later: samples, slower: false, cached: null };
  const groups = [...grouped(samples)]
    .filter(([, group]) => group.length >= 3 && group.every(({ at }) => at !== null))
    .sort(([left], [right]) => left - right)
    .map(([n, group]) => {
      const [first, ...later] = [...group].sort((left, right) => (left.at ?? 0) - (right.at ?? 0));
      return { n, first, later, middle: median(later.map(({ seconds }) => seconds)) };
    });
  const shortest = groups[0];
  const longest = groups.at(-1);
  if (shortest?.first === undefined || longest?.first === undefined || groups.length < fewestLengths) return none;
  const slowest = groups.filter(({ first, later }) => later.every(({ seconds }) => seconds < (first?.seconds ?? 0)));
  if (slowest.length < 0.8 * groups.length) return none;
  const first = groups.flatMap((group) => group.first ?? []);
  const visits = { first, later: samples.filter((sample) => !first.includes(sample)), slower: true };
  const span = Math.log(longest.n / shortest.n);
  const exponents = {
    first: Math.log(longest.first.seconds / shortest.first.seconds) / span,
    later: Math.log(longest.middle / shortest.middle) / span,
  };
  const ratio = longest.first.seconds / longest.middle;
  if (ratio < slowerFirst || exponents.first - exponents.later < flatterLater) return { ...visits, cached: null };
  const cached = `the first prompt of ${tokens(longest.n)} took ${ratio.toFixed(1)} times as long as the later ones, that of ${tokens(shortest.n)} ${(shortest.first.seconds / shortest.middle).toFixed(1)} times: later prompts were not computed anew`;
  return { ...visits, cached };
}

/** Exponent of a time that hardly depends on the length. */
const flatExponent = 0.12;
const longEnough = 4096;

/**
 * Times that are nearly flat, or too fast for the work.
 *
 * @param computed why the prompts must have been computed, where that is known
 * @returns which of the two things that look alike it is called, and why
 */
export function flatEvidence(
  groups: readonly ShapeGroup[],
  physics: Physics | null,
  computed: string | null,
): { readonly cause: "prefix-cache" | "fixed-overhead"; readonly evidence: string; readonly tooFast: boolean } | null {
  const tooFast = physics === null ? null : impossiblyFast(groups, physics);
  if (tooFast !== null) return { cause: "prefix-cache", evidence: tooFast, tooFast: true };
  const [first] = groups;
  const last = groups.at(-1);
  if (first === undefined || last === undefined || last.n < 8 * first.n || last.n < longEnough) return null;
  const exponent = Math.log(last.seconds / first.seconds) / Math.log(last.n / first.n);
  if (exponent > flatExponent) return null;
  const flat = `the time is nearly flat: ${tokens(last.n / first.n)} times longer prompts take ${(last.seconds / first.seconds).toFixed(2)} times the time`;
  const slow = physics?.paceKnown === true ? "that is enough to compute all of it" : null;
  const why = computed ?? slow;
  if (why !== null) return { cause: "fixed-overhead", evidence: `${flat}; ${why}`, tooFast: false };
  const doubt =
    "without the model and its device (--model, --on) a fixed overhead longer than all of these looks the same";
  return { cause: "prefix-cache", evidence: `${flat}; ${doubt}`, tooFast: false };
}
