import { z } from "zod";
import { statuses } from "../../runs/schema.js";
import { amount, warning } from "./common.js";

/** How well a length is known of one law, beside how well it is wanted. */
const until = z.object({
  phase: z.string(),
  n: amount,
  /** Tokens cached before the prefill whose n that is. */
  cached: amount,
  /** Wanted half-width of the interval over the time, and the one that was reached; null without an interval. */
  wanted: amount,
  halfWidth: amount.nullable(),
  reached: z.boolean(),
  reason: z.enum(["reached", "time", "no-better-length", "interrupted"]),
  /** The law that the interval is of: `physical`, or one of the samples alone. */
  law: z.string().nullable(),
  seconds: amount.nullable(),
  low: amount.nullable(),
  high: amount.nullable(),
  /** n over the longest length measured. */
  factor: amount.nullable(),
  canTell: z.boolean(),
});

/** `nsquared measure --json`. `n` is the length: new tokens of a prefill, the context of a decode step. */
export const measureDocument = z.object({
  schema: z.literal("nsquared/measure@1"),
  /** Path of the run file, which holds everything. */
  run: z.string(),
  id: z.string(),
  status: z.enum(statuses),
  seconds: amount,
  samples: z.array(
    z.object({
      phase: z.string(),
      n: amount,
      /** Tokens cached before a prefill. */
      cached: amount,
      batch: amount,
      seconds: z.number().nullable(),
      /** Of the server's own clock: its prefill, or its mean per token; null where it doesn't say. */
      serverSeconds: z.number().nullable(),
      steps: amount,
      block: z.number(),
      warmup: z.boolean(),
      rejected: z.string().nullable(),
    }),
  ),
  /** The usable samples by phase, requests or sequences at once, cached tokens before, and length. */
  lengths: z.array(
    z.object({
      phase: z.string(),
      batch: amount,
      cached: amount,
      n: amount,
      /** Median, fastest and slowest sample. */
      seconds: amount,
      low: amount,
      high: amount,
      samples: amount,
      /** Median of the server's own clock. */
      serverSeconds: z.number().nullable(),
    }),
  ),
  /** With `--until`: how well the wanted length is known, and why measuring stopped; of several laws the least known. */
  until: until.optional(),
  /** Each law that was to be known, where there are several: of a phase, after so many cached tokens. */
  untilEach: z.array(until).optional(),
  warnings: z.array(warning),
});
export type UntilDocument = z.infer<typeof until>;
export type MeasuredRow = MeasureDocument["lengths"][number];
export type MeasureDocument = z.infer<typeof measureDocument>;
