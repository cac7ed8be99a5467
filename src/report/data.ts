import type { Finding } from "../compare/diagnose.js";
import type { Part } from "../graph/types.js";
import type { Machine, Phase, RunStatus, RuntimeInfo, Warning } from "../runs/schema.js";

/**
 * Everything a report says, as plain data: no functions, nothing computed while it is drawn. Times in seconds, sizes in
 * bytes, lengths in tokens. What is unknown or does not exist is null; a bound that does not exist is ±Infinity.
 */
export interface ReportData {
  readonly model: ModelFacts;
  /** What was measured, or null for a prediction without a measurement. */
  readonly run: RunFacts | null;
  /** What the prediction rests on, or null where nothing was predicted. */
  readonly prediction: PredictionFacts | null;
  /** One entry per timed phase, in the order they are shown. */
  readonly phases: readonly PhaseReport[];
  readonly memory: MemoryReport | null;
  /** What the prefills show beside their law; null where there are too few to say anything. */
  readonly diagnosis: DiagnosisReport | null;
  readonly limits: { readonly memory: { readonly n: number } | null; readonly context: { readonly n: number } | null };
  readonly warnings: readonly Warning[];
  /** Assumptions behind the numbers, one sentence each, beside the definitions that every report states. */
  readonly assumptions: readonly string[];
  /** Commands that repeat the measurement and the report, in order. */
  readonly commands: readonly string[];
  /** When the report was made, in ISO 8601, and by which version. */
  readonly created: string;
  readonly version: string;
}

/** A label and what stands beside it, as people read it. */
export interface Fact {
  readonly label: string;
  readonly value: string;
}

export interface ModelFacts {
  readonly name: string;
  /** A path, an address, `built-in`. */
  readonly source: string;
  /** Null where nobody said which architecture a server's model has. */
  readonly parameters: { readonly total: number; readonly active: number; readonly embedding: number } | null;
  readonly contextLength: number | null;
  readonly cache: { readonly bytesPerToken: number } | null;
  /** FLOPs as exact expressions: of n for prefill, of c for one decode step. */
  readonly flops: { readonly prefill: string | null; readonly decode: string | null };
  /** Layers, widths, heads and whatever else describes the model. */
  readonly facts: readonly Fact[];
}

export interface RunFacts {
  readonly id: string;
  /** Path of the run file, or null where it was not kept. */
  readonly path: string | null;
  readonly created: string;
  readonly status: RunStatus;
  /** Wall seconds that measuring took, warm-ups included. */
  readonly seconds: number;
  readonly seed: number;
  readonly repeat: number;
  readonly warmups: number;
  readonly runtime: RuntimeInfo;
  /** What ran the steps; of a server's runs the client's. */
  readonly machine: Machine;
  /** The server that was timed from outside, or null for a run of this machine. */
  readonly server: ServerFacts | null;
}

export interface ServerFacts {
  readonly address: string;
  /** `vllm 0.11.0`, as far as it says. */
  readonly engine: string;
  /** What asking it showed. */
  readonly facts: readonly Fact[];
}

export interface PredictionFacts {
  /** Name of the device that the prediction is for: `local`, `h100-sxm`. */
  readonly device: string;
  /** Name of the engine profile: `onnx-node`. */
  readonly engine: string;
  /** Rates, efficiencies and overheads, each with its provenance in the text. */
  readonly facts: readonly Fact[];
}

/** A length that is estimated. A bound that does not exist is 0 or Infinity. */
export interface Crossing {
  readonly n: number;
  readonly low: number;
  readonly high: number;
}

export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface CurvePoint {
  readonly n: number;
  readonly seconds: number;
  readonly low: number;
  readonly high: number;
}

export interface PredictedPoint extends CurvePoint {
  /** Local exponent d log T / d log n, or null where it is unknown. */
  readonly exponent: number | null;
}

/** Seconds of one step by the part of the model they are spent in. */
export interface PartsPoint {
  readonly n: number;
  readonly seconds: Readonly<Partial<Record<Part | "network", number>>>;
}

