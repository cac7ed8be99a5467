import { median } from "../math/median.js";
import { twoModes } from "../math/modes.js";
import { theilSenSlope } from "../math/trend.js";
import type { DiagnosedSample } from "./diagnosed-sample.js";

/** Times of one length, relative to their median, as logarithms; in the order of the samples. */
function deviations(samples: readonly DiagnosedSample[]): number[] {
  const middle = new Map(
    [...grouped(samples)].map(([n, group]) => [n, median(group.map(({ seconds }) => seconds))] as const),
  );
  return samples.map(({ n, seconds }) => Math.log(seconds / (middle.get(n) ?? seconds)));
}

export function grouped(samples: readonly DiagnosedSample[]): Map<number, DiagnosedSample[]> {
  const groups = new Map<number, DiagnosedSample[]>();
  for (const sample of samples) {
    const group = groups.get(sample.n);
    if (group === undefined) groups.set(sample.n, [sample]);
    else group.push(sample);
  }
  return groups;
}

/** Deviations from the median of a few repeats are smaller than those from the truth: some 15 % for five. */
const shrinkage = 1.15;
/** Clocks and schedulers scatter by this much at least. */
const leastNoise = 0.004;
/** What is assumed where no length was measured twice. */
const unknownNoise = 0.02;

/** Standard deviation of log seconds within a length, from the median absolute deviation. */
export function noiseOf(samples: readonly DiagnosedSample[]): number {
  if (grouped(samples).size === samples.length) return unknownNoise;
  const sizes = deviations(samples).map(Math.abs);
  return Math.max(leastNoise, 1.4826 * shrinkage * median(sizes.filter((size) => size > 0).concat(leastNoise)));
}

export interface Trend {
  readonly drifts: boolean;
  /** Median of the last third over that of the first, minus 1. */
  readonly change: number;
}

const leastDrift = 0.03;
/** Of Spearman's rank correlation in units of its standard error: one healthy run in ten thousand is beyond. */
const driftDeviates = 3.7;

/** The samples in the order of time, or null where that is not known of all of them. */
function inOrder(samples: readonly DiagnosedSample[]): DiagnosedSample[] | null {
  if (samples.some(({ at }) => at === null)) return null;
  return [...samples].sort((left, right) => (left.at ?? 0) - (right.at ?? 0));
}

/** Whether times of equal lengths grow over the run. The order of samples without times says nothing. */
export function trendOf(samples: readonly DiagnosedSample[]): Trend {
  const ordered = inOrder(samples);
  if (ordered === null) return { drifts: false, change: 0 };
  const values = deviations(ordered);
  const third = Math.floor(values.length / 3);
  if (third < 4) return { drifts: false, change: 0 };
  const change = Math.exp(median(values.slice(-third)) - median(values.slice(0, third))) - 1;
  const correlation = rankCorrelation(values);
  const deviate = correlation * Math.sqrt((values.length - 2) / Math.max(1e-9, 1 - correlation ** 2));
  return { drifts: change > leastDrift && deviate > driftDeviates, change };
}

/** Spearman's correlation of the values with their order. */
function rankCorrelation(values: readonly number[]): number {
  const order = values.map((value, index) => ({ value, index })).sort((left, right) => left.value - right.value);
  const count = values.length;
  let squares = 0;
  order.forEach(({ index }, rank) => {
    squares += (rank - index) ** 2;
  });
  return 1 - (6 * squares) / (count * (count ** 2 - 1));
}

/** The samples with what the run's trend made of them taken out: the median of each sixth of the run. */
export function withoutTrend(samples: readonly DiagnosedSample[]): DiagnosedSample[] {
  const ordered = inOrder(samples) ?? [];
  const values = deviations(ordered);
  const part = Math.max(4, Math.ceil(ordered.length / 6));
  return ordered.map((sample, index) => {
    const from = Math.floor(index / part) * part;
    return { ...sample, seconds: sample.seconds / Math.exp(median(values.slice(from, from + part))) };
  });
}

export interface Queueing {
  readonly share: number;
  /** By how much the slower ones take longer. */
  readonly longer: number;
  readonly noise: number;
  /** Logarithm of the ratio to the fastest of a length from which on a sample counts as slow. */
  readonly limit: number;
}

const leastWait = 0.06;
const slowDeviates = 3.5;
const leastShare = 0.1;

/** A second, slower mode at equal lengths, or a tail of waits of many lengths beyond the noise of the others. */
export function queueing(samples: readonly DiagnosedSample[]): Queueing | null {
  const noise = noiseOf(samples);
  const slowdowns = [...grouped(samples).values()].flatMap((group) => {
    const fastest = Math.min(...group.map(({ seconds }) => seconds));
    return group.length < 3 ? [] : group.map(({ seconds }) => Math.log(seconds / fastest));
  });
  const modes = twoModes(slowdowns, leastWait);
  if (modes !== null) {
    return { share: modes.upperShare, longer: Math.expm1(modes.distance), noise, limit: modes.border };
  }
  const values = deviations(samples);
  const limit = Math.max(leastWait, slowDeviates * noise);
  const slow = values.filter((value) => value > limit);
  // Where most of a length's repeats waited, the others are as far below.
  const share = values.filter((value) => Math.abs(value) > limit).length / values.length;
  if (slow.length < 3 || share < leastShare) return null;
  return { share, longer: Math.expm1(median(slow)), noise, limit };
}

/** The samples of the faster mode. */
export function withoutWaits(samples: readonly DiagnosedSample[], { limit }: Queueing): DiagnosedSample[] {
  return [...grouped(samples).values()].flatMap((group) => {
    const fastest = Math.min(...group.map(({ seconds }) => seconds));
    return group.filter(({ seconds }) => seconds <= fastest * Math.exp(limit));
  });
}

export interface OutsideTime {
  readonly perToken: number;
  /** Of the client's time at the length n, where it is the largest share. */
  readonly share: number;
  readonly n: number;
  /** Of the client's time at the longest length. */
  readonly atLongest: { readonly share: number; readonly n: number };
  /** Median seconds outside by length. */
  readonly points: readonly { readonly n: number; readonly difference: number }[];
}

const leastOutside = 0.03;

/** What the client waits for beside the server's own prefill, where that grows with the length (Theil–Sen slope). */
export function outsideTime(samples: readonly DiagnosedSample[]): OutsideTime | null {
  const points = [...grouped(samples)].flatMap(([n, group]) => {
    const differences = group.flatMap(({ seconds, serverSeconds }) =>
      serverSeconds === null ? [] : [seconds - serverSeconds],
    );
    const seconds = median(group.map((sample) => sample.seconds));
    return differences.length === 0 ? [] : [{ n, difference: median(differences), seconds }];
  });
  points.sort((left, right) => left.n - right.n);
  const last = points.at(-1);
  if (last === undefined || points.length < 4) return null;
  const perToken = theilSenSlope(
    points.map(({ n }) => n),
    points.map(({ difference }) => difference),
  );
  const shares = points.map(({ n, seconds }) => ({ n, share: (perToken * n) / seconds }));
  const most = shares.reduce((best, point) => (point.share > best.share ? point : best));
  const rises = points.flatMap((from, index) => points.slice(index + 1).map((to) => to.difference > from.difference));
  const rising = rises.filter(Boolean).length / rises.length;
  if (most.share < leastOutside || rising < 0.85) return null;
  return { perToken, points, ...most, atLongest: { n: last.n, share: (perToken * last.n) / last.seconds } };
}
