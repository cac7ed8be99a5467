import { z } from "zod";
import { amount } from "./common.js";

/** `nsquared demo-server --json`, printed once it listens. Times are seconds, lengths tokens. */
export const demoServerDocument = z.object({
  schema: z.literal("nsquared/demo-server@1"),
  url: z.string(),
  model: z.string(),
  /** With `--gguf`: the engine that computes; null where the times are a law's. */
  engine: z.object({ build: z.string(), contextLimit: amount, threads: amount }).nullable(),
  /** Null where a model computes. */
  law: z
    .object({
      constant: amount,
      linear: amount,
      quadratic: amount,
      decode: z.object({ constant: amount, linear: amount }),
      jitter: amount,
      window: amount.nullable(),
      contextLimit: amount,
      chunk: amount,
      diseases: z.record(z.string(), amount),
    })
    .nullable(),
});
export type DemoServerDocument = z.infer<typeof demoServerDocument>;
