import type { Phase, Run, Warning } from "../schema.js";

export type SeriesPhase = Exclude<Phase, "reference">;
/** What a series varies: the new tokens of a step (`length`), or the tokens cached before it (`depth`). */
export type Axis = "length" | "depth";

/** One timed step as some file has it. */
export interface Observation {
  readonly phase: SeriesPhase;
  /** New tokens of the step; 1 for a decode step. */
  readonly n: number;
  /** Tokens cached before the step. */
  readonly depth: number;
  readonly batch: number;
  readonly seconds: number;
  /** When it was measured, in seconds from whenever; left out where the file does not say. */
  readonly at?: number;
  /** Standard deviation of the repeats over their mean, where only their mean is known. */
  readonly spread?: number;
}

export interface SeriesPoint {
  /** The length that the series is a function of; see `Series.axis`. */
  readonly n: number;
  readonly seconds: number;
  readonly block?: number;
  /** When it was measured, in seconds from whenever; left out where the file does not say. */
  readonly at?: number;
}

/** Samples that differ in one length only. */
export interface Series {
  readonly phase: SeriesPhase;
  /**
   * `length`: n new tokens after `fixed` cached ones. `depth`: the context; for a prefill that is the cached tokens plus the
   * `fixed` new ones, for a decode step the cached tokens alone.
   */
  readonly axis: Axis;
  /** The other length, equal in all samples. */
  readonly fixed: number;
  readonly batch: number;
  readonly points: readonly SeriesPoint[];
  /** Samples read; more than `points` where a length had very many. */
  readonly count: number;
  readonly lengths: number;
  /** Typical standard deviation of repeats that the file gives instead of the repeats; null where it gives none. */
  readonly spread: number | null;
}

/** What a file, or several that belong together, had to say. */
export interface SampleSet {
  readonly path: string;
  /** `run`, `csv`, `json-lines`, `json`, and behind a slash whose layout the rows have: `json/llama-bench`. */
  readonly format: string;
  /** Null where the file does not say. */
  readonly model: string | null;
  /** Model, machine, runtime … as far as the file names them; each has one value. */
  readonly identity: Readonly<Record<string, string>>;
  /** How the times were read: `latency_ms in ms`. */
  readonly units: readonly string[];
  /** The most telling series first. */
  readonly series: readonly Series[];
  readonly notes: readonly Warning[];
  /** The run itself, where it is one of ours. */
  readonly run: Run | null;
}
