import { z } from "zod";
import { amount, atLength, law, modelFacts } from "./common.js";

const amounts = z.object({
  flops: z.object({ total: amount, attention: amount, vector: amount }),
  bytes: z.object({ read: amount, written: amount }),
  launches: amount,
});

/** `nsquared cost --json`. In decode the length is the context c: tokens cached before the step. */
export const costDocument = modelFacts.extend({
  schema: z.literal("nsquared/cost@1"),
  phase: z.enum(["prefill", "decode"]),
  variable: z.enum(["n", "c"]),
  batch: z.number().int().positive(),
  /** Length of the encoder's input: a number, the law's own variable, or null where no encoder's length matters. */
  encoderLength: z.union([z.number().int().positive(), z.enum(["n", "c"])]).nullable(),
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
  /** A whole generation: one prefill of `input` tokens and `output` decode steps at contexts input … input + output − 1. */
  request: z
    .object({
      input: z.number().int().positive(),
      output: z.number().int().positive(),
      encoderLength: z.number().int().positive().nullable(),
      prefill: amounts,
      decode: amounts,
      total: amounts,
      parts: z.array(z.object({ part: z.string(), prefill: amounts, decode: amounts })),
    })
    .optional(),
  /** What the description leaves out, in words. */
  notes: z.array(z.string()),
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
