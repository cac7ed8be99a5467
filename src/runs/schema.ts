import { z } from "zod";
import { tokens } from "../base/format.js";

/** What one sample timed; docs/definitions.md has the formula of each. */
export const phases = ["prefill", "decode", "decode-uncached", "reference"] as const;
export type Phase = (typeof phases)[number];

const count = z
  .number()
  .int()
  .min(0)
  .max(2 ** 40);

/** One point of the plan: what is timed, at which sizes. */
export const cellSchema = z.object({
  phase: z.enum(phases),
  /** New tokens of the timed step (1 for a decode step with a cache). */
  n: count.min(1),
  /** Tokens already cached before it: the depth of a prefill, the context c of a decode step. */
  depth: count.default(0),
  batch: z
    .number()
    .int()
    .min(1)
    .max(2 ** 20)
    .default(1),
  /** Which of several models or variants is timed, in a run that compares them. */
  variant: z.string().max(200).optional(),
});
export type Cell = z.infer<typeof cellSchema>;

/** Longest text that a run may carry in one field: enough for a reason, too little for an attack. */
export const longestText = 2000;
const text = z.string().max(longestText);

const some = z.number().min(0).max(1e9).nullable();

/** What a request to a server showed beside the time of its sample. Each is null where the server does not say. */
export const requestSchema = z.object({
  /** Tokens of the prompt, of the answer, and of the prompt found in a cache, as the server counted them. */
  promptTokens: count.nullable(),
  outputTokens: count.nullable(),
  cachedTokens: count.nullable(),
  /** From sending the request to the first token's arrival (TTFT), and to the end of the stream. */
  firstTokenSeconds: some,
  endToEndSeconds: some,
  /** Mean seconds from token to token behind the first one (TPOT); the middle and the longest gap between chunks (ITL). */
  tokenSeconds: some,
  medianGapSeconds: some.default(null),
  longestGapSeconds: some,
  /** The server's own clock: its prefill, and its mean seconds per token. */
  serverPrefillSeconds: some,
  serverTokenSeconds: some,
  /** The server's own progress through the prompt: seconds until so many of its tokens were processed. */
  serverProgress: z
    .array(z.object({ tokens: count, seconds: z.number().min(0).max(1e9) }))
    .max(256)
    .optional(),
  /** Refusals (429, 5xx) before the one that counted. */
  retries: z.number().int().min(0).max(1000),
  /** No answer within the time-out. */
  timedOut: z.boolean(),
});
export type RequestFacts = z.infer<typeof requestSchema>;

/** One timed step. Kept whatever became of it: warm-ups and rejected samples stay in the run, with the reason. */
export const sampleSchema = cellSchema.extend({
  /** Wall seconds of one step; null where nothing was timed (failed, timed out), never 0. */
  seconds: z.number().positive().max(1e9).nullable(),
  /** Consecutive steps that `seconds` is the mean of. */
  steps: z
    .number()
    .int()
    .min(1)
    .max(2 ** 30)
    .default(1),
  /** Complete block the sample belongs to, from 0; warm-ups have block −1. */
  block: z.number().int().min(-1).max(1e6),
  warmup: z.boolean(),
  /** Why the sample must not be used, or null. */
  rejected: text.nullable(),
  /** When the step ended, in seconds since the run began, on a monotonic clock. */
  at: z.number().min(0).max(1e9),
  /** Of samples that were requests to a server. */
  request: requestSchema.optional(),
});
export type Sample = z.infer<typeof sampleSchema>;

/** The length that the phase's law is a function of: n for a prefill, the context for a decode step. */
export function lengthOf(cell: Pick<Cell, "phase" | "n" | "depth">): number {
  return cell.phase === "decode" ? cell.depth : cell.n;
}

/** Tokens that a prefill continues, which its law has as a second variable; 0 for a decode step, whose length they are. */
export function cachedBefore({ phase, depth }: Pick<Cell, "phase" | "depth">): number {
  return phase === "decode" ? 0 : depth;
}

/** A text that is equal for equal cells: a key for maps. */
export function cellKey(cell: Cell): string {
  const of = cell.variant === undefined ? "" : `${cell.variant}: `;
  return `${of}${cell.phase} n=${cell.n} depth=${cell.depth} batch=${cell.batch}`;
}

/** A cell in words: `prefill of 1k tokens after 8k cached, batch 4`. */
export function cellText({ variant, phase, n, depth, batch }: Cell): string {
  const of = variant === undefined ? "" : `${variant}: `;
  if (phase === "reference") return `${of}the reference workload`;
  const what = phase === "decode" && n === 1 ? "decode" : `${phase} of ${tokens(n)} tokens`;
  const cached = depth === 0 ? "" : ` after ${tokens(depth)} cached`;
  return `${of}${what}${cached}${batch === 1 ? "" : `, batch ${batch}`}`;
}

/** Under which the options of a run's runtime state the tokens of an encoder's input, where they were set. */
export const encoderLengthOption = "encoder length";

const optionValue = z.union([text, z.number(), z.boolean(), z.null()]);

