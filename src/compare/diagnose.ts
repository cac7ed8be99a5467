import { percent, seconds as showSeconds, tokens } from "../base/format.js";
import { median } from "../math/median.js";
import { type Trend, outsideTime, queueing, trendOf, withoutTrend, withoutWaits } from "./diagnose-noise.js";
import type { DiagnosedSample } from "./diagnosed-sample.js";
import { type Shape, bestShape, shapeGroups } from "./diagnose-shape.js";

/** What the model's own operators predict, where model and device are known. */
export interface Physics {
  /** Seconds of a prefill of n tokens. */
  readonly seconds: (n: number) => number;
  /** The part of them that is attention. */
  readonly attention: (n: number) => number;
  /** The same prefill if every layer attended to everything; null where the model has no window. */
  readonly withoutWindow: ((n: number) => number) | null;
}

export const causes = [
  "prefix-cache",
  "fixed-overhead",
  "padding",
  "outside-time",
  "unfused",
  "regather",
  "memory-pressure",
  "throttling",
  "queueing",
  "idle-window",
] as const;
export type Cause = (typeof causes)[number];

export interface Finding {
  readonly cause: Cause;
  /** What was seen in the samples, with its numbers. */
  readonly evidence: string;
  readonly advice: string;
}

export interface Diagnosis {
  readonly findings: readonly Finding[];
  /** Relative scatter of repeats of one length. */
  readonly noise: number;
  readonly lengths: number;
  readonly samples: number;
}

export interface DiagnoseOptions {
  readonly physics: Physics | null;
  /** Longest prompt that the server takes, where known. */
  readonly contextLimit: number | null;
}

const advice: Readonly<Record<Cause, string>> = {
  "prefix-cache":
    "repeat with a prompt that no request shared a prefix with, or switch prefix caching off: these times hold for cached prompts only",
  "fixed-overhead":
    "short prompts pay for something that does not depend on them (scheduling, a graph's launch, the network): send several at once, or look at the server's scheduler",
  padding: "the server pads prompts to buckets: choose prompt lengths just below a bucket, or give it finer buckets",
  "outside-time": "tokenizer, chat template or gateway: profile them, send token ids, keep connections open",
  unfused:
    "switch on a fused attention kernel (flash attention), and check that it is used at this head size and dtype",
  regather: "larger prefill chunks, or a kernel that reads earlier keys and values in place (paged prefill)",
  "memory-pressure": "leave memory free: shorter contexts, a smaller cache (fewer bits, fewer sequences), no swapping",
  throttling:
    "let the machine cool down, fix its clock, and measure again; times of an unsteady machine do not compare",
  queueing: "other requests are served in between: measure an idle server, or report waiting time apart",
  "idle-window":
    "the runtime masks the window but computes or keeps everything: use one whose kernels skip what lies outside of the window",
};

/** Attention that takes this many times what physics expects is not fused. */
const unfusedFactor = 2.2;
/** Times below this share of what physics expects were not computed. */
const impossiblyFast = 0.6;
const flatter = 0.75;
const flatExponent = 0.12;

/**
 * What ails a series of prefills, from the samples alone and, where physics is known, from how they differ from it.
 * Needs several repeats of at least five lengths.
 */