/** The usable samples of one length. */
export interface MeasuredLength {
  readonly n: number;
  /** Wall seconds of each repeat, in the order they were taken; at least one. */
  readonly samples: readonly number[];
  readonly median: number;
  readonly fastest: number;
  readonly slowest: number;
  /** Samples that were rejected or failed at this length; not among `samples`. */
  readonly rejected: number;
}

export interface PhaseReport {
  /** `n` everywhere below is what the phase's time is a function of: new tokens, or for decode the context. */
  readonly phase: Exclude<Phase, "reference">;
  readonly batch: number;
  readonly measured: readonly MeasuredLength[];
  readonly prediction: PhasePrediction | null;
  readonly law: PhaseLaw | null;
  /** Of prefills after several numbers of cached tokens: one law over both lengths. */
  readonly joint: JointLaw | null;
  /** Measured seconds by part from a profile, or null. */
  readonly profile: readonly PartsPoint[] | null;
}

export interface PhasePrediction {
  /** Level of all intervals here: 0.9 for 90 %. */
  readonly level: number;
  /** At every measured length and every length asked for. */
  readonly points: readonly PredictedPoint[];
  /** Dense enough to draw, sorted by n; may be longer than what was measured. */
  readonly curve: readonly CurvePoint[];
  readonly crossover: { readonly flops: { readonly n: number } | null; readonly seconds: Crossing | null };
  readonly attentionHalf: { readonly flops: { readonly n: number } | null; readonly seconds: Crossing | null };
  /** Dense enough to draw, sorted by n; empty where the split is unknown. */
  readonly parts: readonly PartsPoint[];
}

/** A law fitted to the samples. */
export interface PhaseLaw {
  /** `linear`, `quadratic`, `power`, `physical` … */
  readonly kind: string;
  /** Seconds as text, for people: `0.02 + 5.6e-4·n + 1.4e-7·n²`. Null where it has no short form. */
  readonly expression: string | null;
  /** Level of all intervals here. */
  readonly level: number;
  /** Shortest and longest length that the law rests on. */
  readonly from: number;
  readonly to: number;
  /** What was estimated: `constant`, `linear`, `quadratic` in seconds, or a physical law's efficiencies. May be empty. */
  readonly coefficients: Readonly<Record<string, Estimate>>;
  /** Dense enough to draw, sorted by n; beyond `to` it is extrapolation. */
  readonly curve: readonly CurvePoint[];
  readonly crossover: Crossing | null;
  /** What longer input would cost; `factor` is n over the longest measured length. */
  readonly extrapolation: readonly ExtrapolatedPoint[];
  readonly warnings: readonly Warning[];
}

/** seconds = constant + linear·n + quadratic·(n² + 2·n·c) + perCached·c of n new tokens after c cached ones. */
export interface JointLaw {
  readonly expression: string;
  readonly level: number;
  /** Every length at every depth; `factor` above 1 lies beyond what was measured. */
  readonly points: readonly (CurvePoint & { readonly cached: number; readonly factor: number })[];
}

export interface ExtrapolatedPoint extends CurvePoint {
  readonly factor: number;
  /** False where the samples leave so much open that the number says little. */
  readonly canTell: boolean;
}

/** What ails the prefills, or that nothing does. */
export interface DiagnosisReport {
  /** What they were held against, in words. */
  readonly against: string;
  readonly samples: number;
  readonly lengths: number;
  /** Relative scatter of repeats of one length. */
  readonly noise: number;
  readonly findings: readonly Finding[];
  readonly warnings: readonly Warning[];
}

export interface MemoryReport {
  /** Sorted by n, dense enough to draw. */
  readonly points: readonly MemoryPoint[];
  /** Bytes of memory that the model may use, or null where unknown. */
  readonly limitBytes: number | null;
}

export interface MemoryPoint {
  readonly n: number;
  readonly weights: number;
  readonly cache: number;
  readonly activations: number;
}
