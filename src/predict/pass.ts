import type { Seconds } from "../base/units.js";
import type { OperatorCost } from "../cost/table.js";
import type { Operator } from "../graph/types.js";
import type { OperatorTime, Setting } from "../hardware/operator-time.js";
import { compiledCost } from "../hardware/compiled.js";
import { perPass, timeOperators } from "../hardware/time.js";
import { communications } from "./communication.js";
import { type CurveOperator, type Execution, type Pass, type PassSetting, operatorOf, valuesOf } from "./operators.js";
import type { Plan } from "./plan.js";
import { sumOf } from "./sums.js";
import { worksOf } from "./works.js";

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
  const made = new Map<OperatorTime, Execution>();
  const operators = rows.map((row, index): CurveOperator => {
    const pairs = context > 1 && overPairs.has(row.operator.kind) && setting.phase === "prefill";
    const time = (pairs ? whole : share)[index];
    if (time === undefined) throw new Error("every operator has a time");
    let execution = made.get(time);
    if (execution === undefined) {
      const degree = time.degree ?? compiledCost(row, fixed).degree;
      execution = executionOf(time, `${made.size}`, degree, pairs ? 1 : context, pairs ? context : 1);
      made.set(time, execution);
    }
    return operatorOf(row.operator.name, row.operator.part, execution, row.times);
  });
  const all = [...operators, ...communications(plan, setting, operators)];
  const outside = perPass(plan.device, plan.engine);
  const host = hostSeconds(plan, rows);
  if (host === 0) return { operators: all, outside: () => outside };
  const devices = sumOf(
    worksOf(all).map(
      ({ work, overhead }) =>
        (length) =>
          work(length) + overhead(length),
    ),
  );
  // The host runs ahead: what the device computes meanwhile takes no longer for it.
  return { operators: all, outside: (length) => outside + Math.max(0, host - devices(length)) };
}

/** Seconds in which the host starts all kernels of a pass, where it is in the way; attention counts alike however it is computed. */
function hostSeconds({ engine }: Plan, rows: readonly OperatorCost[]): Seconds {
  if (engine.hostPerLaunch === 0) return 0;
  const launches = rows.map(({ operator: { kind, part }, cost, times }) => {
    if (part !== "attention") return times * cost.launches;
    return kind === "attention" || kind === "mix" ? times : 0;
  });
  return engine.hostPerLaunch * launches.reduce((sum, one) => sum + one, 0);
}

/** @param scale devices that share the length @param parts devices that share the work */
function executionOf(time: OperatorTime, key: string, degree: number, scale: number, parts: number): Execution {
  const plain = scale === 1 && parts === 1;
  return {
    key,
    class: time.class,
    degree,
    work: plain ? time.work : (length) => time.work(length / scale) / parts,
    overhead: time.overhead,
    bound: plain ? time.bound : (length) => time.bound(length / scale),
    fixed: time.fixed ?? false,
    streamed: plain ? (time.streamed ?? null) : null,
  };
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
