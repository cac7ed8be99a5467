import { badInput, show } from "../base/errors.js";
import type { NextBlock } from "../measure/plan.js";
import { type Timed, incompatibility } from "../runs/merge.js";
import { type Cell, type Plan, type Run, type RunHeader, cellKey, isUsable } from "../runs/schema.js";

/** What is left of a run's plan. */
export interface Remainder {
  readonly plan: Plan;
  readonly next: NextBlock;
  readonly parent: string;
}

/**
 * What is left to measure of a run that ended early: of each cell as many blocks as it lacks. The new run holds the new
 * samples and names its parent; `fit` takes both together.
 *
 * @throws NsquaredError where nothing is left, or where the run was of another model or with another runtime
 */
export function remainderOf(run: Run, model: RunHeader["model"], runner: string): Remainder {
  for (const [key, found, expected] of [
    ["model", model.name, run.model.name],
    ["model.digest", model.digest, run.model.digest],
    ["runtime.runner", runner, run.runtime.runner],
  ] as const) {
    if (found !== expected) {
      throw badInput("resume-differs", { where: run.id, key, found, expected: `${expected}, as in the run to resume` });
    }
  }
  const { plan } = run;
  const done = new Map<string, number>();
  for (const sample of run.samples.filter(isUsable)) done.set(cellKey(sample), (done.get(cellKey(sample)) ?? 0) + 1);
  const missing = (cell: Cell): number => Math.max(0, plan.repeat - (done.get(cellKey(cell)) ?? 0));
  const cells = plan.cells.filter((cell) => missing(cell) > 0);
  if (cells.length === 0) {
    throw badInput("nothing-left", {
      where: run.id,
      key: "samples",
      found: `${plan.repeat} of each of ${plan.cells.length} cells`,
      expected: "a run in which some are missing",
    });
  }
  const repeat = Math.max(...cells.map(missing));
  return {
    parent: run.id,
    plan: { ...plan, cells, repeat },
    next: (_samples, block) => {
      const left = cells.filter((cell) => missing(cell) > block);
      return left.length === 0 ? null : left;
    },
  };
}

/**
 * Refuses, before anything is measured, what could not be put together with the run that is resumed afterwards.
 *
 * @throws NsquaredError `resume-differs`
 */
export function assertMergeable(run: Run, now: Timed): void {
  const difference = incompatibility(run, now);
  if (difference === null) return;
  const { key, a, b: found } = difference;
  throw badInput("resume-differs", { where: run.id, key, found, expected: `${show(a)}, as in the run to resume` });
}
