import { percent, tokens } from "../base/format.js";
import { nonNegativeLeastSquares } from "../math/least-squares.js";
import { median } from "../math/median.js";
import { type Drawn, drawnOver } from "./diagnose-drawing.js";
import { type ShapeGroup, shapeGroups, smoothLaw, varianceOf } from "./diagnose-shape.js";
import type { DiagnosedSample } from "./diagnosed-sample.js";

/** What the model's own operators predict, where the model is known. */
export interface Physics {
  /** Seconds of a prefill of n tokens; of some machine where the device is unknown: then only their growth counts. */
  readonly seconds: (n: number) => number;
  /** The part of them that is attention. */
  readonly attention: (n: number) => number;
  /** The same prefill if every layer attended to everything; null where the model has no window. */
  readonly withoutWindow: ((n: number) => number) | null;
  /** Seconds below which n tokens cannot have been computed. */
  readonly least: (n: number) => number;
  /** They are what the server took in another run: nothing is known of the model, nor whether it has windows. */
  readonly measured?: true;
  /** Whether `seconds` are those of the device, or only grow like them. */
  readonly paceKnown: boolean;
  /** Standard deviation of log(true over predicted share of attention to all else). */
  readonly mixSpread: number;
}

/** A server that takes less than this share of what it took for fresh prompts has not computed all of a prompt. */
const leastOfItself = 0.85;

/**
 * What a server took for prompts that are known to have been computed, as the physics of other samples of it: the smooth law of
 * their medians.
 */
export function physicsOfSamples(samples: readonly DiagnosedSample[]): Physics {
  const groups = shapeGroups(samples);
  const { constant, linear, quadratic } = smoothLaw(groups);
  const attention = (n: number): number => quadratic * n * n;
  const seconds = (n: number): number => constant + linear * n + attention(n);
  return {
    seconds,
    attention,
    withoutWindow: null,
    least: (n) => leastOfItself * seconds(n),
    measured: true,
    paceKnown: true,
    mixSpread: Math.hypot(spreadOfItself, mixError(groups)),
  };
}

/** From run to run the same server's share of attention differs by this standard deviation of its logarithm. */
const spreadOfItself = 0.07;

/** Standard error of log(attention over all else) in the smooth law of these lengths, each left out in turn (jackknife). */
function mixError(groups: readonly ShapeGroup[]): number {
  const last = groups.at(-1)?.n ?? 1;
  const mixes = groups.map(({ n: without }) => {
    const { constant, linear, quadratic } = smoothLaw(groups.filter(({ n }) => n !== without));
    return Math.log((quadratic * last * last) / (constant + linear * last));
  });
  const centre = mixes.reduce((sum, value) => sum + value, 0) / mixes.length;
  const squares = mixes.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  const spare = mixes.length - coefficients;
  // Few lengths leave few degrees of freedom: what is left out is missed by less than it should be.
  const error = Math.sqrt((squares * (mixes.length - 1) ** 2) / (mixes.length * Math.max(0, spare)));
  return Number.isFinite(error) ? error : unknownMix;
}

/** Of the smooth law. */
const coefficients = 3;
/** Of samples that show no square, or nothing else. */
const unknownMix = 1;

/** Attention that takes this many times what physics expects is not fused. */
const unfusedFactor = 2.3;
/** Attention that takes this many times what it took in another run of the same server has changed. */
const changedFactor = 1.25;
/** What a cached prefix leaves to compute has up to this many times the share of attention. */
const mostOfCache = 2;
/** …and this share of the longest prefill. */
const unfusedShare = 0.1;
const flatter = 0.75;
/**
 * Shorter prompts take as long as reading the weights, on dense models in 16 bits and today's accelerators (some hundred operations
 * per byte, and a factor of two): how they grow is the machine's, not the model's.
 */
export const usualRidge = 1024;
/** As many longer ones it takes to tell attention from the rest. */
const fewestLengths = 5;
/** A window must save this much at the longest length to be missed. */
const leastSaving = 0.15;
/** Shapes of predictions are not believed beyond this share, nor those of a smooth law of measured times. */
const shapeErrors = { predicted: 0.03, measured: 0.015 } as const;
/** What the samples must say against the healthy model, in squares of deviations, before it is called ill. */
const doubt = { unfused: 5.5, changed: 2, unfusedOrCached: 3, idleWindow: 9 } as const;

