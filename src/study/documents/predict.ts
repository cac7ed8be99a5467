import { z } from "zod";
import { amount, atLength, atLengthInterval, modelFacts } from "./common.js";

const interval = z.object({ seconds: amount, low: amount, high: amount });
const bound = z.enum(["compute", "bandwidth", "overhead"]);
const share = z.object({ name: z.string(), seconds: amount, share: amount, bound });
const split = {
  parts: z.array(share),
  classes: z.array(share),
  degrees: z.array(z.object({ degree: amount, seconds: amount })),
};

/** `nsquared predict --json`. Seconds, bytes, tokens. */
export const predictDocument = modelFacts.extend({
  schema: z.literal("nsquared/predict@1"),
  device: z.string(),
  engine: z.string(),
  dtype: z.string(),
  batch: z.number().int().positive(),
  depth: amount,
  attention: z.enum(["fused", "naive"]),
  data: z.object({
    basis: z.enum(["calibrated", "class"]),
    range: z.object({ from: amount, to: amount }).nullable(),
  }),
  /** Share of true values that the intervals are meant to hold. */
  level: z.number(),
  points: z.array(
    z.object({
      n: amount,
      prefill: interval.extend({ exponent: z.number(), ...split }),
      /** One token with n tokens cached. */
      decode: interval.extend(split),
      /** One token without a cache: a pass over the whole prefix. */
      decodeUncached: interval,
      memory: z.object({
        bytes: amount,
        weights: amount,
        cache: amount,
        activations: amount,
        fits: z.boolean(),
      }),
    }),
  ),
  crossover: z.object({ flops: atLength.nullable(), seconds: atLengthInterval.nullable() }),
  attentionHalf: z.object({ flops: atLength.nullable(), seconds: atLengthInterval.nullable() }),
  limits: z.object({ memory: z.object({ n: amount }).nullable(), context: z.object({ n: amount }).nullable() }),
  notes: z.array(z.string()),
});
export type PredictDocument = z.infer<typeof predictDocument>;
