import { z } from "zod";
import { dtypes } from "../base/units.js";

const text = z.string().max(500);
const seconds = z.number().min(0).max(1e6);
const spread = z.number().min(0).max(10);

/** Seconds per byte as a function of the bytes that must stay in a cache for the operator to find them there. */
const streamSchema = z
  .array(z.strictObject({ workingSet: z.number().positive().max(1e15), secondsPerByte: z.number().positive().max(1) }))
  .min(1)
  .max(100);
export type Stream = z.infer<typeof streamSchema>;

/** Kernels that move memory and compute little, each with its own speed. */
export const streamKinds = ["scale", "add", "silu", "norm", "softmax"] as const;
export type StreamKind = (typeof streamKinds)[number];

const growthSchema = z.strictObject({
  exponent: z.number().min(-1).max(1),
  from: z
    .number()
    .min(1)
    .max(2 ** 50),
  to: z
    .number()
    .min(1)
    .max(2 ** 50),
});
export const noGrowth = { exponent: 0, from: 1, to: 1 };
/** A cost that is (size / from)^exponent times as high for larger sizes: 1 below `from`, and no higher than at `to`. */
export type Growth = z.infer<typeof growthSchema>;

/** How many times as high a cost is at a size. */
export function grownBy(size: number, { exponent, from, to }: Growth): number {
  return Math.max(1, Math.min(size, to) / from) ** exponent;
}

/**
 * Fused attention of n new tokens after c cached ones, H heads and G KV heads of K key and V value dims:
 * H·P·((K + V)·perPairDim + perPair)·g + H·n·(K + V)·perNewDim + G·(c + n)·(K + V)·perCachedDim + perCall.
 * P counts the pairs a causal kernel works on when it skips only whole tiles of keys (`workedPairs`), with
 * tileElements / (K + V) keys to a tile: kernels size tiles to a cache, so there are fewer keys to one as heads get wider.
 * g is what a pair takes at a length against what it takes among few keys, which stay in a nearer cache:
 * `grownBy` over keys.
 */
const attentionSchema = z.strictObject({
  tileElements: z.number().min(0).max(1e9),
  /** Threads that the rows of all heads are dealt to in equal runs, whatever they see (`dealtPairs`). */
  threads: z.number().int().min(1).max(65536).default(1),
  growth: growthSchema.default(noGrowth),
  perPairDim: seconds,
  perPair: seconds,
  perNewDim: seconds,
  perCachedDim: seconds,
  perCall: seconds,
});
export type AttentionRates = z.infer<typeof attentionSchema>;

/**
 * A matrix product of m rows with a [k, n] weight: ((k·n·bytes·perWeightByte)^p + (m·k·n·perMac·g)^p)^(1/p). Fetching the
 * weight and computing overlap: p = 1 not at all, p = ∞ perfectly. g is `grownBy` over the rows: the slabs of the result that a
 * kernel works on have all of them, and leave the caches as there are more, however wide the weight is.
 *
 * Not strict: a record of an earlier `plan` has more keys, and says by its plan that it is stale.
 */
const gemmSchema = z.object({
  perMac: z.number().positive().max(1),
  perWeightByte: seconds,
  overlap: z.number().min(1).max(100),
  growth: growthSchema.default(noGrowth),
});
export type GemmRates = z.infer<typeof gemmSchema>;

/** How far the model of one class of operators misses the measurements, as the standard deviation of log seconds. */
const spreadsSchema = z.strictObject({
  gemm: spread,
  gemv: spread,
  attention: spread,
  "decode-attention": spread,
  vector: spread,
  lookup: spread,
  overhead: spread,
});

const measurementSchema = z.strictObject({
  /** What was timed, in the words of the micro-model: `matmul m=128 k=640 n=1792 length=4`. */
  what: text,
  /** Low quantile of its runs, in seconds of one operator. */
  seconds: z.number().positive().max(1e6),
  runs: z.number().int().min(1).max(1e6),
  /** Standard deviation of log seconds over the runs. */
  spread,
});

/** What a machine was measured to do with one engine. */
export const calibrationSchema = z.strictObject({
  engine: text,
  engineVersion: text,
  threads: z.number().int().min(1).max(65536),
  dtype: z.enum(dtypes),
  cpu: text,
  measured: z.iso.datetime(),
  /** Wall seconds the calibration took. */
  seconds,
  /** Which kernels were timed, in which way: the runtime's `revision` of its time. */
  plan: z.number().int().min(1).max(1e6).default(1),
  /** Longest sequence, in tokens, that it timed. */
  longest: z
    .number()
    .int()
    .min(1)
    .max(2 ** 40),
  gemm: gemmSchema,
  /** Matrix products of two activations, naive attention's, on threads that are all busy. Seconds per multiply-add. */
  batchedPerMac: z.number().positive().max(1),
  /**
   * Times that the mixture reads its weights from memory beyond once, where they leave the caches: bytes of weights · (s − s₀) ·
   * this. s is the seconds per byte of a copy whose working set is what is alive there, s₀ that of the fastest copy.
   */
  batchedPasses: z.number().min(0).max(100).default(0),
  /** What a multiply-add of them takes, over the rows of each: the queries that share keys, stacked. */
  batchedGrowth: growthSchema.default(noGrowth),
  attention: attentionSchema,
  decodeAttention: attentionSchema,
  streams: z.strictObject({
    scale: streamSchema,
    add: streamSchema,
    silu: streamSchema,
    norm: streamSchema,
    softmax: streamSchema,
  }),
  /** Seconds of an operator that computes nothing, and of a run without operators. */
  perOperator: seconds,
  perRun: seconds,
  spreads: spreadsSchema,
  measurements: z.array(measurementSchema).max(1000),
});
export type Calibration = z.infer<typeof calibrationSchema>;
