import { type Bytes, bytesPerElement } from "../base/units.js";
import type { Micro } from "../onnx/micro.js";

/**
 * Longest sequence, in tokens, that a calibration times, as the attention of two heads and as few products only: from shorter ones
 * nothing tells what every pair costs from what every row does, nor what activations cost that leave the caches. Wide tensors
 * stand for long ones elsewhere.
 */
export const longestCalibrated = 8192;

/** Most rows of a product of two activations that a calibration times: naive attention stacks the queries that share keys. */
export const mostStacked = 3 * longestCalibrated;

/** What one loaded micro-model is timed at. */
export interface CalibrationGroup {
  readonly cells: readonly Micro[];
  /**
   * Timed at more moments than the rest: sizes of long inputs, of which a visit has few runs, and which depend most on who else uses
   * the memory and the last-level cache (docs/performance.md).
   */
  readonly often?: true;
}

type Size = "full" | "quick";

/** Weights of a chain of products, in bytes of float32: more than most last-level caches hold. */
const chainBytes = 110e6;

function chain(k: number, n: number, rows: readonly number[], bytes: number = chainBytes): CalibrationGroup {
  // An even number, so that both directions weigh the same.
  const length = Math.max(2, 2 * Math.round(bytes / (8 * k * n)));
  return { cells: rows.map((m) => ({ kind: "matmul", m, k, n, length })) };
}

function prefill(heads: number, kvHeads: number, headDim: number, lengths: readonly number[]): CalibrationGroup {
  return {
    cells: lengths.map((n) => ({ kind: "attention", heads, kvHeads, headDim, n, depth: 0, batch: 1 })),
  };
}

/**
 * In a model the cached keys and values of every layer come from memory, whatever their length: those of many sequences are
 * cold. What a call takes besides is seen of one, warm.
 */
function decode(
  heads: number,
  kvHeads: number,
  headDim: number,
  batch: number,
  depths: readonly number[],
): CalibrationGroup {
  return { cells: depths.map((depth) => ({ kind: "attention", heads, kvHeads, headDim, n: 1, depth, batch })) };
}

const chained = 4;

function elementwise(kind: "scale" | "add" | "silu", elements: readonly number[]): CalibrationGroup {
  return {
    cells: elements.map((count) => ({ kind: "elementwise", function: kind, elements: count, length: chained })),
  };
}

function rowwise(kind: "norm" | "softmax", width: number, rows: readonly number[]): CalibrationGroup {
  // What comes out of a softmax is not masked as its input was: masked values cost most.
  const length = kind === "softmax" ? 1 : chained;
  return { cells: rows.map((count) => ({ kind, rows: count, width, length })) };
}

function product(batch: number, rows: number, inner: number, columns: number): Micro {
  return { kind: "product", batch, rows, inner, columns };
}

const powers = (...exponents: readonly number[]): number[] => exponents.map((exponent) => 2 ** exponent);

/**
 * Everything a calibration times, longest products first. No shape is that of a model which predictions are checked on
 * (SmolLM2-135M: 576, 1536, 9 and 3 heads of 64; Qwen2.5-0.5B: 896, 4864, 14 and 2 heads of 64).
 */
