import { z } from "zod";

/** A count of tokens, FLOPs, bytes: finite and not negative. */
export const amount = z.number().min(0);
/** A length in tokens at which something happens; a root, so not always whole. */
export const atLength = z.object({ n: z.number().positive() });
/** The same with the interval it is known to. An unbounded end is null. */
export const atLengthInterval = z.object({
  n: z.number().positive(),
  low: z.number().min(0).nullable(),
  high: z.number().positive().nullable(),
});
export const warning = z.object({ code: z.string(), message: z.string() });
export const modelFacts = z.object({
  name: z.string(),
  modelType: z.string(),
  source: z.string(),
});
