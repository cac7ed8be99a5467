import type { Seconds } from "../base/units.js";
import type { Cell, Sample } from "../runs/schema.js";

/** Sent before each call and once at the end; whoever shows progress decides how. */
export interface ProgressEvent {
  readonly stage: "warmup" | "block" | "end";
  /** Calls made. */
  readonly done: number;
  /** Calls expected in all, as far as is known now. */
  readonly total: number;
  readonly elapsedSeconds: Seconds;
  /** Foreseen seconds to the end; null while nothing is known. */
  readonly secondsLeft: Seconds | null;
  /** What is about to be timed; null at the end. */
  readonly current: Cell | null;
  /** Block from 0 and how many are expected; a warm-up has block −1. */
  readonly block: number;
  readonly blocks: number;
  /** The latest sample; null before the first. */
  readonly last: Sample | null;
}
