import { z } from "zod";
import { costDocument } from "./cost.js";
import { describeDocument } from "./describe.js";
import { fitDocument } from "./fit.js";
import { measureDocument } from "./measure.js";
import { predictDocument } from "./predict.js";
import { reportDocument } from "./report.js";

/** `nsquared profile --json`: every step's own document. */
export const profileDocument = z.object({
  schema: z.literal("nsquared/profile@1"),
  describe: describeDocument,
  cost: costDocument,
  predict: predictDocument,
  measure: measureDocument,
  /** One per measured phase. */
  fits: z.array(fitDocument),
  report: reportDocument,
});
export type ProfileDocument = z.infer<typeof profileDocument>;
