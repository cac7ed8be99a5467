import { z } from "zod";
import { statuses } from "../../runs/schema.js";
import { amount, warning } from "./common.js";

const interval = z.object({ value: amount, low: amount, high: amount });

const phase = z.object({
  phase: z.string(),
  points: z.array(
    z.object({
      /** New tokens of a prefill, the context of a decode step. */
      n: amount,
      seconds: amount,
      fastest: amount,
      slowest: amount,
      samples: amount,
      tokensPerSecond: amount,
      /** Of a device's record, where there is one: predicted seconds. */
      predicted: amount.nullable(),
    }),
  ),
  /** The law of the samples; null where there are too few lengths. */
  law: z.object({ kind: z.string(), expression: z.string() }).nullable(),
  /** d log T / d log n between the two longest lengths measured. */
  exponent: z
    .object({ n: amount, value: z.number(), low: z.number().nullable(), high: z.number().nullable() })
    .nullable(),
  /** Against the first contender; null for itself, or where they share no length. */
  overtake: z
    .object({
      kind: z.enum(["overtakes", "always", "never"]),
      n: amount.nullable(),
      low: amount.nullable(),
      high: amount.nullable(),
      /** From which length on the graph needs fewer FLOPs, and is predicted to be faster; null for never up to 1M tokens. */
      predicted: z.object({
        flops: amount.nullable(),
        seconds: amount.nullable(),
        /** False where nobody predicts the seconds of both: no record, or matrices of few bits. */
        known: z.boolean(),
      }),
    })
    .nullable(),
});

/** `nsquared compare --json`. The first contender is the one that the others are compared with. */
export const compareDocument = z.object({
  schema: z.literal("nsquared/compare@1"),
  run: z.string(),
  id: z.string(),
  status: z.enum(statuses),
  seconds: amount,
  page: z.string().nullable(),
  /** The device whose record gave the predicted seconds, or null. */
  device: z.string().nullable(),
  contenders: z.array(
    z.object({
      name: z.string(),
      summary: z.string(),
      model: z.string(),
      parameters: amount,
      attention: z.string(),
      weights: z.string(),
      notes: z.array(z.string()),
      phases: z.array(phase),
      /** Bytes of one prefill beside the runtime itself; measured in a process of its own. */
      memory: z.array(z.object({ n: amount, predicted: amount, measured: amount.nullable() })),
      /** Seconds from a document of `prompt` tokens to the last of `answer` tokens, by the laws of the samples. */
      request: z
        .object({
          prompt: amount,
          answer: amount,
          seconds: interval,
          firstToken: amount,
          /** Its length over the longest measured: above 1 it is an extrapolation. */
          factor: amount,
          /** False where the samples do not tell: the interval is too wide. */
          canTell: z.boolean(),
        })
        .nullable(),
    }),
  ),
  skipped: z.array(z.object({ name: z.string(), reason: z.string() })),
  warnings: z.array(warning),
});
export type CompareDocument = z.infer<typeof compareDocument>;
