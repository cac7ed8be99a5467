import { percent } from "../base/format.js";
import { median } from "../math/median.js";
import { twoModes } from "../math/modes.js";
import { hasTrend, theilSenSlope } from "../math/trend.js";
import {
  type Cell,
  cellKey,
  cellText,
  isUsable,
  type Machine,
  type Plan,
  type Sample,
  type UsableSample,
  type Warning,
} from "../runs/schema.js";
import { deviation } from "../math/moments.js";

/** What the instrument looks at when it accuses itself: what it did and saw, never what anybody expected of it. */
export interface Evidence {
  readonly samples: readonly Sample[];
  readonly plan: Pick<Plan, "cells" | "reference" | "repeat">;
  readonly machine: Pick<Machine, "cores" | "load" | "power">;
}

/** Every code that `assess` gives, and what it takes. Shares are of seconds. */
const thresholds = {
  /** `drift`: the reference changed by this over the run, and its trend has a probability below the level by chance. */
  drift: { change: 0.05, level: 0.02 },
  /** `spread`: standard deviation of log seconds within one cell. */
  spread: 0.1,
  /** `two-modes`: the slow group is slower by this share. */
  modes: 0.08,
  /** `few-repeats`: fewer usable samples of a cell. */
  repeats: 3,
  /** `warming-up`: the first block slower by this share, with a probability below the level by chance. */
  warmingUp: { change: 0.03, level: 0.02 },
  /** `busy-machine`: load average over cores before the first step. */
  load: 0.5,
} as const;

type Groups = ReadonlyMap<string, readonly UsableSample[]>;

function grouped(samples: readonly UsableSample[]): Groups {
  const groups = new Map<string, UsableSample[]>();
  for (const sample of samples) {
    const key = cellKey(sample);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [sample]);
    else group.push(sample);
  }
  return groups;
}

function logsOf(group: readonly UsableSample[]): number[] {
  return group.map(({ seconds }) => Math.log(seconds));
}

function isReference({ phase }: Pick<Cell, "phase">): boolean {
  return phase === "reference";
}

/** The first few names, and how many more. */
function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).join("; ");
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}

/** Relative change of the reference's seconds over the run (0.1: 10 % slower at the end); null where there is no trend. */
export function referenceDrift(samples: readonly Sample[]): number | null {
  const reference = samples.filter(isUsable).filter(isReference);
  const logs = logsOf(reference);
  const times = reference.map(({ at }) => at);
  if (!hasTrend(logs, thresholds.drift.level)) return null;
  const span = (times.at(-1) ?? 0) - (times[0] ?? 0);
  return Math.expm1(theilSenSlope(times, logs) * span);
}

function driftWarning({ samples }: Evidence): Warning[] {
  const change = referenceDrift(samples);
  if (change === null || Math.abs(change) < thresholds.drift.change) return [];
  const slower = change > 0 ? "slower" : "faster";
  const message = `the reference workload became ${percent(Math.abs(change))} ${slower} during the run: the machine changed its pace`;
  return [{ code: "drift", message }];
}

function spreadWarning(groups: Groups): Warning[] {
  const wide = [...groups.values()]
    .filter((group) => group.length >= 3)
    .map((group) => ({ group, spread: deviation(logsOf(group)) }))
    .filter(({ spread }) => spread > thresholds.spread)
    .sort((a, b) => b.spread - a.spread);
  const worst = wide[0];
  if (worst === undefined) return [];
  const others = wide.length > 1 ? ` and ${wide.length - 1} more` : "";
  const message = `repeats of ${listed(worst.group.slice(0, 1).map(cellText))}${others} scatter by ${percent(worst.spread)} of their time; up to ${percent(thresholds.spread)} is usual`;
  return [{ code: "spread", message }];
}

