import { z } from "zod";
import { amount, atLength, modelFacts } from "./common.js";

const law = z.object({
  /** The exact law, rounded to three digits for reading. */
  expression: z.string(),
  /** Highest power of the length for long inputs. */
  degree: z.number(),
  /** The same as text, with logarithms: `n²`, `n·log n`. */
  growth: z.string(),
  /** The law between its breakpoints; `to` is null for the last. Coefficients are exact: c₀ + c₁·n + c₂·n². */
  pieces: z.array(
    z.object({
      from: amount,
      to: z.number().nullable(),
      expression: z.string(),
      coefficients: z.array(z.number()).optional(),
    }),
  ),
});

/** `nsquared cost --json`. In decode the length is the context c: tokens cached before the step. */
export const costDocument = modelFacts.extend({
  schema: z.literal("nsquared/cost@1"),
  phase: z.enum(["prefill", "decode"]),
  variable: z.enum(["n", "c"]),
  batch: z.number().int().positive(),
  conventions: z.object({
    causal: z.enum(["exact", "full"]),
    head: z.enum(["last", "all"]),
    mac: z.union([z.literal(1), z.literal(2)]),
    attention: z.enum(["fused", "naive"]),
    kernels: z.enum(["efficient", "reference"]),
  }),
  flops: law,
  vectorFlops: law,
  bytes: z.object({ read: law, written: law }),
  launches: amount,
  crossover: atLength.nullable(),
  attentionHalf: atLength.nullable(),
  points: z.array(
    z.object({
      n: amount,
      flops: z.object({ total: amount, attention: amount, matmul: amount, vector: amount }),
      bytes: z.object({ read: amount, written: amount }),
      attentionShare: amount,
    }),
  ),
  operators: z.array(
    z.object({
      name: z.string(),
      part: z.string(),
      block: z.string(),
      times: amount,
      flops: z.string(),
      vectorFlops: z.string(),
      bytes: z.object({ read: z.string(), written: z.string() }),
      launches: amount,
    }),
  ),
});
export type CostDocument = z.infer<typeof costDocument>;

/** `nsquared cost A B … --json`. */
export const costComparisonDocument = z.object({
  schema: z.literal("nsquared/cost-comparison@1"),
  phase: z.enum(["prefill", "decode"]),
  batch: z.number().int().positive(),
  models: z.array(costDocument),
  /** From n on `cheaper` takes fewer FLOPs than `dearer`; below it took more. */
  overtakes: z.array(z.object({ cheaper: z.string(), dearer: z.string(), n: z.number().positive() })),
});
export type CostComparisonDocument = z.infer<typeof costComparisonDocument>;
