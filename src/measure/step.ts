import type { Seconds } from "../base/units.js";
import { type Cell, longestText, type Sample } from "../runs/schema.js";
import type { Outcome, RunContext, Runner } from "./runner.js";

/** One call of the runner: its outcome and what it took on the wall, set-up included; null when Ctrl-C cut it short. */
export interface Step {
  readonly outcome: Outcome;
  readonly wall: Seconds;
}

/** A reason that fits a run: one line, bounded. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim().slice(0, longestText);
}

function reasonOf(error: unknown): string {
  const text = oneLine(error instanceof Error ? error.message : String(error));
  return text === "" ? "failed without a message" : text;
}

function isTimed(outcome: Outcome): outcome is Exclude<Outcome, { status: "failed" }> {
  return outcome.status !== "failed";
}

/** An instrument that reads zero or nonsense has measured nothing. */
function checked(outcome: Outcome): Outcome {
  if (!isTimed(outcome)) return { ...outcome, reason: reasonOf(outcome.reason) };
  const { seconds, steps } = outcome;
  const request = outcome.request === undefined ? {} : { request: outcome.request };
  if (!(Number.isFinite(seconds) && seconds > 0)) {
    return { status: "failed", ...request, reason: `the runner timed ${seconds} s: too short for the clock` };
  }
  if (!(Number.isSafeInteger(steps) && steps >= 1)) {
    return { status: "failed", ...request, reason: `the runner counted ${steps} steps; at least one was expected` };
  }
  return outcome;
}

/**
 * Prepares and runs one cell. A throw is a failed outcome; a throw after Ctrl-C is no outcome at all (null), since the
 * step was not let finish.
 */
export async function callRunner(runner: Runner, cell: Cell, context: RunContext): Promise<Step | null> {
  const { clock, signal } = context;
  const start = clock.now();
  let outcome: Outcome;
  try {
    await runner.prepare?.(cell, context);
    if (signal.aborted) return null;
    outcome = checked(await runner.run(cell, context));
  } catch (error) {
    if (signal.aborted) return null;
    outcome = { status: "failed", reason: reasonOf(error) };
  }
  if (signal.aborted && outcome.status === "failed") return null;
  return { outcome, wall: clock.now() - start };
}

/** The outcome as it stands in a run. */
export function sampleOf(cell: Cell, outcome: Outcome, place: Pick<Sample, "block" | "warmup" | "at">): Sample {
  return {
    phase: cell.phase,
    n: cell.n,
    depth: cell.depth,
    batch: cell.batch,
    ...(cell.variant === undefined ? {} : { variant: cell.variant }),
    seconds: isTimed(outcome) ? outcome.seconds : null,
    steps: isTimed(outcome) ? outcome.steps : 1,
    ...place,
    rejected: outcome.status === "ok" ? null : oneLine(outcome.reason) || "rejected without a reason",
    ...(outcome.request === undefined ? {} : { request: outcome.request }),
  };
}
