import { z } from "zod";

/** The hand-written description of a model; docs/spec.md explains every key. */

const size = z
  .number()
  .int()
  .min(1)
  .max(2 ** 24);
const sizeOrZero = z
  .number()
  .int()
  .min(0)
  .max(2 ** 24);
const tokens = z
  .number()
  .int()
  .min(1)
  .max(2 ** 31);
const layerCount = z.number().int().min(1).max(10_000);
const flag = z.boolean();
const name = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,60}$/);
const activation = z.enum(["silu", "gelu", "gelu-tanh", "relu", "relu2"]);

const attention = z.strictObject({
  kind: z.literal("attention"),
  heads: size,
  kv_heads: size.optional(),
  head_dim: size.optional(),
  value_dim: size.optional(),
  window: tokens.optional(),
  chunk: tokens.optional(),
  causal: flag.optional(),
  bias: flag.optional(),
  qk_norm: flag.optional(),
  sinks: flag.optional(),
  gate: z.enum(["per-element", "per-head"]).optional(),
  softcap: z.number().positive().optional(),
  rope: flag.optional(),
  rope_theta: z.number().positive().optional(),
  rope_dims: sizeOrZero.optional(),
  cache: z.enum(["own", "shared", "key-is-value"]).optional(),
  source: z.enum(["self", "encoder"]).optional(),
  indexer: z.strictObject({ heads: size, dim: size, chosen: tokens }).optional(),
});

const latent = z.strictObject({
  kind: z.literal("latent"),
  heads: size,
  query_rank: size.nullable().optional(),
  kv_rank: size,
  nope_dim: size,
  rope_dim: sizeOrZero,
  value_dim: size,
  bias: flag.optional(),
  rope_theta: z.number().positive().optional(),
  indexer: z.strictObject({ heads: size, dim: size, chosen: tokens }).optional(),
});

const mamba1 = z.strictObject({
  kind: z.literal("mamba1"),
  width: size,
  state_dim: size,
  convolution: size.optional(),
  time_rank: size.optional(),
  bias: flag.optional(),
});

const mamba2 = z.strictObject({
  kind: z.literal("mamba2"),
  heads: size,
  head_dim: size,
  state_dim: size,
  groups: size.optional(),
  convolution: size.optional(),
  chunk: size.optional(),
  bias: flag.optional(),
});

const delta = z.strictObject({
  kind: z.literal("delta"),
  key_heads: size,
  value_heads: size.optional(),
  key_dim: size,
  value_dim: size.optional(),
  convolution: size.optional(),
  chunk: size.optional(),
  decay: z.enum(["per-head", "per-channel"]).optional(),
  decay_rank: size.nullable().optional(),
  gate_rank: size.nullable().optional(),
});

const lightning = z.strictObject({
  kind: z.literal("lightning"),
  heads: size,
  head_dim: size,
  block: size.optional(),
});

const rgLru = z.strictObject({
  kind: z.literal("rg-lru"),
  width: size,
  heads: size,
  convolution: size.optional(),
});

const shortConvolution = z.strictObject({
  kind: z.literal("short-convolution"),
  width: size.optional(),
  convolution: size,
  bias: flag.optional(),
});

const fourier = z.strictObject({ kind: z.literal("fourier") });

export const mixerSchema = z.discriminatedUnion("kind", [
  attention,
  latent,
  mamba1,
  mamba2,
  delta,
  lightning,
  rgLru,
  shortConvolution,
  fourier,
]);
export type MixerSpec = z.infer<typeof mixerSchema>;
export type AttentionSpec = z.infer<typeof attention>;

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
  shared: z.strictObject({ width: size, gate: flag.optional(), count: size.optional() }).optional(),
});

const ffnSchema = z.discriminatedUnion("kind", [denseFfn, moeFfn]);
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
