import { median } from "../math/median.js";
import { cachedBefore, isUsable, lengthOf, type Phase, type Sample } from "../runs/schema.js";
import type { MeasuredLength, PhaseReport, PredictedPoint } from "./data.js";

/**
 * The samples of one phase and batch by length, ascending. Warm-ups are left out; lengths without a usable sample too.
 *
 * @param cached tokens cached before a prefill; a decode step's are its length
 */
export function measuredLengths(samples: readonly Sample[], phase: Phase, batch = 1, cached = 0): MeasuredLength[] {
  const byLength = new Map<number, Sample[]>();
  for (const sample of samples) {
    if (sample.phase !== phase || sample.batch !== batch || sample.warmup) continue;
    if (cachedBefore(sample) !== cached) continue;
    const group = byLength.get(lengthOf(sample));
    if (group === undefined) byLength.set(lengthOf(sample), [sample]);
    else group.push(sample);
  }
  return [...byLength]
    .flatMap(([n, group]) => {
      const seconds = group.filter(isUsable).map((sample) => sample.seconds);
      if (seconds.length === 0) return [];
      return {
        n,
        samples: seconds,
        median: median(seconds),
        fastest: Math.min(...seconds),
        slowest: Math.max(...seconds),
        rejected: group.length - seconds.length,
      };
    })
    .sort((left, right) => left.n - right.n);
}

/** One measured length beside what was predicted for it. */
export interface Compared {
  readonly measured: MeasuredLength;
  readonly predicted: PredictedPoint;
  /** Median measured seconds over predicted seconds. */
  readonly ratio: number;
  /** Whether the median lies within the prediction's interval. */
  readonly inside: boolean;
}

export interface Agreement {
  readonly rows: readonly Compared[];
  readonly medianRatio: number;
  readonly lowestRatio: number;
  readonly highestRatio: number;
  readonly inside: number;
}

/** Measured against predicted at every length that has both; null where no length has. */
export function agreement(phase: PhaseReport): Agreement | null {
  const predictedAt = new Map((phase.prediction?.points ?? []).map((point) => [point.n, point]));
  const rows = phase.measured.flatMap((measured): Compared[] => {
    const predicted = predictedAt.get(measured.n);
    if (predicted === undefined) return [];
    const inside = measured.median >= predicted.low && measured.median <= predicted.high;
    return [{ measured, predicted, ratio: measured.median / predicted.seconds, inside }];
  });
  if (rows.length === 0) return null;
  const ratios = rows.map((row) => row.ratio);
  return {
    rows,
    medianRatio: median(ratios),
    lowestRatio: Math.min(...ratios),
    highestRatio: Math.max(...ratios),
    inside: rows.filter((row) => row.inside).length,
  };
}
