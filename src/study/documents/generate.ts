import { z } from "zod";
import { amount } from "./common.js";

/** `nsquared generate --json`. */
export const generateDocument = z.object({
  schema: z.literal("nsquared/generate@1"),
  model: z.string(),
  source: z.string(),
  weights: z.string(),
  threads: amount,
  provider: z.string(),
  prompt: z.object({ tokens: amount }),
  text: z.string(),
  /** Ids of the answer's tokens, the one that ended it included. */
  tokens: z.array(amount),
  finish: z.enum(["end", "length", "interrupted"]),
  temperature: amount,
  topP: amount,
  seed: amount,
  /** Seconds from the prompt's tokens to the first token of the answer (TTFT). */
  firstTokenSeconds: amount,
  /** Mean seconds from token to token behind the first (TPOT); null for one token. */
  tokenSeconds: amount.nullable(),
  prefillTokensPerSecond: amount,
  /** Seconds that loading and packing the weights took. */
  loadSeconds: amount,
});
export type GenerateDocument = z.infer<typeof generateDocument>;
