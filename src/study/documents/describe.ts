import { z } from "zod";
import { amount, law, modelFacts } from "./common.js";

/** `nsquared describe --json`. */
export const describeDocument = modelFacts.extend({
  schema: z.literal("nsquared/describe@1"),
  /** `total` is of the checkpoint as published, with what is `unrun`; the preset `transformers` leaves that out. */
  parameters: z.object({ total: amount, active: amount, embedding: amount }),
  /** In the checkpoint, not run for text: layers that predict further tokens; balancing biases and unused projections. */
  unrun: z.object({ prediction: amount, buffers: amount }),
  contextLength: z.number().positive().nullable(),
  hiddenSize: amount,
  vocabularySize: amount,
  layers: amount,
  dtypes: z.object({ weights: z.string(), kv: z.string(), activations: z.string() }),
  /** Of the same parameters as `total`; of a file whose header was read, what that says. */
  weightBytes: amount,
  /**
   * The language model's tensors priced as a GGUF file type; or the whole checkpoint as its `quantization_config` has
   * it, then `type` is the method and `formats` says how many parameters are in which.
   */
  quantised: z
    .object({
      type: z.string(),
      parameters: amount,
      bytes: amount,
      bitsPerWeight: amount,
      formats: z.array(z.object({ name: z.string(), parameters: amount, bytes: amount })).optional(),
    })
    .optional(),
  /** Kept per sequence: per further token while nothing is dropped yet, and all of it as a function of the length. */
  cache: z.object({
    bytesPerToken: amount,
    expression: z.string(),
    /** Keys and values alone, in bytes of `dtype` elements, as a function of the tokens. */
    keysAndValues: law,
    dtype: z.string(),
    /** Keys and values of an encoder's output, per token of its input. */
    encoderBytesPerToken: amount,
  }),
  /** States of recurrences and convolutions per sequence: the same at every length. */
  state: z.object({ bytes: amount, dtypes: z.array(z.string()) }),
  /** Distinct kinds of layer, in order of first appearance. */
  layerKinds: z.array(
    z.object({
      count: amount,
      first: amount,
      /** What they are part of: `vision` and `audio` are towers that text does not pass. */
      stack: z.enum(["decoder", "encoder", "vision", "audio"]),
      description: z.string(),
    }),
  ),
  filled: z.array(z.object({ key: z.string(), value: z.unknown(), from: z.string() })),
  notes: z.array(z.string()),
});
export type DescribeDocument = z.infer<typeof describeDocument>;