export function diagnose(all: readonly DiagnosedSample[], { physics, contextLimit }: DiagnoseOptions): Diagnosis {
  const findings: Finding[] = [];
  const found = (cause: Cause, evidence: string): void => {
    findings.push({ cause, evidence, advice: advice[cause] });
  };
  const trend: Trend = trendOf(all);
  if (trend.drifts) {
    found(
      "throttling",
      `the last third of the run took ${percent(trend.change)} longer than the first third, at the same lengths`,
    );
  }
  const steady = trend.drifts ? withoutTrend(all) : all;
  const waits = queueing(steady);
  const samples = waits === null ? steady : withoutWaits(steady, waits);
  if (waits !== null) {
    found(
      "queueing",
      `${percent(waits.share)} of the samples took ${percent(waits.longer)} longer than others of their length; the rest agree within ${percent(waits.noise)}`,
    );
  }
  const outside = outsideTime(samples);
  if (outside !== null) {
    found(
      "outside-time",
      `the client's time minus the server's own prefill grows by ${showSeconds(outside.perToken * 1000)} per 1,000 tokens, ${percent(outside.share)} of the time at ${tokens(outside.n)}`,
    );
  }
  const groups = shapeGroups(samples);
  const shape = bestShape(groups, contextLimit);
  const cached = cacheEvidence(samples, groups, physics);
  if (cached !== null) found("prefix-cache", cached);
  const window = physics === null ? null : windowEvidence(groups, physics);
  if (window !== null) found("idle-window", window);
  if (shape.kind !== "smooth" && cached === null) found(shape.kind, shape.evidence);
  const explained = cached !== null || window !== null || shape.kind !== "smooth";
  const unfused = physics === null || explained ? null : attentionEvidence(shape, physics);
  if (unfused !== null) found("unfused", unfused);
  return { findings, noise: shape.noise, lengths: groups.length, samples: all.length };
}

/** Flat where time must grow, or faster than the work allows, or what the server itself says. */
function cacheEvidence(
  samples: readonly DiagnosedSample[],
  groups: ReturnType<typeof shapeGroups>,
  physics: Physics | null,
): string | null {
  const told = samples.flatMap(({ n, cachedTokens }) => (cachedTokens === null ? [] : [cachedTokens / n]));
  if (told.length > 0 && median(told) > 0.2) {
    return `the server reports ${percent(median(told))} of each prompt found in its cache`;
  }
  const [first] = groups;
  const last = groups.at(-1);
  if (first === undefined || last === undefined || last.n < 8 * first.n) return null;
  if (physics !== null) {
    const upper = groups.slice(Math.floor(groups.length / 2));
    const ratio = median(upper.map(({ n, seconds }) => seconds / physics.seconds(n)));
    const growth = last.seconds / first.seconds;
    const expected = physics.seconds(last.n) / physics.seconds(first.n);
    // A device that is faster than thought makes short prompts fast as well.
    if (ratio < impossiblyFast && growth < flatter * expected) {
      return `from ${tokens(first.n)} to ${tokens(last.n)} the time grows ${growth.toFixed(1)} times where the model's work needs ${expected.toFixed(1)} times, and long prompts take ${percent(ratio)} of the least they can`;
    }
    return null;
  }
  const exponent = Math.log(last.seconds / first.seconds) / Math.log(last.n / first.n);
  if (exponent > flatExponent || last.n < 4096) return null;
  return `the time is nearly flat: ${tokens(last.n / first.n)} times longer prompts take ${(last.seconds / first.seconds).toFixed(2)} times the time; without physics a fixed overhead longer than all of these prefills looks the same`;
}

/** Whether the samples follow full attention where the model has a window. */
function windowEvidence(groups: ReturnType<typeof shapeGroups>, physics: Physics): string | null {
  const { withoutWindow } = physics;
  const last = groups.at(-1);
  if (withoutWindow === null || last === undefined) return null;
  const room = withoutWindow(last.n) / physics.seconds(last.n);
  if (room < 1.15) return null;
  const misfit = (law: (n: number) => number): number => {
    const logs = groups.map(({ n, seconds }) => Math.log(seconds / law(n)));
    const centre = median(logs);
    return Math.sqrt(logs.reduce((sum, value) => sum + (value - centre) ** 2, 0) / logs.length);
  };
  const windowed = misfit(physics.seconds);
  const full = misfit(withoutWindow);
  if (windowed < 0.03 || full > windowed / 2) return null;
  return `the times follow full attention (within ${percent(full)}) and not the model's window (${percent(windowed)} off): at ${tokens(last.n)} the window should save ${percent(1 - 1 / room)}`;
}

function attentionEvidence({ coefficients, longest }: Shape, physics: Physics): string | null {
  const measured = coefficients.quadratic * longest ** 2;
  const expected = physics.attention(longest);
  if (measured < unfusedFactor * expected || measured < 0.1 * physics.seconds(longest)) return null;
  return `the part that grows with the square takes ${showSeconds(measured)} at ${tokens(longest)}, ${(measured / expected).toFixed(1)} times what attention needs`;
}
