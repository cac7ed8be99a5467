import { compiledCost } from "../hardware/compiled.js";
import type { Setting } from "../hardware/operator-time.js";
import { mostOf } from "../hardware/roofline.js";
import { horner } from "../math/compile.js";
import { valuesOf } from "./operators.js";
import type { CurvePhase, Plan } from "./plan.js";
import { type Schedule, groupsOf } from "./schedule.js";

/**
 * Seconds that no kernel can beat: all products of a pass at the data sheet's peak, or all that they read and write at its
 * bandwidth. Products whose cost is no polynomial (windows, chosen experts of a prefill) and what devices exchange count for
 * nothing, and chunks for one pass: it is a bound from below. Nothing is known where rates were measured, or where devices
 * share a sequence.
 */
export function leastSeconds(plan: Plan, phase: CurvePhase, schedule: Schedule): (length: number) => number {
  const { device, engine, parallel, operands } = plan;
  if (device.calibration !== null || parallel.context > 1) return () => 0;
  const variable = phase === "prefill" ? "n" : "c";
  const batch = groupsOf(plan, schedule.batch).size;
  const values = valuesOf(plan, { phase, variable, newTokens: 1, depth: schedule.depth, batch }, 1);
  const setting: Setting = { variable, values, operands };
  const [compute, memory]: [number[], number[]] = [[], []];
  for (const row of plan.rows(phase)) {
    if (row.cost.matmulFlops.isZero) continue;
    const { matmulFlops, movedBytes } = compiledCost(row, setting).polynomials;
    const most = mostOf(row, device, setting, engine);
    add(compute, matmulFlops, row.times / most.flops);
    add(memory, movedBytes, row.times / most.bytes);
  }
  const [products, bytes] = [horner(compute), horner(memory)];
  // Of a pipeline every stage has its share of the layers.
  const stages = phase === "prefill" ? parallel.pipeline : 1;
  const fresh = phase === "prefill" ? 1 - schedule.cachedShare : 1;
  return (length) => Math.max(products(length * fresh), bytes(length * fresh)) / stages;
}

function add(sum: number[], coefficients: readonly number[] | null, factor: number): void {
  coefficients?.forEach((coefficient, power) => {
    sum[power] = (sum[power] ?? 0) + coefficient * factor;
  });
}
