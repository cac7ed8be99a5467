import type { Seconds } from "../base/units.js";
import { gemmSeconds, interpolateSpill, interpolateStream, unevenness } from "../hardware/calibrated.js";
import { type AttentionSizes, attentionFeatures } from "../hardware/calibrated-attention.js";
import {
  type AttentionRates,
  type Calibration,
  type GemmRates,
  type Growth,
  type Stream,
  type StreamKind,
  grownBy,
} from "../hardware/calibration.js";
import type { Micro } from "../onnx/micro.js";
import { chainLength, longestCalibrated, mostStacked } from "./calibration-plan.js";
import { fitRelative, leastOf, rootMeanSquare } from "./relative-fit.js";

/** Seconds of one run of a micro-model. */
export interface Timed {
  readonly micro: Micro;
  readonly seconds: Seconds;
}

/** The rates of a calibration, without what names the machine. */
export type FittedRates = Pick<
  Calibration,
  | "gemm"
  | "batchedPerMac"
  | "batchedPasses"
  | "batchedGrowth"
  | "attention"
  | "decodeAttention"
  | "streams"
  | "perOperator"
  | "perRun"
  | "spreads"
>;

type Of<Kind extends Micro["kind"]> = Extract<Micro, { kind: Kind }>;
type Rowwise = Extract<Micro, { kind: "norm" | "softmax" }>;
const bytesOfFloat = 4;

function ofKind<Kind extends Micro["kind"]>(timed: readonly Timed[], kind: Kind) {
  return timed.flatMap(({ micro, seconds }) =>
    isKind(micro, kind) ? [{ micro, seconds, each: seconds / chainLength(micro) }] : [],
  );
}

function isKind<Kind extends Micro["kind"]>(micro: Micro, kind: Kind): micro is Of<Kind> {
  return micro.kind === kind;
}

type Overheads = Pick<FittedRates, "perOperator" | "perRun">;

/** Seconds of an operator that computes next to nothing, and of a run beside its operators. */
function fitOverheads(timed: readonly Timed[]): Overheads {
  const empty = ofKind(timed, "elementwise")
    .filter(({ micro }) => micro.elements === 1)
    .sort((a, b) => a.micro.length - b.micro.length);
  const [short, long] = [empty[0], empty[empty.length - 1]];
  if (short === undefined || long === undefined || short === long) return { perOperator: 0, perRun: 0 };
  const perOperator = Math.max(0, (long.seconds - short.seconds) / (long.micro.length - short.micro.length));
  return { perOperator, perRun: Math.max(0, short.seconds - perOperator * short.micro.length) };
}

/** Bytes an operator of the chain moves, and bytes that must stay in a cache for the next one to find its input there. */
function traffic(micro: Of<"elementwise"> | Rowwise): { moved: number; workingSet: number } {
  if (micro.kind !== "elementwise") {
    const bytes = micro.rows * micro.width * bytesOfFloat;
    return { moved: 2 * bytes, workingSet: 2 * bytes };
  }
  const bytes = micro.elements * bytesOfFloat;
  // One array is written in place; a sum has a second operand besides.
  return micro.function === "add"
    ? { moved: 3 * bytes, workingSet: 2 * bytes }
    : { moved: 2 * bytes, workingSet: bytes };
}

function fitStream(timed: readonly Timed[], kind: StreamKind, { perOperator, perRun }: Overheads): Stream {
  const chosen = timed.flatMap(({ micro, seconds }) => {
    if (micro.kind === "elementwise" ? micro.function !== kind || micro.elements === 1 : micro.kind !== kind) return [];
    if (micro.kind !== "elementwise" && micro.kind !== "norm" && micro.kind !== "softmax") return [];
    const { moved, workingSet } = traffic(micro);
    const length = chainLength(micro);
    const own = (seconds - perRun) / length - perOperator;
    // Where the overhead is nearly all of it, a tenth is left: what is known is only that it is small.
    return [{ workingSet, secondsPerByte: Math.max(own, seconds / length / 10) / moved }];
  });
  const sorted = chosen.sort((a, b) => a.workingSet - b.workingSet);
  // A byte of a smaller working set takes no longer than one of a larger: what says so was disturbed.
  return sorted.map(({ workingSet }, i) => ({
    workingSet,
    secondsPerByte: Math.min(...sorted.slice(i).map((point) => point.secondsPerByte)),
  }));
}

