import type { PhysicalCurve } from "../fit/index.js";
import { engineOf } from "../hardware/engine.js";
import type { DeviceRecord } from "../hardware/record.js";
import type { ModelDescription } from "../model/types.js";
import { type Curve, curveOfPass, predictCurve } from "../predict/curve.js";
import { chunkOf } from "../predict/deployment.js";
import { asCalibrated } from "../predict/formats.js";
import { makePlan } from "../predict/plan.js";
import { turnPass } from "../predict/schedule.js";
import type { Series } from "../runs/import/types.js";
import { type Run, encoderLengthOption } from "../runs/schema.js";
import { batchOf, measuredPhases } from "./fit.js";
import type { MeasuredPhase } from "./measure.js";

/** How a model is executed, as far as its seconds depend on it. */
export interface Execution {
  readonly phase: MeasuredPhase;
  readonly batch: number;
  readonly attention: "fused" | "naive";
  /** Tokens of an encoder's input; as many as the length where it is absent or null. */
  readonly encoderLength?: number | null;
}

/** What of its execution a run states. */
export function executedAs({ runtime }: Run): Required<Pick<Execution, "attention" | "encoderLength">> {
  const stated = runtime.options[encoderLengthOption];
  return {
    attention: runtime.attention === "naive" ? "naive" : "fused",
    encoderLength: typeof stated === "number" ? stated : null,
  };
}

function curveOf(
  model: ModelDescription,
  device: DeviceRecord,
  { phase, batch, attention, encoderLength = null }: Execution,
  sweep: Pick<Series, "axis" | "fixed"> = { axis: "length", fixed: 0 },
): Curve {
  const typed = asCalibrated(model, device);
  if (phase !== "decode" && sweep.axis === "depth") {
    const plan = makePlan(typed, device, { attention, encoderLength });
    return curveOfPass(plan, "prefill", turnPass(plan, batch, sweep.fixed));
  }
  return predictCurve(typed, device, {
    phase: phase === "decode" ? "decode" : "prefill",
    batch,
    attention,
    encoderLength,
    depth: phase === "decode" ? 0 : sweep.fixed,
    // What is not calibrated is a profile of whole runs, chunks or not.
    chunk: device.calibration === null ? null : chunkOf(typed, engineOf(device)),
  });
}

/** Predicted seconds of a model the way a run executed it: its attention, its batch, the device's own dtype. */
export function curveOfRun(run: Run, model: ModelDescription, device: DeviceRecord, phase: MeasuredPhase): Curve {
  return curveOf(model, device, { phase, batch: batchOf(run), ...executedAs(run) });
}

/**
 * How far the speed of a whole machine moves between its calibration and a run, as the standard deviation of its
 * logarithm: clocks, heat and whoever shares it, from one quarter of an hour to the next (docs/performance.md).
 */
const machineSpread = 0.15;

/**
 * How far a calibrated prediction misses one length beyond the level of all: ratios of measured to predicted seconds at single
 * lengths of one quiet run lie 0.94 to 1.06 apart (docs/performance.md), since rates are fitted to some sizes and models have others.
 */
const lengthSpread = 0.05;

/** A curve as the physical law wants it: one component per class of operators, each with its prior spread. */
function components(curve: Curve, device: DeviceRecord): PhysicalCurve {
  return {
    ...(device.calibration === null ? {} : { scale: { logSpread: machineSpread }, perLength: lengthSpread }),
    components: curve.components.map(({ name, seconds, logSpread }) => ({
      name,
      seconds,
      // What the engine adds to all classes alike is not known better for one of them.
      logSpread: Math.hypot(logSpread, curve.commonSpread),
    })),
  };
}

/** The physical law of a model that is about to be executed, of prefills after so many cached tokens. */
export function curveToMeasure(
  model: ModelDescription,
  device: DeviceRecord,
  execution: Execution,
  depth: number,
): PhysicalCurve {
  return curveOfSweep(model, device, execution, { axis: "length", fixed: depth });
}

/** The physical law of a run. */
export function physicalCurve(
  run: Run,
  model: ModelDescription,
  device: DeviceRecord,
  phase: MeasuredPhase = measuredPhases(run)[0] ?? "prefill",
): PhysicalCurve {
  return components(curveOfRun(run, model, device, phase), device);
}

/** The physical law of a sweep, over new tokens after cached ones or over the context of steps of the same new tokens. */
export function curveOfSweep(
  model: ModelDescription,
  device: DeviceRecord,
  execution: Execution,
  sweep: Pick<Series, "axis" | "fixed">,
): PhysicalCurve {
  const curve = components(curveOf(model, device, execution, sweep), device);
  if (execution.phase === "decode" || sweep.axis === "length") return curve;
  const overContext = curve.components.map((one) => ({
    ...one,
    seconds: (context: number) => one.seconds(context - sweep.fixed),
  }));
  return { ...curve, components: overContext };
}
