import { type Dtype, type Seconds, bytesPerElement } from "../base/units.js";
import type { OperatorCost } from "../cost/table.js";
import { compiledCost } from "./compiled.js";
import { type OperatorClass, classEfficiency } from "./efficiency.js";
import type { Engine } from "./engine.js";
import { kernelOn } from "./kernel-lookup.js";
import { bitsOf } from "./kernel-formats.js";
import { attentionSeconds, decodeSeconds, gemmSeconds } from "./kernels.js";
import { type OperatorTime, type Setting, classOf } from "./operator-time.js";
import type { DeviceRecord, Sourced } from "./record.js";

/** Where a device has no arithmetic of a dtype, the next wider one of these runs instead. */
const wider: readonly Dtype[] = ["float4", "int4", "float8", "int8", "float16", "bfloat16", "float32", "float64"];
const sameWidth: Partial<Record<Dtype, readonly Dtype[]>> = {
  bfloat16: ["float16"],
  float16: ["bfloat16"],
};
/** Extra standard deviation of log seconds where the number behind them is uncertain. */
const uncertainSpread = 0.1;
/** Of these, that such a number is taken to be off by at most. */
const deviationsOfDoubt = 2;

/**
 * The dtype a device computes in when asked for one: that, its sibling of the same width, or the next wider one it has.
 */
export function computeDtype(device: DeviceRecord, asked: Dtype): Dtype {
  return device.peaks[asked] === undefined ? substitute(device, asked) : asked;
}

