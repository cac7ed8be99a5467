import {
  fitLaw,
  fitPhysical,
  type LawFit,
  type LawPrediction,
  nextLengths,
  type PhysicalCurve,
  type Point,
} from "../fit/index.js";
import type { NextBlock } from "../measure/plan.js";
import { cachedBefore, type Cell, cellKey, isUsable, lengthOf, type Sample } from "../runs/schema.js";
import { cellOf, type MeasuredPhase, withDepth } from "./measure.js";

/** How well a length is wanted to be known: `10%@32k`. */
export interface Goal {
  /** Wanted half-width of the interval of the typical time, over that time. */
  readonly halfWidth: number;
  /** New tokens of a prefill, the context of a decode step. */
  readonly n: number;
}

export interface UntilPlan {
  readonly goal: Goal;
  readonly phase: MeasuredPhase;
  readonly batch: number;
  /** Tokens cached before each prefill. */
  readonly depth: number;
  /** Lengths of the first blocks, ascending. */
  readonly start: readonly number[];
  /** First blocks, before anything is decided: their repeats tell the noise. */
  readonly repeat: number;
  readonly warmups: number;
  readonly seconds: number;
  /** Longest length that the machine, or the server's context, can run. */
  readonly longest: number;
  /** Where the device is known: the interval is then the physical law's. */
  readonly curve: PhysicalCurve | null;
}

/** What is known of the goal's length. */
export interface Reached {
  readonly law: string;
  readonly prediction: LawPrediction;
  /** Half the interval over the time. */
  readonly halfWidth: number;
  /** The interval is narrow enough, and is believed. */
  readonly reached: boolean;
}

export interface UntilRule {
  readonly next: NextBlock;
  readonly stoppedFor: () => UntilReason;
}

export type UntilReason = "reached" | "time" | "no-better-length" | "interrupted";

/** Lengths of one block that the design asks for. */
const mostPerBlock = 4;
/** Share of the time left that a block may be planned to take: foresight is not exact. */
const planned = 0.9;
const fewestLengths = 2;

/** Samples of what the goal is about, usable or not. */
function ownOf(samples: readonly Sample[], { phase, batch, depth }: UntilPlan): Sample[] {
  return samples.filter((one) => one.phase === phase && one.batch === batch && cachedBefore(one) === depth);
}

function pointsOf(samples: readonly Sample[], plan: UntilPlan): Point[] {
  return ownOf(samples, plan)
    .filter(isUsable)
    .map((sample) => ({ n: lengthOf(sample), seconds: sample.seconds, block: sample.block }));
}

function fitted(samples: readonly Sample[], plan: UntilPlan): { blind: LawFit; reached: Reached } | null {
  const points = pointsOf(samples, plan);
  if (new Set(points.map(({ n }) => n)).size < fewestLengths) return null;
  const blind = fitLaw(points, { axis: plan.phase === "decode" ? "depth" : "length" });
  const physical = plan.curve === null ? null : fitPhysical(plan.curve, points);
  const prediction = (physical ?? blind).predict(plan.goal.n);
  const halfWidth = (prediction.high - prediction.low) / (2 * prediction.seconds);
  return {
    blind,
    reached: {
      law: (physical ?? blind).law.kind,
      prediction,
      halfWidth,
      reached: prediction.canTell && halfWidth <= plan.goal.halfWidth,
    },
  };
}

/** How well the samples so far tell the goal's length; null below two lengths. */
export function reachedBy(samples: readonly Sample[], plan: UntilPlan): Reached | null {
  return fitted(samples, plan)?.reached ?? null;
}

/** The longest length that may be asked for: shorter than any that was refused each time. */
function longestLeft(samples: readonly Sample[], plan: UntilPlan): number {
  const own = ownOf(samples, plan);
  const worked = new Set(own.filter(({ rejected }) => rejected === null).map(lengthOf));
  return Math.min(plan.longest, ...own.map(lengthOf).flatMap((n) => (worked.has(n) ? [] : [n - 1])));
}

/** The cell that times a length of what the goal is about. */
function goalCell({ phase, batch, depth }: UntilPlan, length: number): Cell {
  return withDepth(cellOf(phase, length, batch), depth);
}

/**
 * The cells of the next block: lengths that narrow the interval at the goal most for their time.
 *
 * @param share of the time that is left which they may take
 */
function designed(blind: LawFit, samples: readonly Sample[], plan: UntilPlan, share: number): Cell[] {
  const { goal, warmups } = plan;
  const left = (plan.seconds - (samples.at(-1)?.at ?? 0)) * planned * share;
  if (!(left > 0)) return [];
  const target = Math.max(goal.n, blind.range.from);
  const longest = longestLeft(samples, plan);
  const design = (seconds: number) => nextLengths(blind, { target, seconds, repeats: 1, longest });
  const known = new Set(samples.map(cellKey));
  const cells: Cell[] = [];
  let cost = 0;
  const take = (n: number, seconds: number): void => {
    const cell = goalCell(plan, n);
    const key = cellKey(cell);
    const whole = known.has(key) ? seconds : seconds * (1 + warmups);
    if (cells.length >= mostPerBlock || cost + whole > left || cells.some((one) => cellKey(one) === key)) return;
    cells.push(cell);
    cost += whole;
  };
  // A new length is warmed up first, so what fits the time once may not fit it twice.
  for (const { n, seconds } of design(left / (1 + warmups))) take(n, seconds);
  if (cells.length === 0) for (const { n, seconds } of design(left)) take(n, seconds);
  return cells;
}

/**
 * The stop rule and the adaptive plan of `measure --until`: after the first blocks the laws are fitted again before each
 * block, which then holds the lengths of the optimal design (`nextLengths`) of each goal that is not reached yet.
 *
 * @param plans one for each law: of a phase, after so many cached tokens; alike in their first blocks and their time
 */
export function untilRule(plans: readonly UntilPlan[]): UntilRule {
  let reason: UntilReason = "time";
  const repeat = Math.max(...plans.map((plan) => plan.repeat));
  const seconds = Math.min(...plans.map((plan) => plan.seconds));
  const first = (plan: UntilPlan): Cell[] => plan.start.map((n) => goalCell(plan, n));
  return {
    next: (samples, block) => {
      if (block < repeat) return plans.flatMap(first);
      const known = plans.map((plan) => ({ plan, now: fitted(samples, plan) }));
      const open = known.filter(({ now }) => now?.reached.reached !== true);
      if (open.length === 0) {
        reason = "reached";
        return null;
      }
      const cells = open.flatMap(({ plan, now }) =>
        now === null ? first(plan) : designed(now.blind, samples, plan, 1 / open.length),
      );
      if (cells.length > 0) return cells;
      reason = (samples.at(-1)?.at ?? 0) > seconds / 2 ? "time" : "no-better-length";
      return null;
    },
    stoppedFor: () => reason,
  };
}
