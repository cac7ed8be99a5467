import type { Seconds } from "../base/units.js";
import { type Cell, cellKey, cellText, type Plan, type Sample, type Warning } from "../runs/schema.js";
import type { Clock } from "./clock.js";
import { createEstimator, type Estimator } from "./estimate.js";
import type { ProgressEvent } from "./progress.js";
import type { Outcome, Runner } from "./runner.js";
import { callRunner, sampleOf } from "./step.js";

/** Where samples go; each is safe there before the next step starts. */
export interface SampleSink {
  sample(sample: Sample): Promise<void>;
  warning(warning: Warning): Promise<void>;
}

export interface SessionOptions {
  readonly clock: Clock;
  readonly journal: SampleSink;
  readonly progress?: (event: ProgressEvent) => void;
  /** Ctrl-C: what was measured is kept, and the step in flight counts if it finishes. */
  readonly signal?: AbortSignal;
}

/** A block that foresight called short enough may overrun the limit by this share before it is cut. */
const grace = 0.1;

/** A cell that failed this often in a row is not tried again. */
const mostFailures = 2;
/** As many failures in a row of what had worked before, of two cells at least: nothing works any more. */
const mostLost = 4;

/** What is known while measuring, and the one way to add to it. */
export class Session {
  readonly samples: Sample[] = [];
  readonly warnings: Warning[] = [];
  readonly estimator: Estimator = createEstimator();
  readonly limit: Seconds;
  readonly signal: AbortSignal;
  /** Cells of a coming block, for the time left. */
  perBlock: readonly Cell[];
  readonly #start: Seconds;
  readonly #leftOut = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #worked = new Set<string>();
  #lost: string[] = [];
  #over: string | null = null;

  constructor(
    readonly runner: Runner,
    readonly plan: Plan,
    readonly options: SessionOptions,
  ) {
    this.limit = plan.timeLimitSeconds ?? Number.POSITIVE_INFINITY;
    this.signal = options.signal ?? new AbortController().signal;
    this.perBlock = plan.cells;
    this.#start = options.clock.now();
  }

  elapsed(): Seconds {
    return Math.max(0, this.options.clock.now() - this.#start);
  }

  /** Why nothing can be measured any more; null while it can. */
  over(): string | null {
    return this.#over;
  }

  /** True once not even a started block may go on. */
  stopped(): boolean {
    return this.signal.aborted || this.#over !== null || this.elapsed() > this.limit * (1 + grace);
  }

  /** The cells that are still measured. */
  kept(cells: readonly Cell[]): Cell[] {
    return cells.filter((cell) => !this.#leftOut.has(cellKey(cell)));
  }

  reference(): Cell | null {
    return this.kept(this.plan.reference === null ? [] : [this.plan.reference])[0] ?? null;
  }

  /** Foreseen seconds of one block of these cells. */
  blockSeconds(cells: readonly Cell[]): Seconds {
    const reference = this.reference();
    return this.estimator.sum(reference === null ? cells : [reference, ...cells, reference]);
  }

  /** Whether so many more seconds stay within the time limit. */
  fits(seconds: Seconds): boolean {
    return this.elapsed() + seconds <= this.limit;
  }

  async warn(code: string, message: string): Promise<void> {
    const warning = { code, message };
    this.warnings.push(warning);
    await this.options.journal.warning(warning);
  }

  async leaveOutForTime(cells: readonly Cell[]): Promise<void> {
    if (cells.length === 0) return;
    for (const cell of cells) this.#leftOut.add(cellKey(cell));
    const shown = cells.slice(0, 20).map(cellText);
    const names = [...shown, ...(cells.length > shown.length ? [`${cells.length - shown.length} more`] : [])].join(
      "; ",
    );
    await this.warn(
      "time-limit-lengths",
      `the time limit of ${this.limit} s leaves no room for one block with: ${names}`,
    );
  }

  /** Runs one cell and records what became of it. `ahead`: what is queued behind it in this block or warm-up. */
  async take(cell: Cell, block: number, ahead: readonly Cell[]): Promise<void> {
    const { runner, signal, options } = this;
    this.report(cell, block, ahead);
    const step = await callRunner(runner, cell, { clock: options.clock, signal });
    if (step === null) return;
    const { outcome, wall } = step;
    const sample = sampleOf(cell, outcome, { block, warmup: block < 0, at: this.elapsed() });
    await options.journal.sample(sample);
    this.samples.push(sample);
    if (outcome.status !== "failed") this.estimator.note(cell, wall);
    this.#watch(cellKey(cell), outcome);
    await this.#countFailure(cell, outcome.status === "failed" && this.#over === null ? outcome.reason : null);
  }

  /** Ends it all where what the runner runs on is gone, or as good as. */
  #watch(key: string, outcome: Outcome): void {
    if (outcome.status !== "failed") {
      this.#worked.add(key);
      this.#lost = [];
      return;
    }
    if (this.#worked.has(key)) this.#lost.push(key);
    const dead = this.#lost.length >= mostLost && new Set(this.#lost).size > 1;
    if (outcome.gone === true || dead) this.#over = outcome.reason;
  }

  async #countFailure(cell: Cell, reason: string | null): Promise<void> {
    const key = cellKey(cell);
    const count = reason === null ? 0 : (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, count);
    if (count < mostFailures || this.#leftOut.has(key)) return;
    this.#leftOut.add(key);
    await this.warn(
      "cell-failed",
      `${cellText(cell)} failed ${count} times in a row and was not tried again: ${reason}`,
    );
  }

  /** Tells the listener what is about to happen; `current` null at the end. */
  report(current: Cell | null, block: number, ahead: readonly Cell[]): void {
    const { progress } = this.options;
    if (progress === undefined) return;
    const blocks = Math.max(this.plan.repeat, block + 1);
    const perBlock = this.kept(this.perBlock);
    const blocksAhead = current === null ? 0 : blocks - block - 1;
    const queued = current === null ? [] : [current, ...ahead];
    const foreseen = this.estimator.sum(queued) + blocksAhead * this.blockSeconds(perBlock);
    const references = this.reference() === null ? 0 : 2;
    progress({
      stage: current === null ? "end" : block < 0 ? "warmup" : "block",
      done: this.samples.length,
      total: this.samples.length + queued.length + blocksAhead * (perBlock.length + references),
      elapsedSeconds: this.elapsed(),
      secondsLeft:
        current !== null && this.samples.length === 0
          ? null
          : Math.min(foreseen, Math.max(0, this.limit - this.elapsed())),
      current,
      block,
      blocks,
      last: this.samples.at(-1) ?? null,
    });
  }
}
