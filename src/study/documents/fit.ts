import { z } from "zod";
import { amount, warning } from "./common.js";

const estimate = z.object({ value: z.number(), low: z.number(), high: z.number() });
const extrapolated = z.object({
  n: amount,
  seconds: amount,
  low: amount,
  high: amount,
  /** n over the longest measured length: above 1 it is an extrapolation. */
  factor: amount,
  /** False where the interval spans more than a factor of four. */
  canTell: z.boolean(),
});

/** `nsquared fit --json`. */
export const fitDocument = z.object({
  schema: z.literal("nsquared/fit@1"),
  run: z.string(),
  model: z.string(),
  phase: z.string(),
  /** Level of all intervals. */
  level: z.number(),
  range: z.object({ from: amount, to: amount }),
  samples: amount,
  noise: z.object({ relative: amount, assumed: z.boolean() }),
  law: z.object({
    kind: z.string(),
    expression: z.string(),
    /** constant + linear·n + quadratic·n² in seconds. */
    coefficients: z.object({ constant: estimate, linear: estimate, quadratic: estimate }),
    /** The law the coefficients belong to: `quadratic` where the selected law is no polynomial. */
    coefficientsOf: z.string(),
    /** Factors on the device's predicted seconds per class of operators; for the physical law only. */
    efficiencies: z.array(estimate.extend({ name: z.string(), informed: amount })).optional(),
  }),
  crossover: z.object({ n: amount, low: amount, high: z.number().nullable() }).nullable(),
  exponents: z.array(z.object({ n: amount, exponent: z.number() })),
  extrapolation: z.array(extrapolated),
  residuals: z.array(z.object({ n: amount, seconds: amount, law: amount, ratio: amount, samples: amount })),
  candidates: z.array(
    z.object({ kind: z.string(), deltaAicc: z.number(), weight: amount, rejected: z.string().nullable() }),
  ),
  warnings: z.array(warning),
});
export type FitDocument = z.infer<typeof fitDocument>;
