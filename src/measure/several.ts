import type { Cell, RuntimeInfo } from "../runs/schema.js";
import type { Outcome, RunContext, Runner } from "./runner.js";

/** One of the models that a comparison times; cells name it in `variant`. */
export interface Subject {
  readonly name: string;
  readonly open: () => Promise<Runner>;
}

export interface SeveralOptions {
  /** Runners stay open side by side; else the last one is closed before another is opened. */
  readonly together: boolean;
  readonly runtime: RuntimeInfo;
  readonly maxLength: number;
}

/**
 * Several runners as one, so that one loop times them in turn and one journal holds all samples. The machine's pulse is
 * taken by whichever runner is open.
 */
export function severalRunner(subjects: readonly Subject[], options: SeveralOptions): Runner {
  const byName = new Map(subjects.map((subject) => [subject.name, subject]));
  const running = new Map<string, Runner>();
  let latest: Runner | null = null;

  const runnerOf = async (name: string | undefined): Promise<Runner> => {
    if (name === undefined && latest !== null) return latest;
    const subject = name === undefined ? subjects[0] : byName.get(name);
    if (subject === undefined) throw new Error(`no subject ${name ?? ""}`);
    const known = running.get(subject.name);
    if (known !== undefined) {
      latest = known;
      return known;
    }
    if (!options.together) await closeAll();
    latest = await subject.open();
    running.set(subject.name, latest);
    return latest;
  };
  const closeAll = async (): Promise<void> => {
    const open = [...running.values()];
    running.clear();
    latest = null;
    for (const runner of open) await runner.close();
  };

  return {
    name: options.runtime.runner,
    capabilities: {
      phases: ["prefill", "decode", "decode-uncached", "reference"],
      maxLength: options.maxLength,
      maxBatch: 2 ** 20,
    },
    describe: () => options.runtime,
    prepare: async (cell: Cell, context: RunContext): Promise<void> => {
      await (await runnerOf(cell.variant)).prepare?.(cell, context);
    },
    run: async (cell: Cell, context: RunContext): Promise<Outcome> => (await runnerOf(cell.variant)).run(cell, context),
    close: closeAll,
  };
}
