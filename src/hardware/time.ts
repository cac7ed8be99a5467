import type { Seconds } from "../base/units.js";
import { liveBytes } from "../cost/live-bytes.js";
import type { OperatorCost } from "../cost/table.js";
import type { Block } from "../graph/types.js";
import type { Dtypes } from "../model/types.js";
import { Expression } from "../math/expression.js";
import { calibratedTime } from "./calibrated.js";
import { runtimeOf } from "./calibrated-runtime.js";
import { kindKey } from "./compiled.js";
import type { OperatorClass } from "./efficiency.js";
import { chunkedMixers, mixerTimes } from "./mixers.js";
import { type Engine, engineOf } from "./engine.js";
import { networkSpread } from "./network.js";
import type { OperatorTime, Setting } from "./operator-time.js";
import type { DeviceRecord } from "./record.js";
import { rooflineSpread, rooflineTime } from "./roofline.js";

/** An operator of the model with the time of one execution on a device. */
export interface TimedOperator {
  readonly row: OperatorCost;
  readonly time: OperatorTime;
}

/**
 * The time of every operator on a device: from its calibration where it has one, from its data sheet otherwise. Operators
 * that take the same share one time.
 */
export function timeOperators(
  rows: readonly OperatorCost[],
  device: DeviceRecord,
  setting: Setting,
  engine: Engine = engineOf(device),
): TimedOperator[] {
  const { calibration } = device;
  if (calibration === null) {
    const mixers = chunkedMixers(rows, setting).flatMap((mixer) => [...mixerTimes(mixer, device, setting, engine)]);
    const together = new Map(mixers);
    const equal = new Map<string, OperatorTime>();
    return rows.map((row) => {
      const mixer = together.get(row);
      if (mixer !== undefined) return { row, time: mixer };
      const key = kindKey(row);
      const time = equal.get(key) ?? rooflineTime(row, device, setting, engine);
      equal.set(key, time);
      return { row, time };
    });
  }
  const live = new Map<Block, readonly Expression[]>();
  return rows.map((row) => {
    let ofBlock = live.get(row.block);
    if (ofBlock === undefined) {
      ofBlock = liveBytes(row.block);
      live.set(row.block, ofBlock);
    }
    const workingSet = ofBlock[row.block.operators.indexOf(row.operator)] ?? Expression.zero;
    return { row, time: calibratedTime(row, workingSet, calibration, setting) };
  });
}

/** Seconds of one forward pass that belong to no operator. */
export function perPass(device: DeviceRecord, engine: Engine = engineOf(device)): Seconds {
  return device.calibration?.perRun ?? engine.perStep;
}

/** A runtime that keeps a file's weights has a kernel of its own for each type of them: half or twice as long is not rare. */
const otherWeightsSpread = 0.7;

/** Standard deviation of the log seconds of a class of operators on a device. */
export function classSpread(
  operators: OperatorClass,
  device: DeviceRecord,
  dtypes: Pick<Dtypes, "weights" | "activations">,
  engine: Engine = engineOf(device),
): number {
  if (operators === "network") return networkSpread;
  const sampled = engine.spreads?.[operators];
  if (sampled !== undefined) return sampled;
  const { calibration } = device;
  if (calibration === null) return rooflineSpread(operators, device, dtypes.activations, engine);
  const products = operators === "gemm" || operators === "gemv";
  const other = products && runtimeOf(calibration).keepsWeights && dtypes.weights !== calibration.dtype;
  return Math.hypot(calibration.spreads[operators], other ? otherWeightsSpread : 0);
}
