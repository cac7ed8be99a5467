import { z } from "zod";
import { flag, mixerSchema, size, tokens } from "./mixer-schema.js";

/** The hand-written description of a model; docs/spec.md explains every key. */

const layerCount = z.number().int().min(1).max(10_000);
const name = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,60}$/);
const activation = z.enum(["silu", "gelu", "gelu-tanh", "relu", "relu2"]);

const denseFfn = z.strictObject({
  kind: z.literal("dense"),
  width: size,
  gated: flag.optional(),
  activation: activation.optional(),
  bias: flag.optional(),
});

const moeFfn = z.strictObject({
  kind: z.literal("moe"),
  experts: size,
  chosen: size,
  width: size,
  gated: flag.optional(),
  activation: activation.optional(),
  bias: flag.optional(),
  latent_width: size.optional(),
  shared: z.strictObject({ width: size, gate: flag.optional(), count: size.optional() }).optional(),
});

const rwkvFfn = z.strictObject({ kind: z.literal("rwkv"), width: size, gated: flag.optional() });

const ffnSchema = z.discriminatedUnion("kind", [denseFfn, moeFfn, rwkvFfn]);
export type FfnSpec = z.infer<typeof ffnSchema>;

const normSchema = z.strictObject({
  kind: z.enum(["rms", "layer"]),
  epsilon: z.number().positive().optional(),
  bias: flag.optional(),
});

const section = z.strictObject({
  pattern: z.string().min(1).max(10_000),
  count: layerCount.optional(),
  ffn: z.union([name, z.array(name).max(8)]).optional(),
  norms: z.enum(["pre", "post", "post-branch", "both"]).optional(),
  arrangement: z.enum(["sequence", "parallel", "parallel-two-norms", "parallel-mixers", "parallel-ffns"]).optional(),
  weights: z.enum(["own", "shared", "shared-by-kind"]).optional(),
  shorter: z.int().min(1).max(4096).optional(),
});
export type SectionSpec = z.infer<typeof section>;

const sections = z.union([section, z.array(section).min(1).max(1000)]);

export const specSchema = z.strictObject({
  schema: z.literal("nsquared/spec@1"),
  name: z.string().min(1).max(200).optional(),
  hidden_size: size,
  vocabulary: tokens,
  context_length: tokens.optional(),
  tied: flag.optional(),
  dtype: z.enum(["float32", "float16", "bfloat16", "float8", "int8", "int4", "float4"]).optional(),
  cache_dtype: z.enum(["float32", "float16", "bfloat16", "float8", "int8", "int4"]).optional(),
  norm: normSchema.optional(),
  positions: tokens.optional(),
  head: z.enum(["lm", "none"]).optional(),
  mixers: z.record(name, mixerSchema),
  ffns: z.record(name, ffnSchema).optional(),
  layers: sections.optional(),
  encoder: sections.optional(),
});
export type Spec = z.infer<typeof specSchema>;