const overlaps: readonly [number, ...number[]] = [1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 8, 16];
/** Rows from which a product is no longer a matter of fetching its weight alone. */
const someRows = 16;

/** Powers of the rows that a multiply-add with a weight may take longer by: an eighth is 19 % from 2048 to 8192. */
const rowGrowths: readonly [number, ...number[]] = [0, 0.03, 0.06, 0.09, 0.12, 0.15, 0.18, 0.21];
/** What it is expected to be (docs/performance.md), give or take how much: one long size must not choose alone. */
const expectedRowGrowth = 0.12;
const rowGrowthSpread = 0.05;
/** Rows from which that begins, and up to which it goes on: twice the longest that is timed. */
const grownRows = { from: 2048, to: 2 * longestCalibrated } as const;

function fitGemm(
  timed: readonly Timed[],
  perOperator: number,
): { rates: GemmRates; spread: number; thinSpread: number } {
  const cells = ofKind(timed, "matmul").map(({ micro: { m, k, n }, each }) => {
    return { m, macs: m * k * n, weight: k * n * bytesOfFloat, own: Math.max(each - perOperator, each / 10), each };
  });
  const thin = cells.filter(({ m }) => m === 1);
  const thick = cells.filter(({ m }) => m >= someRows);
  if (thick.length === 0) throw new Error("no product of more than one row was timed");
  const perWeightByte = Math.exp(
    thin.reduce((sum, { own, weight }) => sum + Math.log(own / weight), 0) / Math.max(1, thin.length),
  );
  const residuals = (some: typeof cells, { perMac, overlap, growth }: GemmRates): number =>
    rootMeanSquare(
      some.map(({ m, weight, macs, each }) => {
        const product = gemmSeconds(weight * perWeightByte, macs * perMac * grownBy(m, growth), overlap);
        return Math.log((product + perOperator) / each);
      }),
    );
  const fitWith = (overlap: number, exponent: number): { rates: GemmRates; error: number } => {
    const growth = { exponent, ...grownRows };
    const rows = thick.map(({ m, macs, weight, own }) => {
      // What is left for computing once the overlapped fetching is taken out; at least a little.
      const share = Math.max(1 - ((weight * perWeightByte) / own) ** overlap, 1e-3) ** (1 / overlap);
      // d log T / d log rest = share^overlap: where fetching takes the time, the rest says little.
      return { feature: macs * grownBy(m, growth), rest: own * share, weight: share ** (2 * overlap) };
    });
    const { beta } = fitRelative(
      rows.map(({ feature }) => [feature]),
      rows.map(({ rest }) => rest),
      rows.map(({ weight }) => weight),
    );
    const [perMac = 0] = beta;
    const rates = { perMac, perWeightByte, overlap, growth };
    return { rates, error: residuals(cells, rates) };
  };
  const { rates } = leastOf(
    rowGrowths,
    (exponent) =>
      leastOf(
        overlaps,
        (overlap) => fitWith(overlap, exponent),
        ({ error }) => error,
      ),
    ({ error, rates: { growth } }) =>
      cells.length * Math.log(error ** 2 + leastMisfit ** 2) +
      ((growth.exponent - expectedRowGrowth) / rowGrowthSpread) ** 2,
  );
  return { rates, spread: residuals(thick, rates), thinSpread: residuals(thin, rates) };
}

/**
 * Candidates for the elements of keys and values in one tile: a sixteenth of a second-level cache of 256 KiB to 16 MiB, as
 * ONNX Runtime sizes them, 1.25 MiB included. Few, so that noise cannot choose freely; above the last, one tile holds
 * all that is timed.
 */
const tiles: readonly [number, ...number[]] = [16_384, 32_768, 65_536, 81_920, 131_072, 262_144, 524_288, 1_048_576];

