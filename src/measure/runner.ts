import type { Seconds } from "../base/units.js";
import type { Cell, Phase, RequestFacts, RuntimeInfo } from "../runs/schema.js";
import type { Clock } from "./clock.js";

/**
 * What became of one call of `Runner.run`.
 *
 * - `ok`: `seconds` is the mean wall time of one step over `steps` consecutive steps of the cell.
 * - `rejected`: timed, but it must not be used (a prompt that was cut, a cache hit); the reason says why.
 * - `failed`: nothing was timed (out of memory, refused, timed out); never written as 0 seconds.
 */
export type Outcome = (
  | { readonly status: "ok"; readonly seconds: Seconds; readonly steps: number }
  | { readonly status: "rejected"; readonly seconds: Seconds; readonly steps: number; readonly reason: string }
  | { readonly status: "failed"; readonly reason: string }
) & {
  /** Of a runner that asks a server: what the request showed beside. */
  readonly request?: RequestFacts;
  /** What it runs on is gone: no other cell can be measured either. */
  readonly gone?: true;
};

/** What a runner can be asked for. A cell outside is refused by `measure` before anything is timed. */
export interface Capabilities {
  readonly phases: readonly Phase[];
  /** Largest n + depth, or null where nothing but memory limits it. */
  readonly maxLength: number | null;
  readonly maxBatch: number;
}

/** Handed to every call. */
export interface RunContext {
  /** The clock that times; a runner reads no other. */
  readonly clock: Clock;
  /** Aborted by Ctrl-C or by a hard limit. A runner may finish the step in flight or throw; it must not hang. */
  readonly signal: AbortSignal;
}

/**
 * Something that executes cells of a model for real (or pretends to, by a known law).
 *
 * The runner times itself, with the clock it is given: only it knows where set-up ends and the step begins.
 * What a cell times:
 *
 * - `prefill`: one forward pass over n new tokens after `depth` cached ones, logits of the last position included.
 * - `decode`: one forward pass over 1 new token (n = 1) at context `depth`. Where single steps are too short to time,
 *   the mean of several, each at that same depth; where the cache cannot be held there, centred on it.
 * - `decode-uncached`: what one token costs without a KV cache: a forward pass over all n tokens of the prefix.
 * - `reference`: a fixed workload of the runner's choice, always the same for the same n: its drift is the machine's.
 *
 * One cell at a time; the loop never overlaps calls. After `run` fails or throws, the runner must be able to go on with
 * another cell.
 */
export interface Runner {
  /** Kebab-case and stable: `onnx-node`, `synthetic`. */
  readonly name: string;
  readonly capabilities: Capabilities;
  /** Everything about the runtime that a reader needs to repeat the run. Constant for the life of the runner. */
  describe(): RuntimeInfo;
  /** Untimed set-up of a cell (fill the cache to `depth`, build inputs). Called before each `run`, so cheap when repeated. */
  prepare?(cell: Cell, context: RunContext): Promise<void>;
  run(cell: Cell, context: RunContext): Promise<Outcome>;
  /** Frees what the runner holds. Safe to call twice. */
  close(): Promise<void>;
}

/** Times `steps` consecutive calls of `step` and gives the mean as an outcome. */
export async function timeSteps(clock: Clock, steps: number, step: () => Promise<unknown>): Promise<Outcome> {
  const start = clock.now();
  for (let done = 0; done < steps; done += 1) await step();
  return { status: "ok", seconds: (clock.now() - start) / steps, steps };
}
