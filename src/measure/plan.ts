import { badInput, type ErrorDetails } from "../base/errors.js";
import { type Cell, cellText, type Plan, planSchema, type Sample } from "../runs/schema.js";
import { distinctCells } from "./order.js";
import type { Capabilities, Runner } from "./runner.js";

/**
 * The stop rule and the adaptive plan in one: called before each block (counted from 0) with all samples so far, it gives
 * the cells of that block, or null to stop. A cell it has not given before gets its warm-ups first.
 */
export type NextBlock = (samples: readonly Sample[], block: number) => readonly Cell[] | null;

/** The plain rule: every cell in each of `repeat` blocks. */
export function fixedBlocks(plan: Pick<Plan, "cells" | "repeat">): NextBlock {
  return (_samples, block) => (block < plan.repeat ? plan.cells : null);
}

/** Why a runner cannot run a cell, as key, value and what would be right; null when it can. */
function refusal(cell: Cell, runner: string, { phases, maxLength, maxBatch }: Capabilities): ErrorDetails | null {
  if (!phases.includes(cell.phase)) {
    return { key: "phase", found: cell.phase, expected: `${runner} runs ${phases.join(", ")}` };
  }
  // The reference is the runner's own workload: its size is no length of the model.
  if (maxLength !== null && cell.phase !== "reference" && cell.n + cell.depth > maxLength) {
    return { key: "length", found: cell.n + cell.depth, expected: `${runner} runs at most ${maxLength} tokens` };
  }
  if (cell.batch > maxBatch) {
    return { key: "batch", found: cell.batch, expected: `${runner} runs at most ${maxBatch} sequences at once` };
  }
  return null;
}

/**
 * Refuses, before anything is timed, cells that the runner cannot run.
 *
 * @throws NsquaredError `cell-unsupported`
 */
export function assertSupported(cells: readonly Cell[], runner: Pick<Runner, "name" | "capabilities">): void {
  for (const cell of cells) {
    const refused = refusal(cell, runner.name, runner.capabilities);
    if (refused !== null) throw badInput("cell-unsupported", { where: cellText(cell), ...refused });
  }
}

/** A plan that is valid, not empty, with each cell once. */
function validPlan(plan: Plan): Plan {
  const parsed = planSchema.safeParse(plan);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw badInput("plan-invalid", {
      where: "plan",
      key: issue?.path.join(".") ?? "",
      found: issue?.path.reduce<unknown>((value, key) => Reflect.get(Object(value), key), plan),
      expected: issue?.message ?? "a plan",
    });
  }
  if (parsed.data.cells.length === 0) {
    throw badInput("plan-invalid", { where: "plan", key: "cells", found: [], expected: "at least one cell" });
  }
  return { ...parsed.data, cells: distinctCells(parsed.data.cells) };
}

/**
 * The plan as it will be measured: valid, not empty, each cell once, and nothing that the runner cannot run.
 *
 * @throws NsquaredError `plan-invalid`, `cell-unsupported`
 */
export function measurablePlan(plan: Plan, runner: Pick<Runner, "name" | "capabilities">): Plan {
  const valid = validPlan(plan);
  assertSupported(valid.reference === null ? valid.cells : [...valid.cells, valid.reference], runner);
  return valid;
}
