import type { OperatorCost } from "../cost/table.js";
import type { Operator } from "../graph/types.js";
import type { OperatorTime, Setting } from "../hardware/operator-time.js";
import { compiledCost } from "../hardware/compiled.js";
import { perPass, timeOperators } from "../hardware/time.js";
import { communications } from "./communication.js";
import { type CurveOperator, type Pass, type PassSetting, valuesOf } from "./operators.js";
import type { Plan } from "./plan.js";

/** Operators whose work is pairs of queries and keys: with the sequence split over devices each does its share. */
const overPairs: ReadonlySet<Operator["kind"]> = new Set(["attention", "scores", "softmax", "mix", "index"]);

/**
 * The time of every operator of a forward pass, of one device among those that share the model. With the sequence over p
 * devices each computes n/p tokens and 1/p of the pairs of attention; in decode each attends to c/p of the cache.
 */
export function timePass(plan: Plan, setting: PassSetting): Pass {
  const rows = plan.rows(setting.phase);
  const { context } = plan.parallel;
  const whole = timesOf(plan, rows, setting, 1);
  const share = context === 1 ? whole : timesOf(plan, rows, setting, context);
  const fixed = { variable: setting.variable, values: valuesOf(plan, setting, 1) } as const;
  const operators = rows.map((row, index): CurveOperator => {
    const pairs = context > 1 && overPairs.has(row.operator.kind) && setting.phase === "prefill";
    const time = (pairs ? whole : share)[index];
    if (time === undefined) throw new Error("every operator has a time");
    const factor = row.times / (pairs ? context : 1);
    const scale = pairs ? 1 : context;
    const overhead = time.overhead * row.times;
    return {
      name: row.operator.name,
      part: row.operator.part,
      class: time.class,
      degree: time.degree ?? compiledCost(row, fixed).degree,
      work: (length) => time.work(length / scale) * factor,
      overhead: () => overhead,
      bound: (length) => time.bound(length / scale),
    };
  });
  const outside = perPass(plan.device, plan.engine);
  return { operators: [...operators, ...communications(plan, setting, operators)], outside: () => outside };
}

function timesOf(
  plan: Plan,
  rows: readonly OperatorCost[],
  setting: PassSetting,
  context: number,
): readonly OperatorTime[] {
  const { operands } = plan;
  const hardware: Setting = { variable: setting.variable, values: valuesOf(plan, setting, context), operands };
  return timeOperators(rows, plan.device, hardware, plan.engine).map(({ time }) => time);
}
