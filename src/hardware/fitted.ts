import { z } from "zod";
import { kernelFormats } from "./kernel-formats.js";

const text = z.string().min(1).max(500);
const share = z.number().positive().max(1);
const loss = z.number().min(0).max(1e3);
/** Seconds of one kernel beside its work. */
const overhead = z.number().positive().max(1);

const about = {
  /** Operands that are multiplied: their bits, and how they are scaled. */
  format: z.enum(kernelFormats),
  /** Timings it was fitted to. */
  rows: z.number().int().min(1).max(1e9),
  /** Standard deviation of log seconds about it, with what the timings leave open. */
  spread: z.number().positive().max(10),
  /** Most tokens, or rows of a product, among the timings. */
  longest: z.number().int().min(1).max(1e12),
};

/** Parameters of kernels.ts, as timings of this very device have them. */
const kernelSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("gemm"),
    ...about,
    fit: z.strictObject({
      overhead,
      compute: share,
      bandwidth: share,
      small: loss,
      cast: z.number().min(0).max(1e3),
      sustained: z.number().min(0).max(10),
    }),
  }),
  z.strictObject({
    kind: z.literal("attention"),
    ...about,
    fit: z.strictObject({ overhead, compute: share, small: loss, few: loss, softmax: loss }),
  }),
  z.strictObject({
    kind: z.literal("decode"),
    ...about,
    fit: z.strictObject({ overhead, bandwidth: share, few: loss }),
  }),
]);
export type FittedKernel = z.infer<typeof kernelSchema>;

/** One number for each class of operators; `overhead`: of kernels' launches and of what belongs to no kernel. */
function perClass<Value extends z.ZodType>(value: Value) {
  return z.strictObject({
    gemm: value,
    gemv: value,
    attention: value,
    "decode-attention": value,
    vector: value,
    overhead: value,
  });
}

const engineSchema = z.strictObject({
  /** A runtime's name, as --engine takes it. */
  engine: text,
  /** Seconds of a class of operators over those of its published profile. */
  factors: perClass(z.number().positive().max(1e3)),
  /** Standard deviation of the logarithms of the factors: what the samples leave open. */
  spreads: perClass(z.number().positive().max(10)),
  /** Standard deviation of log seconds about the fit. */
  spread: z.number().positive().max(10),
  samples: z.number().int().min(1).max(1e9),
  /** Tokens of the shortest and of the longest sample. */
  range: z.strictObject({ from: z.number().positive().max(1e12), to: z.number().positive().max(1e12) }),
});
export type FittedEngine = z.infer<typeof engineSchema>;

/** What timings of a device say beyond its data sheet: `nsquared calibrate --from`. */
export const fittedSchema = z.strictObject({
  kernels: z.array(kernelSchema).max(100),
  engines: z.array(engineSchema).max(20),
  /** Files it rests on. */
  sources: z.array(text).max(100),
});
