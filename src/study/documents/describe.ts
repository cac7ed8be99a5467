import { z } from "zod";
import { amount, modelFacts } from "./common.js";

/** `nsquared describe --json`. */
export const describeDocument = modelFacts.extend({
  schema: z.literal("nsquared/describe@1"),
  parameters: z.object({ total: amount, active: amount, embedding: amount }),
  contextLength: z.number().positive().nullable(),
  hiddenSize: amount,
  vocabularySize: amount,
  layers: amount,
  dtypes: z.object({ weights: z.string(), kv: z.string(), activations: z.string() }),
  weightBytes: amount,
  /** Keys and values kept: per further token while nothing is dropped yet, and as a function of the length. */
  cache: z.object({ bytesPerToken: amount, expression: z.string() }),
  /** Distinct kinds of layer, in order of first appearance. */
  layerKinds: z.array(z.object({ count: amount, first: amount, description: z.string() })),
  filled: z.array(z.object({ key: z.string(), value: z.unknown(), from: z.string() })),
  notes: z.array(z.string()),
});
export type DescribeDocument = z.infer<typeof describeDocument>;
