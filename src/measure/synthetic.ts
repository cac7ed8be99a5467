import { normalDeviate, seededRandom } from "../base/random.js";
import type { Seconds } from "../base/units.js";
import { type Cell, lengthOf, type Phase, phases } from "../runs/schema.js";
import { type Outcome, type RunContext, type Runner, timeSteps } from "./runner.js";

/** Seconds of a step as constant + linear·x + quadratic·x², x the phase's length (see `lengthOf`). */
export interface Law {
  readonly constant: number;
  readonly linear: number;
  readonly quadratic: number;
}

export interface SyntheticOptions {
  /** A phase without a law is not among the runner's phases. */
  readonly laws: Partial<Record<Phase, Law>>;
  /** Standard deviation of the logarithm of a step's seconds. */
  readonly noise?: number;
  readonly seed?: number;
  readonly maxLength?: number | null;
  /** Makes a machine ill: changes the seconds of a step, given the cell, the clock and how many steps ran before. */
  readonly disturb?: (seconds: Seconds, cell: Cell, at: Seconds, calls: number) => Seconds;
  /** Makes a cell fail with that reason. */
  readonly fail?: (cell: Cell, calls: number) => string | null;
}

/** Seconds that the law gives a cell without noise. */
export function lawSeconds(law: Law, cell: Cell): Seconds {
  const length = lengthOf(cell);
  return law.constant + law.linear * length + law.quadratic * length ** 2;
}

/**
 * A runner that computes nothing and takes exactly the time that a known law says, times log-normal noise. On a manual
 * clock it is exact and instant; on the system's clock it really waits.
 */
export function syntheticRunner(options: SyntheticOptions): Runner {
  const { laws, noise = 0, seed = 1, maxLength = null } = options;
  const random = seededRandom(seed);
  let calls = 0;
  let closed = false;

  const step = async (law: Law, cell: Cell, { clock, signal }: RunContext): Promise<Outcome> => {
    const quiet = lawSeconds(law, cell) * cell.batch * Math.exp(noise * normalDeviate(random));
    const seconds = options.disturb?.(quiet, cell, clock.now(), calls) ?? quiet;
    calls += 1;
    const outcome = await timeSteps(clock, 1, () => clock.sleep(seconds, signal));
    signal.throwIfAborted();
    return outcome;
  };

  return {
    name: "synthetic",
    capabilities: { phases: phases.filter((phase) => laws[phase] !== undefined), maxLength, maxBatch: 2 ** 20 },
    describe: () => ({
      runner: "synthetic",
      name: "nsquared",
      version: "1",
      provider: null,
      threads: null,
      dtype: null,
      attention: null,
      options: { noise, seed, laws: JSON.stringify(laws) },
    }),
    run: async (cell, context) => {
      const law = laws[cell.phase];
      if (closed) return { status: "failed", reason: "the runner is closed" };
      if (law === undefined) return { status: "failed", reason: `no law for ${cell.phase}` };
      const reason = options.fail?.(cell, calls) ?? null;
      if (reason === null) return step(law, cell, context);
      calls += 1;
      return { status: "failed", reason };
    },
    close: () => {
      closed = true;
      return Promise.resolve();
    },
  };
}
