import { z } from "zod";
import { ailments } from "../../base/ailments.js";
import { amount, warning } from "./common.js";

const estimate = z.object({ seconds: amount, low: amount, high: amount });

/** `nsquared report --json`. */
export const reportDocument = z.object({
  schema: z.literal("nsquared/report@1"),
  run: z.string(),
  model: z.string(),
  /** The device predicted for, or null. */
  device: z.string().nullable(),
  /** Path of the HTML page, or null where none was asked for. */
  html: z.string().nullable(),
  /** The answer in three sentences. */
  answer: z.array(z.string()),
  phases: z.array(
    z.object({
      phase: z.string(),
      lengths: z.array(
        z.object({
          n: amount,
          measured: estimate.extend({ repeats: amount }),
          predicted: estimate.nullable(),
          /** Measured over predicted. */
          ratio: amount.nullable(),
          inside: z.boolean().nullable(),
        }),
      ),
      law: z.string().nullable(),
      extrapolation: z.array(estimate.extend({ n: amount, factor: amount, canTell: z.boolean() })),
    }),
  ),
  /** What ails the prefills, as `nsquared explain` names it. */
  findings: z.array(z.object({ cause: z.enum(ailments), alike: z.array(z.enum(ailments)), evidence: z.string() })),
  warnings: z.array(warning),
});
export type ReportDocument = z.infer<typeof reportDocument>;
