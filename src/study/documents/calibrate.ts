import { z } from "zod";
import { deviceRecordSchema } from "../../hardware/record.js";
import { warning } from "./common.js";

/** `nsquared calibrate --json`. */
export const calibrateDocument = z.object({
  schema: z.literal("nsquared/calibrate@1"),
  /** Where the record was written. */
  path: z.string(),
  record: deviceRecordSchema,
  warnings: z.array(warning),
});
export type CalibrateDocument = z.infer<typeof calibrateDocument>;
