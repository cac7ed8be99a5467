import { type Dtype, bytesPerElement } from "../base/units.js";
import type { OperatorCost } from "../cost/table.js";
import { compiledCost } from "./compiled.js";
import { type OperatorClass, classEfficiency } from "./efficiency.js";
import { type OperatorTime, type Setting, classOf } from "./operator-time.js";
import type { DeviceRecord, Sourced } from "./record.js";

/** Where a device has no arithmetic of a dtype, the next wider one of these runs instead. */
const wider: readonly Dtype[] = ["float4", "int4", "float8", "int8", "float16", "bfloat16", "float32", "float64"];
const sameWidth: Partial<Record<Dtype, readonly Dtype[]>> = {
  bfloat16: ["float16"],
  float16: ["bfloat16"],
  float8: ["int8"],
};
/** Extra standard deviation of log seconds where the number behind them is uncertain. */
const uncertainSpread = 0.1;

/**
 * The dtype a device computes in when asked for one: that, its sibling of the same width, or the next wider one it has.
 */
export function computeDtype(device: DeviceRecord, asked: Dtype): Dtype {
  const later = wider.slice(wider.indexOf(asked)).filter((dtype) => bytesPerElement(dtype) > bytesPerElement(asked));
  const candidates = [asked, ...(sameWidth[asked] ?? []), ...later];
  const known = candidates.find((dtype) => device.peaks[dtype] !== undefined);
  if (known !== undefined) return known;
  const widest = [...wider].reverse().find((dtype) => device.peaks[dtype] !== undefined);
  return widest ?? asked;
}

/** Peak FLOP/s in that dtype or what runs instead of it. */
export function peakOf(device: DeviceRecord, dtype: Dtype): Sourced {
  const peak = device.peaks[computeDtype(device, dtype)];
  if (peak === undefined) throw new Error(`device ${device.name} has no peaks`);
  return peak;
}

/** A matrix product runs in the wider of its operands' dtypes: 8-bit weights with 16-bit activations run at 16 bits. */
function operandDtype({ operator, block }: OperatorCost, operands: Dtype | null = null): Dtype {
  const products = operator.kind === "linear" || operator.kind === "experts";
  if (products && operands !== null) return operands;
  const activations = block.values.get(operator.output)?.dtype ?? "float32";
  const weights = operator.kind === "linear" ? block.weights.get(operator.weight)?.dtype : undefined;
  if (weights === undefined) return activations;
  return bytesPerElement(weights) > bytesPerElement(activations) ? weights : activations;
}

/**
 * Time of an operator from a data sheet: launches · launch + max(FLOPs / (peak · efficiency), bytes / (bandwidth ·
 * efficiency)), efficiencies by class (Williams, Waterman and Patterson, "Roofline", CACM 52(4), 2009).
 */
export function rooflineTime(row: OperatorCost, device: DeviceRecord, setting: Setting): OperatorTime {
  const operators = classOf(row, setting);
  const dtype = operandDtype(row, setting.operands);
  const efficiency = classEfficiency(operators, device.class, computeDtype(device, dtype));
  const perFlop = 1 / (peakOf(device, dtype).value * efficiency.compute);
  const perByte = 1 / (device.bandwidth.value * efficiency.bandwidth);
  const { matmulFlops, movedBytes } = compiledCost(row, setting);
  const compute = (length: number): number => matmulFlops(length) * perFlop;
  const memory = (length: number): number => movedBytes(length) * perByte;
  return {
    class: operators,
    overhead: row.cost.launches * device.launch.value,
    work: (length) => Math.max(compute(length), memory(length)),
    bound: (length) => (compute(length) >= memory(length) ? "compute" : "bandwidth"),
  };
}

/** Standard deviation of the log seconds of a class on a device known from its data sheet. */
export function rooflineSpread(operators: OperatorClass, device: DeviceRecord, dtype: Dtype): number {
  const { logSpread } = classEfficiency(operators, device.class, computeDtype(device, dtype));
  if (operators === "overhead") return logSpread;
  const limited = operators === "gemm" || operators === "attention" ? peakOf(device, dtype) : device.bandwidth;
  return limited.uncertain ? Math.hypot(logSpread, uncertainSpread) : logSpread;
}
