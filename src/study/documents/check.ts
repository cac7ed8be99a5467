import { z } from "zod";
import { amount, warning } from "./common.js";

const finding = z.object({
  /** `coefficient` and `curve` against the baseline, `limit` against a latency. */
  kind: z.enum(["coefficient", "curve", "limit"]),
  phase: z.string(),
  /** `constant`, `linear`, `quadratic`; `level`; or the limit as it was given. */
  name: z.string(),
  verdict: z.enum(["pass", "fail", "cannot-tell"]),
  /** Coefficient: SI units. Curve: this run's time over the baseline's. Limit: seconds at n. */
  value: z.number(),
  low: z.number(),
  high: z.number(),
  /** The baseline's value, 1 for the whole curve, or the latency wanted. */
  reference: z.number(),
  message: z.string(),
});

/** `nsquared check --json`. */
export const checkDocument = z.object({
  schema: z.literal("nsquared/check@1"),
  run: z.string(),
  baseline: z.string().nullable(),
  model: z.string(),
  /** Level of all intervals. */
  level: z.number(),
  /** A change smaller than this share of the time is no reason to fail. */
  tolerance: amount,
  passed: z.boolean(),
  findings: z.array(finding),
  warnings: z.array(warning),
});
export type CheckDocument = z.infer<typeof checkDocument>;
export type CheckFinding = CheckDocument["findings"][number];