/** Slowdowns over the fastest repeat of the same cell, of all cells together: few repeats each, but many in all. */
function modesWarning(groups: Groups): Warning[] {
  const slowdowns = [...groups.values()]
    .filter((group) => group.length >= 3)
    .flatMap((group) => {
      const logs = logsOf(group);
      const fastest = Math.min(...logs);
      return logs.map((log) => log - fastest);
    });
  const modes = twoModes(slowdowns, Math.log1p(thresholds.modes));
  if (modes === null) return [];
  const message = `samples fall into two groups: ${percent(modes.upperShare)} of them take about ${percent(Math.expm1(modes.distance))} longer; something else takes turns with the measurement`;
  return [{ code: "two-modes", message }];
}

/** Probability of at least `hits` heads in `trials` tosses of a fair coin. */
function coinTail(hits: number, trials: number): number {
  let ways = 1;
  let tail = 0;
  for (let heads = 0; heads <= trials; heads += 1) {
    if (heads >= hits) tail += ways;
    ways = (ways * (trials - heads)) / (heads + 1);
  }
  return tail / 2 ** trials;
}

function warmingUpWarning(groups: Groups): Warning[] {
  const excesses = [...groups.values()].flatMap((group) => {
    const first = group.filter(({ block }) => block === 0);
    const later = group.filter(({ block }) => block > 0);
    return first.length === 0 || later.length < 2 ? [] : [median(logsOf(first)) - median(logsOf(later))];
  });
  const most = excesses.slice(0, 500);
  const slower = most.filter((excess) => excess > 0).length;
  const { change, level } = thresholds.warmingUp;
  if (most.length === 0 || coinTail(slower, most.length) > level) return [];
  const excess = Math.expm1(median(most));
  if (excess < change) return [];
  const message = `the first block was ${percent(excess)} slower than the later ones: more warm-ups are needed`;
  return [{ code: "warming-up", message }];
}

function countWarnings({ samples, plan }: Evidence, groups: Groups): Warning[] {
  const warnings: Warning[] = [];
  const usable = (cell: Cell): number => groups.get(cellKey(cell))?.length ?? 0;
  const empty = plan.cells.filter((cell) => usable(cell) === 0).map(cellText);
  const few = plan.cells.filter((cell) => usable(cell) > 0 && usable(cell) < thresholds.repeats).map(cellText);
  if (empty.length > 0) {
    warnings.push({ code: "not-measured", message: `no usable sample of ${listed(empty)}` });
  }
  if (few.length > 0) {
    const message = `fewer than ${thresholds.repeats} repeats of ${listed(few)}: the scatter there is hardly known`;
    warnings.push({ code: "few-repeats", message });
  }
  const unusable = samples.filter(({ warmup, rejected }) => !warmup && rejected !== null);
  const first = unusable[0];
  if (first !== undefined) {
    const message = `${unusable.length} of ${samples.length} samples were rejected, the first because: ${first.rejected}`;
    warnings.push({ code: "rejected-samples", message: message.slice(0, 500) });
  }
  return warnings;
}

function machineWarnings({ machine }: Evidence): Warning[] {
  const warnings: Warning[] = [];
  const { load, cores } = machine;
  if (load !== null && load / cores > thresholds.load) {
    const message = `the machine was busy before the first step: load average ${load.toFixed(1)} on ${cores} cores`;
    warnings.push({ code: "busy-machine", message });
  }
  if (machine.power === "battery") {
    warnings.push({ code: "on-battery", message: "the machine runs on battery, which slows processors" });
  }
  return warnings;
}

/**
 * Reasons to doubt a run, each with a code and a sentence. No reason is no proof: it says that none of these was seen.
 * What the loop itself noted (time limit, failed cells, Ctrl-C) is in the measurement's own warnings.
 */
export function assess(evidence: Evidence): Warning[] {
  const usable = evidence.samples.filter(isUsable);
  const all = grouped(usable);
  const cells = grouped(usable.filter((sample) => !isReference(sample)));
  return [
    ...driftWarning(evidence),
    ...spreadWarning(all),
    ...modesWarning(cells),
    ...warmingUpWarning(cells),
    ...countWarnings(evidence, all),
    ...machineWarnings(evidence),
  ];
}
