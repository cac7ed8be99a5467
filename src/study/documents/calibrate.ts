import { z } from "zod";
import { deviceRecordSchema } from "../../hardware/record.js";
import { warning } from "./common.js";

/** `nsquared calibrate --json`. */
export const calibrateDocument = z.object({
  schema: z.literal("nsquared/calibrate@1"),
  /** Where the record was written. */
  path: z.string(),
  record: deviceRecordSchema,
  /** With --from: what the fit made of predictions of the samples, as medians of |log(predicted / measured)|. */
  fits: z
    .array(
      z.object({
        /** `gemm at 16 bits`, or an engine's name. */
        of: z.string(),
        samples: z.number(),
        before: z.number(),
        after: z.number(),
      }),
    )
    .optional(),
  warnings: z.array(warning),
});
export type CalibrateDocument = z.infer<typeof calibrateDocument>;