function sizesOf(micro: Of<"attention">): AttentionSizes {
  const { heads, kvHeads, headDim, n, depth, batch } = micro;
  const shape = { heads, kvHeads, keyDim: headDim, valueDim: headDim, causal: true };
  return { ...shape, batch, newTokens: n, totalTokens: n + depth };
}

/** Tokens at which attention takes about half the time of a model of this size or that. */
const halfAttention = 2048;

/**
 * How much the attention of n tokens counts: what it is off by matters to a model by the share of the time that it takes
 * there. Without this the many short sizes, which are quick to time, have the law follow them and miss the long ones.
 */
function prefillWeight(n: number): number {
  return (n / (n + halfAttention)) ** 2;
}

/**
 * From so many keys what a pair takes may change with their number, as they leave one cache or another, by such a power: a
 * tenth is 7 % per doubling.
 */
export const growths: readonly [Onset, ...Onset[]] = [
  { from: 1024, exponent: 0 },
  ...[1024, 2048, 4096].flatMap((from) =>
    [0.03, 0.06, 0.1, 0.15, 0.2].flatMap((size) => [-size, size].map((exponent) => ({ from, exponent }))),
  ),
];
/** Standard deviation that is expected of it, and the misfit of one size below which none is better: noise must not choose. */
export const usualGrowth = 0.1;
export const leastMisfit = 0.03;

export type Onset = Pick<Growth, "from" | "exponent">;

interface AttentionKernel {
  readonly threads: number;
  readonly tileCandidates: readonly [number, ...number[]];
  readonly growthCandidates: readonly [Onset, ...Onset[]];
  /** Weight of a size with so many new tokens. */
  readonly weight: (newTokens: number) => number;
}

function fitAttention(
  timed: readonly Timed[],
  accepts: (micro: Of<"attention">) => boolean,
  { threads, tileCandidates, growthCandidates, weight }: AttentionKernel,
): { rates: AttentionRates; spread: number } {
  const cells = ofKind(timed, "attention").filter(({ micro }) => accepts(micro));
  if (cells.length === 0) throw new Error("no attention was timed");
  const to = Math.max(...cells.map(({ micro }) => micro.n + micro.depth));
  const weights = cells.map(({ micro }) => weight(micro.n));
  const fitWith = (tileElements: number, growth: Onset, ofCells: readonly number[]) => {
    const kernel = { tileElements, threads, growth: { ...growth, to } };
    const { beta, spread } = fitRelative(
      cells.map(({ micro }) => attentionFeatures(sizesOf(micro), kernel)),
      cells.map(({ each }) => each),
      ofCells,
    );
    const [perPairDim = 0, perPair = 0, perNewDim = 0, perCachedDim = 0, perCall = 0] = beta;
    return { rates: { ...kernel, perPairDim, perPair, perNewDim, perCachedDim, perCall }, spread };
  };
  const grown = (tileElements: number, ofCells: readonly number[]) => {
    const mass = ofCells.reduce((sum, one) => sum + one, 0);
    const cost = ({ spread, rates: { growth } }: ReturnType<typeof fitWith>): number =>
      mass * Math.log(spread ** 2 + leastMisfit ** 2) + (growth.exponent / usualGrowth) ** 2;
    return leastOf(growthCandidates, (growth) => fitWith(tileElements, growth, ofCells), cost);
  };
  // Short sizes tell tiles apart, long ones what a pair takes.
  const alike = cells.map(() => 1);
  const { rates } = leastOf(
    tileCandidates,
    (tile) => grown(tile, alike),
    ({ spread }) => spread,
  );
  return grown(rates.tileElements, weights);
}

/**
 * Times that naive attention's mixture can read its weights from memory again: more than that is a disturbed measurement.
 */
const mostPasses = 6;
/** Powers of the rows that a multiply-add of two activations may take longer by: a seventh is 17 % from 8192 to 24,576. */
const productGrowths: readonly [number, ...number[]] = [0, 0.03, 0.06, 0.09, 0.12, 0.15, 0.18, 0.21, 0.24];
/** What it is expected to be (docs/performance.md), give or take how much: with few runs of each size noise must not choose. */
const expectedGrowth = 0.14;
const productGrowthSpread = 0.05;
/** Rows from which that begins, and up to which it goes on: twice the most that are timed. */
const grownProducts = { from: longestCalibrated, to: 2 * mostStacked } as const;

