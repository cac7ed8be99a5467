import { z } from "zod";

/** Mixers of the hand-written description; docs/spec.md explains every key, `mixers.ts` beside it what is left out. */

export const size = z
  .number()
  .int()
  .min(1)
  .max(2 ** 24);
const sizeOrZero = z
  .number()
  .int()
  .min(0)
  .max(2 ** 24);
export const tokens = z
  .number()
  .int()
  .min(1)
  .max(2 ** 31);
export const flag = z.boolean();

const attention = z.strictObject({
  kind: z.literal("attention"),
  heads: size,
  kv_heads: size.optional(),
  head_dim: size.optional(),
  value_dim: size.optional(),
  window: tokens.optional(),
  first_tokens: tokens.optional(),
  chunk: tokens.optional(),
  blocks: z.strictObject({ size: tokens, random: sizeOrZero.optional() }).optional(),
  buckets: z.strictObject({ size: tokens, rounds: size.optional() }).optional(),
  shared_query_key: flag.optional(),
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

const heads = { heads: size, chunk: size.optional() };

const linear = z.strictObject({
  kind: z.literal("linear"),
  ...heads,
  key_dim: size.optional(),
  value_dim: size.optional(),
  feature: z.enum(["elu", "none"]).optional(),
  normalised: flag.optional(),
  causal: flag.optional(),
});

const retnet = z.strictObject({
  kind: z.literal("retnet"),
  ...heads,
  key_dim: size.optional(),
  value_dim: size.optional(),
});

const gla = z.strictObject({
  kind: z.literal("gla"),
  ...heads,
  key_dim: size.optional(),
  value_dim: size.optional(),
  decay_rank: size.optional(),
});

const performer = z.strictObject({
  kind: z.literal("performer"),
  ...heads,
  head_dim: size.optional(),
  features: size.optional(),
  causal: flag.optional(),
});

const rwkv = z.strictObject({
  kind: z.literal("rwkv"),
  version: z.union([z.literal(4), z.literal(5), z.literal(6), z.literal(7)]),
  width: size.optional(),
  head_dim: size.optional(),
  chunk: size.optional(),
  mix_rank: size.optional(),
  decay_rank: size.optional(),
  rate_rank: size.optional(),
  value_rank: size.optional(),
  gate_rank: size.optional(),
});

const lstm = z.strictObject({ kind: z.literal("lstm"), width: size.optional(), bias: flag.optional() });
const gru = z.strictObject({ kind: z.literal("gru"), width: size.optional(), bias: flag.optional() });

const mlstm = z.strictObject({
  kind: z.literal("mlstm"),
  ...heads,
  key_dim: size.optional(),
  value_dim: size.optional(),
});

const linformer = z.strictObject({
  kind: z.literal("linformer"),
  heads: size,
  head_dim: size.optional(),
  length: size,
  positions: size,
  shared: flag.optional(),
  bias: flag.optional(),
});

const nystrom = z.strictObject({
  kind: z.literal("nystrom"),
  heads: size,
  head_dim: size.optional(),
  landmarks: size,
  convolution: size.optional(),
});

const relative = z.strictObject({
  kind: z.literal("relative"),
  heads: size,
  head_dim: size.optional(),
  bias: flag.optional(),
});

const compressed = z.strictObject({
  kind: z.literal("compressed"),
  heads: size,
  head_dim: size,
  query_rank: size,
  window: tokens,
  ratio: sizeOrZero.optional(),
  output_groups: size.optional(),
  output_rank: size,
  indexer: z.strictObject({ heads: size, dim: size, chosen: tokens }).optional(),
});

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
  linear,
  retnet,
  gla,
  performer,
  rwkv,
  lstm,
  gru,
  mlstm,
  linformer,
  nystrom,
  relative,
  compressed,
]);
export type MixerSpec = z.infer<typeof mixerSchema>;
export type AttentionSpec = z.infer<typeof attention>;