function substitute(device: DeviceRecord, asked: Dtype): Dtype {
  const later = wider.slice(wider.indexOf(asked)).filter((dtype) => bytesPerElement(dtype) > bytesPerElement(asked));
  const candidates = [...(sameWidth[asked] ?? []), ...later];
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

/**
 * A matrix product runs in the wider of its operands' dtypes: 8-bit weights with 16-bit activations run at 16 bits. What a
 * checkpoint casts activations to before products with a weight counts where the device computes in it; where not,
 * engines expand the weight instead.
 */
function operandDtype(
  { operator, block }: OperatorCost,
  device: DeviceRecord,
  asked: Dtype | null,
  engines: Dtype | null,
): Dtype {
  const name =
    operator.kind === "linear" ? operator.weight : operator.kind === "experts" ? operator.weights[0] : undefined;
  const own = name === undefined ? undefined : block.weights.get(name)?.operands;
  const operands = asked ?? (own !== undefined && device.peaks[own] !== undefined ? own : engines);
  if (name !== undefined && operands !== null) return operands;
  const activations = block.values.get(operator.output)?.dtype ?? "float32";
  const weights = operator.kind === "linear" ? block.weights.get(operator.weight)?.dtype : undefined;
  if (weights === undefined) return activations;
  return bytesPerElement(weights) > bytesPerElement(activations) ? weights : activations;
}

/**
 * Time of an operator on a device without a calibration of its own: launches, and work as the kernel functions have it
 * (kernels.ts), never below max(FLOPs / peak, bytes / bandwidth) ("Roofline", Williams, Waterman and Patterson, CACM 52(4),
 * 2009).
 */
export function rooflineTime(row: OperatorCost, device: DeviceRecord, setting: Setting, engine: Engine): OperatorTime {
  const operators = classOf(row, setting);
  const dtype = productDtype(row, device, setting, engine);
  const found = kernelTime(row, device, setting, engine, operators, dtype);
  const factor = engine.factors[operators] ?? 1;
  const { matmulFlops, movedBytes, steps, fixed, streamed } = compiledCost(row, setting);
  const launches = found.overhead * (engine.factors.overhead ?? 1);
  const perByte = 1 / device.bandwidth.value;
  const perFlop = 1 / productPeak(row, device, engine, dtype);
  // A curve, its interval and its split ask for the same length after each other.
  let at = Number.NaN;
  let [peak, memory, seconds]: [Seconds, Seconds, Seconds] = [0, 0, 0];
  const timeAt = (length: number): void => {
    at = length;
    peak = matmulFlops(length) * perFlop;
    memory = movedBytes(length) * perByte;
    // Nothing beats the data sheet, whatever runs seem to say of a class, or a power of a width beyond those timed.
    const work = Math.max(found.work(peak, memory, length) * factor, peak, memory);
    seconds = work + (steps(length) - 1) * launches;
  };
  return {
    class: operators,
    overhead: launches * row.cost.launches,
    work: (length) => {
      if (length !== at) timeAt(length);
      return seconds;
    },
    bound: (length) => {
      if (length !== at) timeAt(length);
      return found.computes(peak, memory) ? "compute" : "bandwidth";
    },
    fixed,
    streamed: streamed !== null && isStream(operators) ? scaled(streamed, found, factor, perByte) : null,
  };
}

/** The format that a device computes an operator in. */
function productDtype(row: OperatorCost, device: DeviceRecord, { operands }: Setting, engine: Engine): Dtype {
  return computeDtype(device, operandDtype(row, device, operands ?? null, engine.operandsOf(row)));
}

/**
 * FLOP/s and bytes/s that a device's data sheet lets no kernel beat, where it is sure; where it is not, as much more as the
 * interval of an uncertain number allows.
 */
export function mostOf(
  row: OperatorCost,
  device: DeviceRecord,
  setting: Setting,
  engine: Engine,
): { readonly flops: number; readonly bytes: number } {
  const dtype = productDtype(row, device, setting, engine);
  const doubt = (uncertain: boolean): number => (uncertain ? Math.exp(deviationsOfDoubt * uncertainSpread) : 1);
  return {
    flops: productPeak(row, device, engine, dtype) * doubt(peakOf(device, dtype).uncertain),
    bytes: device.bandwidth.value * doubt(device.bandwidth.uncertain),
  };
}

/** Without products a stream's work is a multiple of its bytes. */
function scaled(bytes: readonly number[], found: KernelTime, factor: number, perByte: Seconds): readonly number[] {
  const seconds = Math.max(found.work(0, perByte, 1) * factor, perByte);
  return bytes.map((coefficient) => coefficient * seconds);
}

/** Rows of a tile of ggml's products, and the share of the further readings of a weight that its caches do not catch. */
const tileRows = 128;
const uncaught = 0.5;

/** Classes whose kernels take the larger of their FLOPs' and their bytes' seconds. */
const isStream = (operators: OperatorClass): boolean => operators === "vector" || operators === "lookup";

/**
 * Peak of an operator's products. With 16-bit sums, where an engine takes those, half of the rate of 8-bit integers; fused
 * attention sums scores in 32 bits and mixtures in 16 (ggml-cuda, fattn-mma-f16: T_C_KQ and T_C_VKQ), half of its work each.
 */
function productPeak({ operator }: OperatorCost, device: DeviceRecord, engine: Engine, dtype: Dtype): number {
  const peak = peakOf(device, dtype).value;
  const integers = device.peaks.int8?.value;
  if (!engine.halfSums || bitsOf(dtype) !== "16" || integers === undefined) return peak;
  const halves = Math.max(peak, integers / 2);
  if (operator.kind === "linear" || operator.kind === "experts") return halves;
  return operator.kind === "attention" ? 2 / (1 / peak + 1 / halves) : peak;
}

/** Of the seconds of an operator's FLOPs and bytes at the data sheet. */
interface KernelTime {
  readonly overhead: Seconds;
  readonly work: (peak: Seconds, memory: Seconds, length: number) => Seconds;
  /** Whether compute limits it, not bandwidth. */
  readonly computes: (peak: Seconds, memory: Seconds) => boolean;
}

function kernelTime(
  row: OperatorCost,
  device: DeviceRecord,
  setting: Setting,
  engine: Engine,
  operators: OperatorClass,
  dtype: Dtype,
): KernelTime {
  const { operator } = row;
  const { rows } = compiledCost(row, setting);
  const perByte = 1 / device.bandwidth.value;
  if (operator.kind === "linear" || operator.kind === "experts" || operator.kind === "recurrence") {
    const { fit: kernels } = kernelOn("gemm", device, engine.kernels, dtype);
    const fit = operators === "gemm" ? { ...kernels, compute: kernels.compute / engine.slowProducts } : kernels;
    const { n, k, share } = sidesOf(row);
    const castPerRow = bitsOf(dtype) === "16" ? 0 : 2 * k * perByte;
    const unpacking = operators === "gemm" ? engine.unpackedBytes(row) * perByte : 0;
    const tiled = operators === "gemm" ? (engine.tiledBytes(row) * perByte) / fit.bandwidth : 0;
    return {
      overhead: fit.overhead,
      work: (peak, memory, length) => {
        const m = rows(length);
        if (tiled === 0) return gemmSeconds(fit, peak, memory, m * castPerRow, m * share, n, k) + unpacking;
        const again = tiled * uncaught * Math.max(0, (m * share) / tileRows - 1);
        return gemmSeconds(fit, peak, 0, m * castPerRow, m * share, n, k) + memory / fit.bandwidth + again;
      },
      computes: (peak, memory) => peak / fit.compute >= memory / fit.bandwidth,
    };
  }
  if (operator.kind === "attention") {
    const batch = setting.values.b ?? 1;
    if (operators === "decode-attention") {
      const { fit } = kernelOn("decode", device, engine.kernels, dtype);
      const readers = batch * operator.kvHeads;
      return {
        overhead: fit.overhead,
        work: (peak, memory) => decodeSeconds(fit, peak, memory, readers),
        computes: (peak, memory) => peak > memory / fit.bandwidth,
      };
    }
    const { fit } = kernelOn("attention", device, engine.kernels, dtype);
    const heads = batch * operator.heads;
    const width = operator.keyDim + operator.valueDim;
    return {
      overhead: fit.overhead,
      work: (peak, memory, length) => attentionSeconds(fit, peak, memory, rows(length) / batch, heads, width),
      computes: (peak, memory) => peak / fit.compute >= memory,
    };
  }
  const { compute, bandwidth } = classEfficiency(operators, device.class, dtype);
  return {
    overhead: device.launch.value,
    work: (peak, memory) => Math.max(peak / compute, memory / bandwidth),
    computes: (peak, memory) => peak / compute >= memory / bandwidth,
  };
}

/** Sides of a matrix product, and the share of the rows that one of its weights sees. */
function sidesOf({ operator, block }: OperatorCost): {
  readonly n: number;
  readonly k: number;
  readonly share: number;
} {
  const name =
    operator.kind === "experts" ? operator.weights[0] : operator.kind === "linear" ? operator.weight : undefined;
  const shape = name === undefined ? [] : (block.weights.get(name)?.shape ?? []);
  const [n = 1, k = 1] = shape.slice(-2);
  return { n, k, share: operator.kind === "experts" ? Math.min(1, operator.chosen / operator.experts) : 1 };
}

/** Standard deviation of the log seconds of a class on a device known from its data sheet or its class's kernels. */
export function rooflineSpread(operators: OperatorClass, device: DeviceRecord, dtype: Dtype, engine: Engine): number {
  const runs = computeDtype(device, dtype);
  if (operators === "overhead") return classEfficiency(operators, device.class, runs).logSpread;
  const found =
    operators === "gemm" || operators === "gemv"
      ? kernelOn("gemm", device, engine.kernels, runs)
      : operators === "attention"
        ? kernelOn("attention", device, engine.kernels, runs)
        : operators === "decode-attention"
          ? kernelOn("decode", device, engine.kernels, runs)
          : { spread: classEfficiency(operators, device.class, runs).logSpread, basis: "class" as const };
  const limited = operators === "gemm" || operators === "attention" ? peakOf(device, runs) : device.bandwidth;
  // A device with tables of its own was fitted with whatever its data sheet says.
  return limited.uncertain && found.basis === "class" ? Math.hypot(found.spread, uncertainSpread) : found.spread;
}