/** The runtime that executed the steps, as its runner describes it. */
export const runtimeInfoSchema = z.object({
  /** Name of the runner: `onnx-node`. */
  runner: text,
  /** Name and version of the runtime behind it: `onnxruntime-node`, `1.30.0`. */
  name: text,
  version: text,
  /** Execution provider or device: `cpu`, `webgpu`; null where unknown. */
  provider: text.nullable(),
  /** Threads of one step; null where the runtime decides and does not say. */
  threads: z.number().int().min(1).max(65536).nullable(),
  /** Type that the arithmetic runs in: `float32`; null where unknown. */
  dtype: text.nullable(),
  /** `fused`, `naive`, or null where unknown. */
  attention: text.nullable(),
  /** Every other option that changes times. */
  options: z.record(z.string().max(200), optionValue).default({}),
});
export type RuntimeInfo = z.infer<typeof runtimeInfoSchema>;

/** The machine that measured. A null is "could not be read", never a guess. */
export const machineSchema = z.object({
  cpu: text,
  /** Logical processors that the process may use. */
  cores: z.number().int().min(1).max(65536),
  /** Bytes of memory that the process may use: the smaller of the machine's and its container's. */
  memoryBytes: z
    .number()
    .positive()
    .max(2 ** 60),
  /** Platform, release and architecture: `linux 6.1.0 x64`. */
  os: text,
  node: text,
  /** Frequency governor of the first core: `performance`, `powersave`. */
  governor: text.nullable(),
  power: z.enum(["mains", "battery"]).nullable(),
  /** Load average of the last minute before the first step; null where the system keeps none. */
  load: z.number().min(0).max(1e6).nullable(),
});
export type Machine = z.infer<typeof machineSchema>;

/** Most samples that a run may hold. */
export const mostSamples = 1_000_000;
const mostCells = 100_000;

export const planSchema = z.object({
  cells: z.array(cellSchema).max(mostCells),
  /** Watched for drift: first and last in every block; null for none. */
  reference: cellSchema.nullable(),
  /** Complete blocks wanted. */
  repeat: z.number().int().min(1).max(1e6),
  /** Warm-ups of each cell before its first block. */
  warmups: z.number().int().min(0).max(1e4),
  /** Wall seconds that measuring may take, warm-ups included; null for no limit. */
  timeLimitSeconds: z.number().positive().max(1e9).nullable(),
});
export type Plan = z.infer<typeof planSchema>;

/** A coded reason to doubt a run, with a sentence for people. */
export const warningSchema = z.object({ code: z.string().max(100), message: text });
export type Warning = z.infer<typeof warningSchema>;

/** What is known before the first step: the first line of a journal and the head of a sealed run. */
export const runHeaderSchema = z.object({
  /** Names the run for children and merges; see `runId`. */
  id: z.string().min(1).max(200),
  created: z.iso.datetime(),
  model: z.object({
    name: z.string().min(1).max(200),
    /** Where the model came from: a path, an address, a built-in name. */
    source: text,
    /** Digest of the model's description: runs of different models never merge. */
    digest: z.string().min(1).max(200),
    /** What `--layers`, `--hidden` and `--vocabulary` made of what the source has. */
    scaling: z.object({ layers: count.optional(), hidden: count.optional(), vocabulary: count.optional() }).optional(),
    /** The model's own config as it was read, so that the run can be understood without the file. Not validated here. */
    config: z.unknown().optional(),
  }),
  runtime: runtimeInfoSchema,
  machine: machineSchema,
  /** What asking a server first showed: what it can do, and what a request without work costs. */
  probe: z.record(z.string().max(200), optionValue).optional(),
  seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  plan: planSchema,
  /** The run that this one continues, or null. */
  parent: z.string().max(200).nullable(),
  /** The runs that this one was merged from. */
  mergedFrom: z.array(z.string().max(200)).max(1000).default([]),
});
export type RunHeader = z.infer<typeof runHeaderSchema>;

/**
 * - `complete`: ended by its own rules (all blocks done, stop rule, time limit).
 * - `incomplete`: something failed, all samples of a cell were rejected, or the process died and only the journal is left.
 * - `interrupted`: stopped by Ctrl-C.
 */
export const statuses = ["complete", "incomplete", "interrupted"] as const;
export type RunStatus = (typeof statuses)[number];

export const runSchemaName = "nsquared/run@1";

/** What is known at the end. */
export const runEndSchema = z.object({
  status: z.enum(statuses),
  /** Wall seconds from the first warm-up to the end: what the measurement cost. */
  seconds: z.number().min(0).max(1e9),
  warnings: z.array(warningSchema).max(10_000),
});
export type RunEnd = z.infer<typeof runEndSchema>;

/** A whole run. Warm-ups and rejected samples are among `samples`, marked. */
export const runSchema = z.object({
  schema: z.literal(runSchemaName),
  ...runHeaderSchema.shape,
  ...runEndSchema.shape,
  samples: z.array(sampleSchema).max(mostSamples),
});
export type Run = z.infer<typeof runSchema>;

/** A sample that may be used: timed, no warm-up, not rejected. */
export type UsableSample = Sample & { readonly seconds: number };

export function isUsable(sample: Sample): sample is UsableSample {
  return !sample.warmup && sample.rejected === null && sample.seconds !== null;
}

/** Whether the run timed a server from outside: its model's architecture and machine are not the run's to know. */
export function isOfServer({ runtime }: Pick<Run, "runtime">): boolean {
  return runtime.runner === "openai";
}
