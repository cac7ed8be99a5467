import type { PhysicalCurve } from "../fit/index.js";
import type { DeviceRecord } from "../hardware/record.js";
import type { ModelDescription } from "../model/types.js";
import { type Curve, predictCurve } from "../predict/curve.js";
import { withDtype } from "../variants/dtype.js";
import type { Run } from "../runs/schema.js";
import { batchOf, measuredPhases } from "./fit.js";
import type { MeasuredPhase } from "./measure.js";

/** Predicted seconds of a model the way a run executed it: its attention, its batch, the device's own dtype. */
export function curveOfRun(run: Run, model: ModelDescription, device: DeviceRecord, phase: MeasuredPhase): Curve {
  const typed = device.calibration === null ? model : withDtype(model, device.calibration.dtype);
  return predictCurve(typed, device, {
    phase: phase === "decode" ? "decode" : "prefill",
    batch: batchOf(run),
    attention: run.runtime.attention === "naive" ? "naive" : "fused",
  });
}

/** The same as the physical law wants it: one component per class of operators, each with its prior spread. */
export function physicalCurve(
  run: Run,
  model: ModelDescription,
  device: DeviceRecord,
  phase: MeasuredPhase = measuredPhases(run)[0] ?? "prefill",
): PhysicalCurve {
  const curve = curveOfRun(run, model, device, phase);
  return {
    components: curve.components.map(({ name, seconds, logSpread }) => ({
      name,
      seconds,
      // What the engine adds to all classes alike is not known better for one of them.
      logSpread: Math.hypot(logSpread, curve.commonSpread),
    })),
  };
}
