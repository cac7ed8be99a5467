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
/** A function of the length. */
export const law = z.object({
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
export type LawDocument = z.infer<typeof law>;
