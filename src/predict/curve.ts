import type { Seconds } from "../base/units.js";
import { type OperatorCost, priceGraph } from "../cost/table.js";
import { buildGraph } from "../graph/build.js";
import type { GraphOptions, Part } from "../graph/types.js";
import { type OperatorClass, operatorClasses } from "../hardware/efficiency.js";
import { engineOf } from "../hardware/engine.js";
import type { Bound, Setting } from "../hardware/operator-time.js";
import type { DeviceRecord } from "../hardware/record.js";
import { classSpread, perPass, timeOperators } from "../hardware/time.js";
import type { ModelDescription } from "../model/types.js";
import { type Interval, logNormalInterval } from "./interval.js";

/** Prefill is timed over n new tokens, decode over c cached ones (n = 1). */
export type CurvePhase = "prefill" | "decode";

export interface CurveOptions {
  readonly phase: CurvePhase;
  readonly batch: number;
  /** Tokens already cached before a prefill. */
  readonly depth: number;
  readonly attention: GraphOptions["attention"];
  readonly head: GraphOptions["head"];
}

const defaultCurveOptions: CurveOptions = {
  phase: "prefill",
  batch: 1,
  depth: 0,
  attention: "fused",
  head: "last",
};

/** All operators of one class: one free efficiency of the physical law. */
export interface CurveComponent {
  readonly name: OperatorClass;
  readonly seconds: (length: number) => Seconds;
  /** Standard deviation of log(true seconds / predicted seconds). */
  readonly logSpread: number;
}

/** One operator over all layers that run it. */
export interface CurveOperator {
  readonly name: string;
  readonly part: Part;
  readonly class: OperatorClass;
  /** Power of the length that its work grows with; its seconds belong to that degree whole. */
  readonly degree: number;
  /** Seconds beside the overhead of starting its kernels. */
  readonly work: (length: number) => Seconds;
  readonly overhead: Seconds;
  readonly bound: (length: number) => Bound;
}

/** Predicted seconds of one phase as a function of the length alone: T(n) = Σ θₖ tₖ(n), every θ at 1. */
export interface Curve {
  readonly phase: CurvePhase;
  readonly components: readonly CurveComponent[];
  readonly operators: readonly CurveOperator[];
  /** Spread that all components share: what the engine adds. */
  readonly commonSpread: number;
  readonly seconds: (length: number) => Seconds;
  readonly interval: (length: number) => Interval;
  /** Local exponent d log T / d log length. */
  readonly exponent: (length: number) => number;
}

/** Relative step of the central difference behind the exponent. */
const step = 0.01;

/**
 * The curve of a model on a device. Compiled: one evaluation costs about as much as a polynomial per kind of operator.
 */
export function predictCurve(
  model: ModelDescription,
  device: DeviceRecord,
  options: Partial<CurveOptions> = {},
): Curve {
  const chosen = { ...defaultCurveOptions, ...options };
  const { phase, attention, head } = chosen;
  return curveOf(priceGraph(buildGraph(model, { phase, attention, head })), model, device, chosen);
}

function settingOf({ phase, batch, depth }: CurveOptions): Setting {
  return phase === "prefill"
    ? { variable: "n", values: { c: depth, b: batch } }
    : { variable: "c", values: { n: 1, b: batch } };
}

/** Power of the variable that the operator's work grows with: its matrix products', or its bytes' where it has none. */
function degreeOf({ cost }: OperatorCost, { variable }: Setting): number {
  const work = cost.matmulFlops.isZero ? cost.readBytes.plus(cost.writtenBytes) : cost.matmulFlops;
  return work.growth(variable).power;
}

function curveOf(
  rows: readonly OperatorCost[],
  model: ModelDescription,
  device: DeviceRecord,
  options: CurveOptions,
): Curve {
  const setting = settingOf(options);
  const engine = engineOf(device);
  const operators = timeOperators(rows, device, setting).map(({ row, time }): CurveOperator => {
    const factor = row.times * engine.factor;
    const overhead = time.overhead * row.times;
    const work = (length: number): number => time.work(length) * factor;
    return {
      name: row.operator.name,
      part: row.operator.part,
      class: time.class,
      degree: time.degree ?? degreeOf(row, setting),
      work,
      overhead,
      bound: (length) => (overhead > work(length) ? "overhead" : time.bound(length)),
    };
  });
  const overhead = operators.reduce((sum, operator) => sum + operator.overhead, perPass(device));
  const components = operatorClasses.flatMap((name): CurveComponent[] => {
    const logSpread = classSpread(name, device, model.dtypes.activations);
    if (name === "overhead") return [{ name, seconds: () => overhead, logSpread }];
    const members = operators.filter((operator) => operator.class === name);
    return members.length === 0 ? [] : [{ name, seconds: sumOf(members.map(({ work }) => work)), logSpread }];
  });
  const seconds = sumOf(components.map((component) => component.seconds));
  return {
    phase: options.phase,
    components,
    operators,
    commonSpread: engine.logSpread,
    seconds,
    interval: (length) => {
      const parts = components.map((component) => component.seconds(length));
      const total = parts.reduce((sum, part) => sum + part, 0);
      const variance = components.reduce(
        (sum, { logSpread }, index) => sum + (((parts[index] ?? 0) / total) * logSpread) ** 2,
        engine.logSpread ** 2,
      );
      return logNormalInterval(total, Math.sqrt(variance));
    },
    exponent: (length) =>
      Math.log(seconds(length * (1 + step)) / seconds(length * (1 - step))) / Math.log((1 + step) / (1 - step)),
  };
}

function sumOf(functions: readonly ((length: number) => number)[]): (length: number) => number {
  return (length) => {
    let sum = 0;
    for (const one of functions) sum += one(length);
    return sum;
  };
}
