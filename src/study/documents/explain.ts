import { z } from "zod";
import { ailments } from "../../base/ailments.js";
import { engines } from "../../compare/diagnose-advice.js";
import { amount, warning } from "./common.js";

const series = z.object({ name: z.string(), points: z.array(z.object({ x: z.number(), y: z.number() })).readonly() });

/** `nsquared explain --json`. */
export const explainDocument = z.object({
  schema: z.literal("nsquared/explain@1"),
  run: z.string(),
  model: z.string(),
  /** What the samples were held against: the model on its device, the model's own mix of work, another run, or nothing. */
  against: z.enum(["device", "model", "run", "samples"]),
  /** The device whose physics the samples were held against, or null where it is unknown. */
  device: z.string().nullable(),
  /** The run of the same server that they were held against. */
  beside: z.string().nullable(),
  samples: amount,
  lengths: amount,
  /** Relative scatter of repeats of one length. */
  noise: amount,
  /** Nothing found in as many lengths as it takes: the times are those of a healthy model. */
  looksLikePhysics: z.boolean(),
  findings: z.array(
    z.object({
      cause: z.enum(ailments),
      /** Causes that look the same in these samples. */
      alike: z.array(z.enum(ailments)),
      evidence: z.string(),
      /** What it was seen in: points over the length in tokens, or over seconds since the run began, and the laws beside them. */
      drawn: z.object({
        x: z.enum(["length", "moment"]),
        y: z.string(),
        unit: z.enum(["times", "seconds", "share"]),
        dots: z.array(series).readonly(),
        lines: z.array(series).readonly(),
      }),
      advice: z.string(),
      /** What to set: of the engine that served, where that is known, else of several. */
      options: z.array(z.object({ engine: z.enum(engines), option: z.string(), source: z.string() })),
    }),
  ),
  warnings: z.array(warning),
});
export type ExplainDocument = z.infer<typeof explainDocument>;
