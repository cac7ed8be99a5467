import type { Random } from "../base/random.js";
import type { Journal } from "../runs/journal.js";
import { createJournal, createJournalIn } from "../runs/journal.js";
import { runId } from "../runs/names.js";
import type { Machine, Plan, Run, RunHeader, Warning } from "../runs/schema.js";
import type { Clock } from "./clock.js";
import { measure } from "./loop.js";
import { measurablePlan, type NextBlock } from "./plan.js";
import type { ProgressEvent } from "./progress.js";
import type { Runner } from "./runner.js";
import { assess } from "./stability.js";

export interface RecordOptions {
  readonly runner: Runner;
  readonly plan: Plan;
  readonly model: RunHeader["model"];
  readonly machine: Machine;
  readonly seed: number;
  readonly random: Random;
  readonly clock: Clock;
  /** When the run begins, by the calendar. */
  readonly created: Date;
  /** The run that this one continues. */
  readonly parent?: string;
  /** A file, or a folder that gets `<model>-<yyyymmdd-hhmmss>.json`. */
  readonly output: { readonly file: string } | { readonly folder: string };
  readonly progress?: (event: ProgressEvent) => void;
  readonly signal?: AbortSignal;
  readonly next?: NextBlock;
  /** What asking a server first showed. */
  readonly probe?: RunHeader["probe"];
  /** Doubts of the caller, asked for at the end. */
  readonly doubts?: () => readonly Warning[];
}

export interface Recorded {
  readonly run: Run;
  readonly path: string;
}

function headerOf({ runner, plan, model, machine, seed, created, parent, probe }: RecordOptions): RunHeader {
  const head = {
    created: created.toISOString(),
    model,
    runtime: runner.describe(),
    machine,
    ...(probe === undefined ? {} : { probe }),
    seed,
    plan,
    parent: parent ?? null,
    mergedFrom: [],
  };
  return { id: runId(head), ...head };
}

async function measureInto(journal: Journal, options: RecordOptions): Promise<Run> {
  const { runner, plan, machine } = options;
  try {
    const { samples, warnings, status, seconds } = await measure(runner, plan, { ...options, journal });
    const doubts = assess({ samples, plan, machine });
    return await journal.seal({ status, seconds, warnings: [...warnings, ...doubts, ...(options.doubts?.() ?? [])] });
  } finally {
    await journal.close();
  }
}

/**
 * Measures into a file: opens the journal, measures, adds the reasons to doubt, seals. Should the process die or the disk
 * fill up, the journal stays and `readRun` reads it.
 *
 * @throws NsquaredError `plan-invalid`, `cell-unsupported`, `run-exists`, `output-unwritable` before anything is timed;
 *   `journal-write` (exit code 3) when the disk fails in the middle
 */
export async function recordRun(options: RecordOptions): Promise<Recorded> {
  const { output } = options;
  const plan = measurablePlan(options.plan, options.runner);
  const header = headerOf({ ...options, plan });
  const journal = await ("file" in output
    ? createJournal(output.file, header)
    : createJournalIn(output.folder, header));
  const run = await measureInto(journal, { ...options, plan });
  return { run, path: journal.path };
}