export function calibrationPlan(size: Size): CalibrationGroup[] {
  const full = size === "full";
  const sizes = full ? powers(12, 15, 17, 19, 20, 21, 22, 23, 24) : powers(12, 17, 20, 22, 24);
  return [
    chain(640, 1792, full ? [1, 4, 16, 64, 256, 1024] : [1, 32, 128, 512]),
    ...(full ? [chain(1280, 1280, [1, 32, 128, 512])] : []),
    chain(2048, 5632, full ? [1, 256, 1024] : [1, 1024]),
    // Rows from which a multiply-add takes longer, whatever the weight.
    { ...chain(640, 1792, [1024, longestCalibrated], 0), often: true },
    {
      ...prefill(2, 1, 64, full ? [512, 1024, 2048, 4096, longestCalibrated] : [1024, 2048, 4096, longestCalibrated]),
      often: true,
    },
    prefill(8, 2, 64, full ? [64, 128, 256, 384, 512, 768, 1024] : [128, 256, 512, 1024]),
    ...(full ? [prefill(12, 12, 64, [128, 512, 1024])] : []),
    prefill(2, 1, 128, full ? [1024, 2048, 4096] : [1024, 4096]),
    prefill(8, 4, 128, full ? [128, 256, 384, 512, 768, 1024] : [128, 512, 1024]),
    ...(full ? [prefill(4, 2, 256, [128, 256, 512, 1024])] : []),
    decode(16, 4, 64, 1, [127]),
    decode(32, 32, 128, 5, [1023]),
    decode(24, 8, 64, 40, [1023]),
    ...(full ? [decode(32, 4, 64, 80, [1023]), decode(32, 8, 128, 40, [511])] : []),
    elementwise("scale", [1, ...sizes]),
    { cells: [{ kind: "elementwise", function: "scale", elements: 1, length: 64 }] },
    elementwise("add", sizes),
    elementwise("silu", sizes),
    rowwise("norm", 1024, full ? [4, 32, 128, 512, 1024] : [4, 128, 1024]),
    rowwise("norm", 16_384, full ? [128, 256, 512, 1024] : [256, 1024]),
    rowwise("softmax", 1024, full ? [32, 128, 512, 1024, 4096, 16_384] : [128, 1024, 16_384]),
    { cells: [product(8, 256, 64, 256), product(6, 256, 128, 256)] },
    // Scores that leave every cache, and their mixture.
    {
      cells: [longestCalibrated, mostStacked].flatMap((n) => [product(2, n, 64, 2048), product(2, n, 2048, 64)]),
      often: true,
    },
  ];
}

/** A micro-model in words: `matmul m=1 k=640 n=1792 length=24`. */
export function describeMicro(micro: Micro): string {
  const { kind, ...sizes } = micro;
  return [kind, ...Object.entries(sizes).map(([name, value]) => `${name}=${value}`)].join(" ");
}

/** Operators in one run of a micro-model. */
export function chainLength(micro: Micro): number {
  return "length" in micro ? (micro.length ?? 1) : 1;
}

/**
 * Whether each run is to find nothing in a cache: a step of decode reads every weight, and every cached key and value, once and
 * from memory, however large the caches are (300 MiB on some servers).
 */
export function isCold(micro: Micro): boolean {
  return micro.kind === "matmul" ? micro.m === 1 : micro.kind === "attention" && micro.n === 1 && micro.batch > 1;
}

/** Bytes of a micro-model's weights. */
export function weightBytes(micro: Micro): Bytes {
  return micro.kind === "matmul" ? chainLength(micro) * micro.k * micro.n * bytesPerElement("float32") : 0;
}

/** Bytes that its inputs and results take, about. */
export function activationBytes(micro: Micro): Bytes {
  return bytesPerElement("float32") * activationElements(micro);
}

function activationElements(micro: Micro): number {
  switch (micro.kind) {
    case "matmul":
      return 2 * micro.m * (micro.k + micro.n);
    case "product": {
      const { batch, rows, inner, columns } = micro;
      return batch * (rows * inner + inner * columns + rows * columns);
    }
    case "attention": {
      const { heads, kvHeads, headDim, n, depth, batch } = micro;
      return batch * headDim * (2 * heads * n + 2 * kvHeads * (2 * n + depth));
    }
    case "elementwise":
      return 3 * micro.elements;
    case "norm":
    case "softmax":
      return 3 * micro.rows * micro.width;
  }
}

/** Float32s that the inputs and results of one micro-model take at most. */
export function mostNumbers(): number {
  const bytes = calibrationPlan("full").flatMap(({ cells }) => cells.map(activationBytes));
  return Math.max(...bytes) / bytesPerElement("float32");
}
