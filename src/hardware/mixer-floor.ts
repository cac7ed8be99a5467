import type { Seconds } from "../base/units.js";
import type { OperatorCost } from "../cost/table.js";
import { compiledCost } from "./compiled.js";
import type { Setting } from "./operator-time.js";
import type { DeviceRecord } from "./record.js";
import { peakOf } from "./roofline.js";

/** FLOP of 32-bit vectors that a device does per byte of its bandwidth, where they weigh nothing: H100. */
const usualBalance = 20;
/**
 * Share of a chunked mixer's logarithm of seconds that goes with the rate of vectors and not with what the data sheet says
 * of its operators: decays, exponentials and states stay on the chip. With it mixers of
 * devices known by their data sheet alone are 13 to 15 % off instead of 21 to 28 (medians, `npm run accuracy`); 0.3 to 0.5 do as well.
 */
const onChip = 0.4;

/** How many times as long mixers take on a device for what its chip does between memory and products. */
function chipFactor({ bandwidth, peaks }: DeviceRecord): number {
  const vectors = peaks.float32?.value;
  return vectors === undefined ? 1 : ((usualBalance * bandwidth.value) / vectors) ** onChip;
}

/** Seconds of a mixer's operators at the data sheet, each by itself, moved towards the rate of vectors. */
export function mixerFloor(
  rows: readonly OperatorCost[],
  device: DeviceRecord,
  setting: Setting,
): (length: number) => Seconds {
  const factor = chipFactor(device);
  const roofline = mixerRoofline(rows, device, setting);
  return (length) => factor * roofline(length);
}

/** Seconds of a mixer's operators at the data sheet, each by itself. */
export function mixerRoofline(
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