/** A prediction says no more than this about the share of attention. */
export const leastMixSpread = 0.2;

interface Mixed {
  /** Misfit in squares of deviations; with the prior of the mix where that was asked for. */
  readonly cost: number;
  /** Attention over all else, in units of the prediction. */
  readonly factor: number;
  /** Root mean square of what is left, relative. */
  readonly misfit: number;
  /** Share of attention in the fitted time of the longest prefill. */
  readonly share: number;
  /** What was fitted: seconds = constant + pace·work. */
  readonly constant: number;
  readonly pace: number;
}

interface Range {
  readonly from: number;
  readonly to: number;
  /** Standard deviation of the factor's logarithm about 1, or null where nothing is known of it. */
  readonly spread: number | null;
  /** Factors from 1 to this one are all as likely. */
  readonly slack?: number;
  /** Standard deviation of the shape's own logarithm. */
  readonly shapeError: number;
}

const steps = 80;
const mostFactor = 64;

/**
 * Fits θ₀ + θ·(rest(n) + factor·attention(n)) to the medians, for the factor in a range that costs least; θ₀ and θ are free,
 * so that neither the machine's pace nor the server's own overhead matter.
 */
function mix(
  groups: readonly ShapeGroup[],
  rest: (n: number) => number,
  attention: (n: number) => number,
  { from, to, spread, slack = 1, shapeError }: Range,
): Mixed {
  let best: Mixed = { cost: Number.POSITIVE_INFINITY, factor: from, misfit: 1, share: 0, constant: 0, pace: 1 };
  const weights = groups.map((group) => 1 / (varianceOf(group) + shapeError ** 2));
  const last = groups.at(-1)?.n ?? 1;
  for (let step = 0; step <= steps; step += 1) {
    const factor = from * (to / from) ** (step / steps);
    const law = (n: number): number => rest(n) + factor * attention(n);
    const rows = groups.map(({ n, seconds }) => [1 / seconds, law(n) / seconds]);
    const ones = groups.map(() => 1);
    const { beta, rss } = nonNegativeLeastSquares(rows, ones, weights);
    const [constant = 0, pace = 0] = beta;
    const unlikely = factor < 1 ? Math.log(factor) : Math.max(0, Math.log(factor / slack));
    const cost = rss + (spread === null ? 0 : (unlikely / spread) ** 2);
    if (cost >= best.cost) continue;
    const left = groups.map(({ n, seconds }) => ((constant + pace * law(n)) / seconds - 1) ** 2);
    const misfit = Math.sqrt(left.reduce((sum, value) => sum + value, 0) / groups.length);
    const share = (pace * factor * attention(last)) / (constant + pace * law(last));
    best = { cost, factor, misfit, share, constant, pace };
  }
  return best;
}

export interface MixEvidence {
  readonly cause: "unfused" | "idle-window";
  readonly evidence: string;
  readonly drawn: Drawn;
  /** What looks the same in these samples. */
  readonly alike: readonly ("prefix-cache" | "idle-window" | "unfused")[];
}

/**
 * Whether attention takes several times its share, or the model's window saves nothing.
 *
 * @param computed no prompt can have come from a cache
 */
