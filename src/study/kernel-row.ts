import { badInput } from "../base/errors.js";
import { type Dtype, type Seconds, bytesPerElement } from "../base/units.js";

/** A timed matrix product [m, k] × [k, n]. */
export interface GemmTiming {
  readonly kind: "gemm";
  readonly dtype: Dtype;
  readonly seconds: Seconds;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Bytes of one element of the operands, scales of blocks included. */
  readonly elementBytes: number;
  /** Whether float8 operands are scaled block by block in software: other kernels than with one scale per row. */
  readonly blocked: boolean;
}

/** Timed fused attention: `queries` new tokens over `keys` of each of `batch` sequences. */
export interface AttentionTiming {
  readonly kind: "attention" | "decode";
  readonly dtype: Dtype;
  readonly seconds: Seconds;
  readonly heads: number;
  readonly kvHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly batch: number;
  readonly queries: number;
  readonly keys: number;
  readonly causal: boolean;
  readonly cacheBytes: number;
}
export type KernelTiming = GemmTiming | AttentionTiming;

/** Cells by the names of their columns, in lower case. */
export type KernelRow = Readonly<Record<string, string | undefined>>;

/** Number format, and bytes of an element with the scales of its block. */
const formats: Readonly<Record<string, readonly [Dtype, number]>> = {
  bf16: ["bfloat16", 2],
  bfloat16: ["bfloat16", 2],
  fp16: ["float16", 2],
  f16: ["float16", 2],
  float16: ["float16", 2],
  "fp16/bf16": ["float16", 2],
  fp8: ["float8", 1],
  float8: ["float8", 1],
  fp8_block: ["float8", 1],
  mxfp8: ["float8", 33 / 32],
  int8: ["int8", 1],
  int4: ["int4", 0.5],
  fp4: ["float4", 17 / 32],
  mxfp4: ["float4", 17 / 32],
  nvfp4: ["float4", 9 / 16],
};

export const timeColumns: Readonly<Record<string, number>> = { seconds: 1, s: 1, ms: 1e-3, us: 1e-6, ns: 1e-9 };
export const gemmColumns = ["m", "n", "k"] as const;
export const attentionColumns = ["heads", "kv_heads", "head_dim", "n_q", "n_kv"] as const;
const largest = 2 ** 40;

/**
 * One row of a table of kernels; or why it says nothing of the kernels that are fitted.
 *
 * @param where the row, for messages
 * @throws NsquaredError `kernel-row` on a number that cannot be
 */
export function readKernelRow(row: KernelRow, where: string): KernelTiming | string {
  if (row["check"] !== undefined && row["check"] !== "" && row["check"] !== "ok") return "marked as doubtful";
  if ((row["window"] ?? "0") !== "0" && row["window"] !== "") return "with a window";
  const dtype = (row["dtype"] ?? "bf16").trim().toLowerCase();
  const format = formats[dtype];
  if (format === undefined) return `of a dtype that is not known: ${dtype}`;
  const cell = (name: string, otherwise?: number): number => number(row, name, where, otherwise);
  const [time = "seconds", unit = 1] = Object.entries(timeColumns).find(([name]) => row[name] !== undefined) ?? [];
  const seconds = cell(time) * unit;
  if (gemmColumns.every((name) => row[name] !== undefined)) {
    const [m, n, k] = [cell("m"), cell("n"), cell("k")];
    return {
      kind: "gemm",
      dtype: format[0],
      seconds,
      m,
      n,
      k,
      elementBytes: format[1],
      blocked: dtype === "fp8_block",
    };
  }
  return attentionOf(row, cell, format, seconds);
}

function number(row: KernelRow, name: string, where: string, otherwise?: number): number {
  const text = row[name]?.trim() ?? "";
  if (text === "" && otherwise !== undefined) return otherwise;
  const value = Number(text);
  if (text === "" || !(value > 0 && value <= largest)) {
    throw badInput("kernel-row", { where, key: name, found: text, expected: `a number above 0, at most ${largest}` });
  }
  return value;
}

type Cell = (name: string, otherwise?: number) => number;

function attentionOf(row: KernelRow, cell: Cell, [dtype]: readonly [Dtype, number], seconds: Seconds): AttentionTiming {
  const queries = cell("n_q");
  const phase = row["phase"] ?? (queries === 1 ? "decode" : "prefill");
  // Keys and values of different widths are written `192/128`.
  const dims = (row["head_dim"] ?? "").split("/").map(Number);
  const keyDim = dims.length === 2 && dims.every((dim) => dim > 0) ? (dims[0] ?? 1) : cell("head_dim");
  const cached = formats[(row["kv_dtype"] ?? "").toLowerCase()];
  return {
    kind: phase === "decode" ? "decode" : "attention",
    dtype,
    seconds,
    heads: cell("heads"),
    kvHeads: cell("kv_heads"),
    keyDim,
    valueDim: dims[1] ?? keyDim,
    batch: cell("batch", 1),
    queries,
    keys: cell("n_kv"),
    causal: !["0", "false", "no"].includes((row["causal"] ?? "1").toLowerCase()),
    cacheBytes: cached?.[1] ?? bytesPerElement(dtype),
  };
}
