import { percent, seconds as showSeconds, tokens } from "../base/format.js";
import { type Cause, type EngineOption, advice, engineOptions } from "./diagnose-advice.js";
import { flatEvidence, reportedCache, reportsNone, visitsOf } from "./diagnose-cache.js";
import {
  type Drawn,
  drawnCached,
  drawnLeast,
  drawnOutside,
  drawnOver,
  drawnSeconds,
  drawnTrend,
  drawnWaits,
} from "./diagnose-drawing.js";
import { type Trend, outsideTime, queueing, trendOf, withoutTrend, withoutWaits } from "./diagnose-noise.js";
import { type Physics, mixEvidence, usualRidge } from "./diagnose-physics.js";
import type { DiagnosedSample } from "./diagnosed-sample.js";
import { type Shape, type ShapeGroup, bestShape, shapeGroups, withoutWaited } from "./diagnose-shape.js";

export { type Physics, leastMixSpread, physicsOfSamples } from "./diagnose-physics.js";

export interface Finding {
  readonly cause: Cause;
  /** Causes that look the same in these samples. */
  readonly alike: readonly Cause[];
  /** What was seen in the samples, with its numbers. */
  readonly evidence: string;
  /** The same to be drawn. */
  readonly drawn: Drawn;
  readonly advice: string;
  /** Options of serving engines that the advice is about. */
  readonly options: readonly EngineOption[];
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
  /** No prompt was sent twice. */
  readonly fresh?: boolean;
  /** What ran is the graph that physics priced: its attention is fused, and its windows save work, as there. */
  readonly sameGraph?: boolean;
  /** Samples that were left out because the server said that it had their prompts in a cache. */
  readonly refused?: readonly DiagnosedSample[];
}

/**
 * What ails a series of prefills, from the samples alone and, where physics is known, from how they differ from it.
 * Needs several repeats of at least five lengths.
 */
export function diagnose(all: readonly DiagnosedSample[], options: DiagnoseOptions): Diagnosis {
  const { physics, contextLimit, fresh = false, sameGraph = false, refused = [] } = options;
  const findings: Finding[] = [];
  const found = (cause: Cause, evidence: string, drawn: Drawn, alike: readonly Cause[] = []): void => {
    findings.push({ cause, alike, evidence, drawn, advice: advice[cause], options: engineOptions[cause] });
  };
  const visits = visitsOf(all);
  const computed = fresh || reportsNone([...all, ...refused]);
  const reported = reportedCache([...all, ...refused]);
  const remembered = reported === null && !computed ? visits.cached : null;
  // What only first visits pay for is no mode and no trend of the others.
  const settled = visits.slower ? visits.later : all;
  const trend: Trend = trendOf(settled);
  if (trend.drifts) {
    found(
      "throttling",
      `the last third of the run took ${percent(trend.change)} longer than the first third, at the same lengths`,
      drawnTrend(settled),
    );
  }
  const steady = trend.drifts ? withoutTrend(settled) : settled;
  const waits = queueing(steady);
  const samples = waits === null ? steady : withoutWaits(steady, waits);
  if (waits !== null) {
    found(
      "queueing",
      `${percent(waits.share)} of the samples took ${percent(waits.longer)} longer than others of their length; the rest agree within ${percent(waits.noise)}`,
      drawnWaits(steady, Math.exp(waits.limit)),
    );
  }
  const outside = outsideTime(samples);
  if (outside !== null) {
    const { atLongest } = outside;
    const longest = atLongest.n === outside.n ? "" : `, ${percent(atLongest.share)} at ${tokens(atLongest.n)}`;
    found(
      "outside-time",
      `the client's time minus the server's own prefill grows by ${showSeconds(outside.perToken * 1000)} per 1,000 tokens: ${percent(outside.share)} of the time at ${tokens(outside.n)}${longest}`,
      drawnOutside(outside.points, outside.perToken),
    );
  }
  const groups = waits === null ? shapeGroups(samples) : withoutWaited(shapeGroups(samples), waits.limit);
  const shape = bestShape(groups, { contextLimit, ridge: ridgeOf(groups, physics) });
  const diagnosis = { findings, noise: shape.noise, lengths: groups.length, samples: all.length };
  if (reported !== null) {
    found("prefix-cache", reported, drawnCached([...all, ...refused]));
    return diagnosis;
  }
  if (remembered !== null) {
    const kinds = [
      { name: "first of its length", samples: visits.first },
      { name: "later ones", samples: visits.later },
    ];
    found("prefix-cache", remembered, drawnSeconds(kinds));
    return diagnosis;
  }
  const flat = flatEvidence(
    groups,
    physics,
    fresh ? "no prompt was sent twice" : computed ? "the server says that nothing came from its cache" : null,
  );
  const drawnFlat =
    flat?.tooFast === true && physics !== null
      ? drawnLeast(groups, physics.least)
      : drawnSeconds([{ name: "measured medians", samples: groups }]);
  if (flat?.cause === "prefix-cache" && !(physics === null && shape.kind === "fixed-overhead")) {
    found(flat.cause, flat.evidence, drawnFlat);
    return diagnosis;
  }
  const mixed = physics === null || sameGraph ? null : mixEvidence(groups, physics, computed);
  if (mixed?.cause === "idle-window" && mixed.alike.length === 0) found(mixed.cause, mixed.evidence, mixed.drawn);
  if (shape.kind !== "smooth") found(shape.kind, shape.evidence, drawnShape(groups, shape));
  else if (flat !== null) found(flat.cause, flat.evidence, drawnFlat);
  else if (mixed !== null && (mixed.cause === "unfused" || mixed.alike.length > 0)) {
    found(mixed.cause, mixed.evidence, mixed.drawn, mixed.alike);
  }
  return diagnosis;
}

const shapeNames = {
  smooth: "the smooth law",
  "fixed-overhead": "flat, then growing",
  padding: "padded prompts",
  regather: "chunks gathered anew",
  "memory-pressure": "an upturn near the limit",
} as const;

function drawnShape(groups: readonly ShapeGroup[], { kind, plain, at }: Shape): Drawn {
  return drawnOver(groups, { name: shapeNames.smooth, at: plain }, { name: shapeNames[kind], at });
}

const stillFlat = 1.3;

/** Tokens up to which the weights are read longer than anything is computed. */
function ridgeOf(groups: readonly { readonly n: number }[], physics: Physics | null): number {
  const first = groups[0]?.n ?? 1;
  if (physics?.paceKnown !== true) return usualRidge;
  const flat = groups.filter(({ n }) => physics.seconds(n) < stillFlat * physics.seconds(first));
  return Math.max(usualRidge, flat.at(-1)?.n ?? 0);
}