export function mixEvidence(
  all: readonly ShapeGroup[],
  { seconds, attention, withoutWindow, measured, paceKnown, mixSpread }: Physics,
  computed: boolean,
): MixEvidence | null {
  const groups = all.filter(({ n }) => n >= usualRidge);
  const last = groups.at(-1);
  if (last === undefined || groups.length < fewestLengths) return null;
  const rest = (n: number): number => Math.max(0, seconds(n) - attention(n));
  const cacheable = !computed && !paceKnown;
  const shapeError = measured === true ? shapeErrors.measured : shapeErrors.predicted;
  const prior = { from: 1 / mostFactor, to: mostFactor, spread: mixSpread, shapeError };
  const healthy = mix(groups, rest, attention, prior);
  const slowest = { from: measured === true ? changedFactor : unfusedFactor, to: mostFactor, spread: null, shapeError };
  const unfused = mix(groups, rest, attention, slowest);
  const room = withoutWindow === null ? 1 : withoutWindow(last.n) / seconds(last.n);
  const idle =
    withoutWindow === null || room < 1 + leastSaving
      ? null
      : mix(groups, rest, (n) => withoutWindow(n) - rest(n), prior);
  const costs = {
    healthy: healthy.cost,
    unfused:
      unfused.share < unfusedShare
        ? Number.POSITIVE_INFINITY
        : unfused.cost + (measured === true ? doubt.changed : doubt.unfused),
    idle: idle === null ? Number.POSITIVE_INFINITY : idle.cost + doubt.idleWindow,
  };
  const least = Math.min(costs.healthy, costs.unfused, costs.idle);
  if (idle !== null && costs.idle === least) {
    const evidence = `the times grow as if every layer attended to everything (within ${percent(idle.misfit)}): with the model's window they would need attention of ${healthy.factor.toFixed(1)} times its share, and are ${percent(healthy.misfit)} off; at ${tokens(last.n)} the window should save ${percent(1 - 1 / room)}`;
    const drawn = drawnOver(groups, paced("the model at this pace", idle, seconds), {
      name: "the same without windows",
      at: (n) => idle.constant + idle.pace * (rest(n) + idle.factor * ((withoutWindow?.(n) ?? 0) - rest(n))),
    });
    return { cause: "idle-window", evidence, drawn, alike: [] };
  }
  if (costs.unfused === least) {
    const whose = measured === true ? "of the run beside" : "beside the rest of the model";
    const evidence = `attention takes ${timesOf(unfused.factor)} its share ${whose}: ${percent(unfused.share)} of the time at ${tokens(last.n)}, where ${measured === true ? "that run had" : "physics expects"} ${percent(attention(last.n) / seconds(last.n))}`;
    const drawn = drawnOver(
      groups,
      paced(measured === true ? "the run beside at this pace" : "the model at this pace", unfused, seconds),
      {
        name: `attention ${timesOf(unfused.factor)} as slow`,
        at: (n) => unfused.constant + unfused.pace * (rest(n) + unfused.factor * attention(n)),
      },
    );
    if (measured === true) {
      const windows = "; of a model with windows, ones that no longer save anything look the same (--model tells)";
      const [cause, other] = unfused.factor < unfusedFactor ? idleFirst : unfusedFirst;
      return { cause, evidence: `${evidence}${windows}`, drawn, alike: [other] };
    }
    const cached = cacheable ? mix(groups, rest, attention, { ...prior, slack: mostOfCache }) : null;
    if (cached === null || cached.cost > unfused.cost + doubt.unfusedOrCached) {
      return { cause: "unfused", evidence, drawn, alike: [] };
    }
    const doubtful = `; up to ${mostOfCache} times is what a cached beginning of each prompt makes of it: whether it is that instead, fresh prompts, a report of cached tokens or the device (--on) tell`;
    return { cause: "unfused", evidence: `${evidence}${doubtful}`, drawn, alike: ["prefix-cache"] };
  }
  return null;
}

/** What attention that became slower may be, the likelier first: a kernel that is not fused takes more than twice the time. */
const unfusedFirst = ["unfused", "idle-window"] as const;
const idleFirst = ["idle-window", "unfused"] as const;

/** The healthy law at the pace and with the overhead that were fitted. */
function paced(name: string, { constant, pace }: Mixed, law: (n: number) => number) {
  return { name, at: (n: number): number => constant + pace * law(n) };
}

function timesOf(factor: number): string {
  return factor < mostFactor ? `${factor.toFixed(1)} times` : `${mostFactor} times and more`;
}

/** Whether long prompts take less than their work needs, and short ones do not. */
export function impossiblyFast(groups: readonly ShapeGroup[], { seconds, least }: Physics): string | null {
  const [first] = groups;
  const last = groups.at(-1);
  if (first === undefined || last === undefined || last.n < 8 * first.n) return null;
  const upper = groups.slice(Math.floor(groups.length / 2));
  const ratio = median(upper.map((group) => group.seconds / least(group.n)));
  const growth = last.seconds / first.seconds;
  const expected = seconds(last.n) / seconds(first.n);
  // A device that is faster than thought makes short prompts fast as well.
  if (ratio >= 1 || growth >= flatter * expected) return null;
  return `from ${tokens(first.n)} to ${tokens(last.n)} the time grows ${growth.toFixed(1)} times where the model's work needs ${expected.toFixed(1)} times, and long prompts take ${percent(ratio)} of the least they can`;
}
