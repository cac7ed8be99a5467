import { badInput } from "../base/errors.js";
import type { Dtype } from "../base/units.js";
import { type OperatorCost, priceGraph } from "../cost/table.js";
import { buildGraph } from "../graph/build.js";
import type { Graph, GraphOptions } from "../graph/types.js";
import { runtimeOf } from "../hardware/calibrated-runtime.js";
import { type Engine, engineOf } from "../hardware/engine.js";
import { type Link, linkOf } from "../hardware/network.js";
import type { DeviceRecord } from "../hardware/record.js";
import type { ModelDescription } from "../model/types.js";
import { type Parallelism, devicesOf, noParallelism, replicasOf, shardModel } from "../variants/shard.js";

/** Prefill is timed over n new tokens, decode over c cached ones (n = 1). */
export type CurvePhase = "prefill" | "decode";

export interface PlanOptions {
  readonly attention: GraphOptions["attention"];
  readonly head: GraphOptions["head"];
  readonly parallel: Parallelism;
  /** Bytes/s of one direction between devices; the device's own where null. */
  readonly interconnect: number | null;
  /** Tokens of an encoder's input; as many as the length of the phase where null. */
  readonly encoderLength: number | null;
  /** Runtime whose profile is taken; null for the measured one, or what people mostly run on the device. */
  readonly engineName: string | null;
  /** A profile of one's own instead. */
  readonly ownEngine: Engine | null;
  /** What activations are cast to before products with weights; as they are where null. */
  readonly operands: Dtype | null;
}

const defaultPlanOptions: PlanOptions = {
  attention: "fused",
  head: "last",
  parallel: noParallelism,
  interconnect: null,
  encoderLength: null,
  engineName: null,
  ownEngine: null,
  operands: null,
};

/** A model on devices: what each of them runs, and what joins them. */
export interface Plan extends PlanOptions {
  readonly model: ModelDescription;
  /** The model as one device sees it, all its layers. */
  readonly local: ModelDescription;
  readonly device: DeviceRecord;
  readonly engine: Engine;
  readonly devices: number;
  /** Copies of the attention that share the batch. */
  readonly replicas: number;
  readonly link: Link | null;
  readonly graph: (phase: CurvePhase) => Graph;
  readonly rows: (phase: CurvePhase) => readonly OperatorCost[];
}

/** @throws NsquaredError `parallel-divide`, `no-interconnect`, `engine-unknown` */
export function makePlan(model: ModelDescription, device: DeviceRecord, options: Partial<PlanOptions> = {}): Plan {
  const engine =
    options.ownEngine ?? engineOf(device, options.engineName ?? null, model.dtypes, options.attention ?? null);
  const chosen = { ...defaultPlanOptions, attention: engine.attention, ...options };
  assertCalibrated(device, chosen);
  const { parallel } = chosen;
  const devices = devicesOf(parallel);
  return {
    ...chosen,
    model,
    ...modelSide(model, chosen),
    device,
    engine,
    devices,
    replicas: replicasOf(parallel),
    link: devices === 1 ? null : linkOf(device, chosen.interconnect),
  };
}

/** @throws NsquaredError `not-calibrated` where this kind of attention was not timed */
function assertCalibrated({ name, calibration }: DeviceRecord, { attention }: PlanOptions): void {
  if (attention !== "naive" || calibration === null || runtimeOf(calibration).timesNaive) return;
  const expected = "expected fused, which alone was timed there";
  throw badInput("not-calibrated", { where: name, key: "attention", found: attention, expected });
}

type ModelSide = Pick<Plan, "local" | "graph" | "rows">;
const known = new WeakMap<ModelDescription, Map<string, ModelSide>>();

/** What does not depend on the device: a second device takes it from the first. */
function modelSide(model: ModelDescription, options: PlanOptions): ModelSide {
  const { attention, head, parallel, encoderLength } = options;
  const encoder = encoderLength === null ? "same" : "own";
  const { tensor, pipeline, expert, context } = parallel;
  const key = [attention, head, encoder, tensor, pipeline, expert, context].join(" ");
  const sides = known.get(model) ?? new Map<string, ModelSide>();
  known.set(model, sides);
  const found = sides.get(key);
  if (found !== undefined) return found;
  const local = shardModel(model, parallel);
  const graphs = new Map<CurvePhase, Graph>();
  const priced = new Map<CurvePhase, readonly OperatorCost[]>();
  const graph = (phase: CurvePhase): Graph => {
    const made = graphs.get(phase) ?? buildGraph(local, { phase, attention, head, encoder });
    graphs.set(phase, made);
    return made;
  };
  const rows = (phase: CurvePhase): readonly OperatorCost[] => {
    const made = priced.get(phase) ?? priceGraph(graph(phase));
    priced.set(phase, made);
    return made;
  };
  const side = { local, graph, rows };
  sides.set(key, side);
  return side;
}