function fitProducts(
  timed: readonly Timed[],
  scale: Stream,
  threads: number,
): Pick<FittedRates, "batchedPerMac" | "batchedPasses" | "batchedGrowth"> {
  const [copy, spill] = [interpolateStream(scale), interpolateSpill(scale)];
  const cells = ofKind(timed, "product").map(({ micro: { batch, rows, inner, columns }, each }) => {
    const bytes = (of: number, by: number): number => batch * of * by * bytesOfFloat;
    const [left, right, written] = [bytes(rows, inner), bytes(inner, columns), bytes(rows, columns)];
    const alive = left + right + written;
    // Of many columns it makes scores; of few it mixes by them.
    const mixed = inner > columns ? left : 0;
    const uneven = unevenness(batch, threads);
    const streamed = Math.max(mixed, written) * copy(alive);
    return {
      rows,
      macs: batch * rows * inner * columns * uneven,
      again: mixed * spill(alive) * uneven,
      weight: prefillWeight(rows),
      rest: Math.max(each - streamed, each / 4),
    };
  });
  const weights = cells.map(({ weight }) => weight);
  const mass = weights.reduce((sum, weight) => sum + weight, 0);
  const fitted = leastOf(
    productGrowths,
    (exponent) => {
      const batchedGrowth = { exponent, ...grownProducts };
      const { beta, spread } = fitRelative(
        cells.map(({ macs, again, rows }) => [macs * grownBy(rows, batchedGrowth), again]),
        cells.map(({ rest }) => rest),
        weights,
      );
      return { beta, spread, batchedGrowth };
    },
    ({ spread, batchedGrowth: { exponent } }) =>
      mass * Math.log(spread ** 2 + leastMisfit ** 2) + ((exponent - expectedGrowth) / productGrowthSpread) ** 2,
  );
  const [batchedPerMac = 0, batchedPasses = 0] = fitted.beta;
  if (!(batchedPerMac > 0)) throw new Error("no product of two activations was timed");
  return {
    batchedPerMac,
    batchedPasses: Math.min(batchedPasses, mostPasses),
    batchedGrowth: fitted.batchedGrowth,
  };
}

/**
 * What an operator takes inside a model differs from what it takes alone, and the law from the truth between the sizes
 * that were timed: the least spread that a class may claim.
 */
export const leastSpread = { products: 0.08, attention: 0.1, vector: 0.2, overhead: 0.4 } as const;

/**
 * The rates of the machine that took these times.
 *
 * @param threads that attention deals its rows to, and a batch of products its members
 */
export function fitCalibration(timed: readonly Timed[], threads: number): FittedRates {
  const overheads = fitOverheads(timed);
  const { perOperator, perRun } = overheads;
  const stream = (kind: StreamKind): Stream => fitStream(timed, kind, overheads);
  const streams = {
    scale: stream("scale"),
    add: stream("add"),
    silu: stream("silu"),
    norm: stream("norm"),
    softmax: stream("softmax"),
  };
  const gemm = fitGemm(timed, perOperator);
  const attention = fitAttention(timed, ({ n }) => n > 1, {
    threads,
    tileCandidates: tiles,
    growthCandidates: growths,
    weight: prefillWeight,
  });
  const decode = fitAttention(timed, ({ n }) => n === 1, {
    threads: 1,
    tileCandidates: [0],
    growthCandidates: [{ from: 1, exponent: 0 }],
    weight: () => 1,
  });
  return {
    gemm: gemm.rates,
    ...fitProducts(timed, streams.scale, threads),
    attention: attention.rates,
    decodeAttention: decode.rates,
    streams,
    perOperator,
    perRun,
    spreads: {
      gemm: Math.hypot(gemm.spread, leastSpread.products),
      gemv: Math.hypot(gemm.thinSpread, leastSpread.products),
      attention: Math.hypot(attention.spread, leastSpread.attention),
      "decode-attention": Math.hypot(decode.spread, leastSpread.attention),
      vector: leastSpread.vector,
      lookup: leastSpread.vector,
      overhead: leastSpread.overhead,
    },
  };
}
