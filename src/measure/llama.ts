import { badInput, NsquaredError } from "../base/errors.js";
import { seededRandom } from "../base/random.js";
import type { Seconds } from "../base/units.js";
import { type Cell, cellKey, cellText, type RuntimeInfo } from "../runs/schema.js";
import { type LlamaEngine, type LlamaOptions, openLlama } from "./llama-binding.js";
import type { Outcome, RunContext, Runner } from "./runner.js";

export interface LlamaRunnerOptions extends LlamaOptions {
  /** Decides the token ids that go through the model. */
  readonly seed: number;
  /** Steps that are shorter than this are repeated, and their mean is taken. A hundredth of a second where it is left out. */
  readonly shortest?: Seconds;
}

const usuallyShortest: Seconds = 0.01;
const mostSteps = 64;

/**
 * A runner that executes a GGUF file in llama.cpp, in this process, on the CPU. Opening it loads the weights. The
 * `reference` is a prefill of n tokens.
 *
 * @throws NsquaredError see `openLlama`
 */
export async function openLlamaRunner(options: LlamaRunnerOptions): Promise<Runner> {
  return new LlamaRunner(await openLlama(options), options);
}

class LlamaRunner implements Runner {
  readonly name = "llama";
  readonly capabilities;
  private readonly stepSeconds = new Map<string, Seconds>();
  private readonly texts: number[][];
  private closed = false;

  constructor(
    private readonly engine: LlamaEngine,
    private readonly options: LlamaRunnerOptions,
  ) {
    this.capabilities = {
      phases: ["prefill", "decode", "decode-uncached", "reference"] as const,
      maxLength: options.contextLength,
      maxBatch: options.sequences,
    };
    this.texts = engine.sequences.map((_, index) => randomTokens(engine, options, index));
  }

  describe(): RuntimeInfo {
    const { engine, options } = this;
    return {
      runner: this.name,
      name: "node-llama-cpp",
      version: engine.version,
      provider: "cpu",
      threads: engine.threads,
      // Weights and cache have their own types (in the options); sums are made in float32.
      dtype: null,
      attention: engine.attention,
      options: { ...engine.details, seed: options.seed },
    };
  }

  /** Brings the cache of each sequence of the cell to its depth, by shortening it or by further tokens. */
  async prepare(cell: Cell, { signal }: Pick<RunContext, "signal">): Promise<void> {
    this.assertCell(cell);
    const active = this.engine.sequences.slice(0, cell.batch);
    for (const sequence of active) await sequence.truncate(cell.depth);
    // After a recurrence or a window the cache may be shorter than what was asked for.
    const from = Math.min(...active.map(({ length }) => length));
    if (from === cell.depth) return;
    for (const sequence of active) await sequence.truncate(from);
    await this.feed(cell.batch, from, cell.depth, false, signal);
    for (const sequence of active) await sequence.mark();
  }

  async run(cell: Cell, context: RunContext): Promise<Outcome> {
    const { clock, signal } = context;
    const key = cellKey(cell);
    const shortest = this.options.shortest ?? usuallyShortest;
    const known = this.stepSeconds.get(key);
    const steps = known === undefined ? 1 : Math.min(mostSteps, Math.max(1, Math.ceil(shortest / known)));
    let seconds = 0;
    for (let step = 0; step < steps; step += 1) {
      // The cache goes back to its depth between steps; that is not timed.
      await this.prepare(cell, context);
      signal.throwIfAborted();
      const start = clock.now();
      const next = await this.feed(cell.batch, cell.depth, cell.depth + cell.n, true, signal);
      seconds += clock.now() - start;
      if (next.includes(null)) return { status: "failed", reason: "llama.cpp gave no token after the step" };
    }
    this.stepSeconds.set(key, seconds / steps);
    return { status: "ok", seconds: seconds / steps, steps };
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.engine.close();
  }

  /** Puts the tokens from `from` to `to` of every text through the model, in pieces that together fill its batch. */
  private async feed(
    batch: number,
    from: number,
    to: number,
    wantsNext: boolean,
    signal: AbortSignal,
  ): Promise<(number | null)[]> {
    const piece = Math.max(1, Math.floor(this.engine.batchTokens / batch));
    let next: (number | null)[] = [];
    for (let start = from; start < to; start += piece) {
      signal.throwIfAborted();
      const end = Math.min(to, start + piece);
      next = await Promise.all(
        this.engine.sequences
          .slice(0, batch)
          .map((sequence, index) =>
            sequence.append(this.texts[index]?.slice(start, end) ?? [], wantsNext && end === to),
          ),
      );
    }
    return next;
  }

  /** @throws NsquaredError where the runner cannot do the cell */
  private assertCell(cell: Cell): void {
    if (this.closed) throw new NsquaredError("runner-closed", "the runner is closed");
    const { contextLength, sequences } = this.options;
    const where = cellText(cell);
    if (cell.n + cell.depth > contextLength) {
      const expected = `at most ${contextLength}, which this runner was opened for`;
      throw badInput("length", { where, key: "length", found: cell.n + cell.depth, expected });
    }
    if (cell.batch > sequences) {
      const expected = `at most ${sequences}, which this runner was opened for`;
      throw badInput("batch", { where, key: "batch", found: cell.batch, expected });
    }
  }
}

/** As many random token ids as a sequence may hold. */
function randomTokens(
  { vocabulary }: LlamaEngine,
  { seed, contextLength }: LlamaRunnerOptions,
  index: number,
): number[] {
  const random = seededRandom(seed + index);
  return Array.from({ length: contextLength }, () => Math.floor(random() * vocabulary));
}
