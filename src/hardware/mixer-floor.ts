import type { Seconds } from "../base/units.js";
import type { OperatorCost } from "../cost/table.js";
import { compiledCost } from "./compiled.js";
import type { Setting } from "./operator-time.js";
import type { DeviceRecord } from "./record.js";
import { peakOf } from "./roofline.js";

/** Seconds of a mixer's operators at the data sheet, each by itself. */
export function mixerFloor(
  rows: readonly OperatorCost[],
  device: DeviceRecord,
  setting: Setting,
): (length: number) => Seconds {
  const perByte = 1 / device.bandwidth.value;
  const costs = rows.map((row) => {
    const { matmulFlops, movedBytes } = compiledCost(row, setting);
    const dtype = row.block.values.get(row.operator.output)?.dtype ?? "bfloat16";
    return { matmulFlops, movedBytes, perFlop: 1 / peakOf(device, dtype).value };
  });
  return (length) => {
    let sum = 0;
    for (const { matmulFlops, movedBytes, perFlop } of costs) {
      sum += Math.max(matmulFlops(length) * perFlop, movedBytes(length) * perByte);
    }
    return sum;
  };
}
