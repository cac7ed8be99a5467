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
  /** Where the samples came from; left out for run files of this package. */
  source: z
    .object({
      format: z.string(),
      /** `length`: new tokens; `depth`: the context, for a prefill cached and new tokens together. */
      axis: z.enum(["length", "depth"]),
      /** The other length, equal in all samples. */
      fixed: amount,
      batch: amount,
      /** Samples read; `samples` of them are in the fit. */
      count: amount,
      units: z.array(z.string()),
      identity: z.record(z.string(), z.string()),
    })
    .optional(),
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
    /** Whose operators the physical law is of, and on which device; null where the samples alone decide the scale. */
    operators: z.object({ model: z.string(), device: z.string().nullable() }).optional(),
  }),
  crossover: z.object({ n: amount, low: amount, high: z.number().nullable() }).nullable(),
  /**
   * Without repeats: the laws that predictions average over, as the samples do not decide between them. `quadratic` is the
   * law with a prior on its shape.
   */
  average: z.array(z.object({ kind: z.string(), weight: amount })).optional(),
  exponents: z.array(z.object({ n: amount, exponent: z.number() })),
  extrapolation: z.array(extrapolated),
  /** The length at which the time passes a latency; null where it never does. */
  limit: z
    .object({ seconds: amount, n: amount.nullable(), low: amount.nullable(), high: amount.nullable() })
    .optional(),
  /** What to measure next, best first; `halfWidth` is the relative half-width at the target afterwards. */
  next: z
    .object({
      target: amount,
      seconds: amount,
      lengths: z.array(z.object({ n: amount, repeats: amount, seconds: amount, halfWidth: amount })),
    })
    .optional(),
  /**
   * Where prefills were measured after several numbers of cached tokens c: constant + linear·n + quadratic·(n² + 2·n·c) +
   * perCached·c, in seconds.
   */
  joint: z
    .object({
      expression: z.string(),
      coefficients: z.object({ constant: estimate, linear: estimate, quadratic: estimate, perCached: estimate }),
      samples: amount,
      /** Relative misfit beyond the noise. */
      discrepancy: amount,
      predictions: z.array(
        z.object({
          n: amount,
          cached: amount,
          seconds: amount,
          low: amount,
          high: amount,
          /** How far beyond what was measured, 1 within. */
          factor: amount,
        }),
      ),
      residuals: z.array(
        z.object({ n: amount, cached: amount, seconds: amount, law: amount, ratio: amount, samples: amount }),
      ),
    })
    .optional(),
  residuals: z.array(z.object({ n: amount, seconds: amount, law: amount, ratio: amount, samples: amount })),
  candidates: z.array(
    z.object({ kind: z.string(), deltaAicc: z.number(), weight: amount, rejected: z.string().nullable() }),
  ),
  warnings: z.array(warning),
});
export type FitDocument = z.infer<typeof fitDocument>;

/** `nsquared fit --json` of a single point: no law, but what each assumption says. */
export const scenariosDocument = z.object({
  schema: z.literal("nsquared/scenarios@1"),
  point: z.object({ n: amount, seconds: amount }),
  model: z.string().nullable(),
  scenarios: z.array(
    z.object({
      name: z.string(),
      assumption: z.string(),
      points: z.array(z.object({ n: amount, seconds: amount })),
    }),
  ),
  warnings: z.array(warning),
});
export type ScenariosDocument = z.infer<typeof scenariosDocument>;
