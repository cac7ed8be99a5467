import { z } from "zod";
import { statuses } from "../../runs/schema.js";
import { amount, warning } from "./common.js";

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
      batch: amount,
      seconds: z.number().nullable(),
      steps: amount,
      block: z.number(),
      warmup: z.boolean(),
      rejected: z.string().nullable(),
    }),
  ),
  warnings: z.array(warning),
});
export type MeasureDocument = z.infer<typeof measureDocument>;
