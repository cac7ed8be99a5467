import type { Dtype } from "../../../base/units.js";
import type { Beside, MatrixFormat } from "../../storage.js";

/** One number per block of rows × columns. */
const block = (rows: number | null, columns: number | null, bits: number): Beside => ({ rows, columns, bits });

const perTensor = (bits: number): Beside => block(null, null, bits);
const perRow = (bits: number): Beside => block(1, null, bits);
/** Per group of inputs of one output; per output where the group is -1 or missing. */
const perGroup = (group: number | null, bits: number): Beside => block(1, group, bits);

/** FP8 with one scale per block (DeepSeek-V3, arXiv:2412.19437, 3.3.2). */
export function fp8Blocks(rows: number, columns: number, scaleBits: number, operands: Dtype | null): MatrixFormat {
  return { name: `FP8 in blocks of ${rows}×${columns}`, bits: 8, beside: [block(rows, columns, scaleBits)], operands };
}

export function fp8PerTensor(operands: Dtype | null): MatrixFormat {
  const scales = operands === null ? [perTensor(32)] : [perTensor(32), perTensor(32)];
  return { name: "FP8 with a scale per tensor", bits: 8, beside: scales, operands };
}

export function fp8PerChannel(scaleBits: number, operands: Dtype | null): MatrixFormat {
  return { name: "FP8 with a scale per output", bits: 8, beside: [perRow(scaleBits)], operands };
}

/** Microscaling formats of the OCP: a power of two of 8 bits per 32 elements. */
export function microscaled(bits: 4 | 6 | 8, operands: Dtype | null): MatrixFormat {
  return { name: `MXFP${bits}`, bits, beside: [perGroup(32, 8)], operands };
}

/** 4 bits, an FP8 scale per 16 elements, and one or two float32 scales per tensor. */
export function nvfp4(group: number, operands: Dtype | null): MatrixFormat {
  const wide = operands === null ? [perTensor(32)] : [perTensor(32), perTensor(32)];
  return { name: "NVFP4", bits: 4, beside: [perGroup(group, 8), ...wide], operands };
}

interface Integers {
  readonly bits: number;
  /** Inputs that share a scale; all of an output where null. */
  readonly group: number | null;
  readonly scaleBits: number;
  /** Bits of a zero point; 0 where there is none. */
  readonly zeroBits?: number;
  /** A group number of 32 bits per input (GPTQ's g_idx). */
  readonly indexed?: boolean;
  readonly operands?: Dtype | null;
}

export function integers({
  bits,
  group,
  scaleBits,
  zeroBits = 0,
  indexed = false,
  operands = null,
}: Integers): MatrixFormat {
  return {
    name: `INT${bits} in groups of ${group ?? "a whole output"}`,
    bits,
    beside: [perGroup(group, scaleBits + zeroBits), ...(indexed ? [block(null, 1, 32)] : [])],
    operands,
  };
}

export function int8PerChannel(scaleBits: number, operands: Dtype | null): MatrixFormat {
  return { name: "INT8 with a scale per output", bits: 8, beside: [perRow(scaleBits)], operands };
}

/** Ternary weights, four to a byte, and a scale per tensor (BitNet b1.58). */
export const ternary: MatrixFormat = { name: "ternary", bits: 2, beside: [perTensor(16)], operands: "int8" };

/**
 * bitsandbytes: a maximum per 64 elements in float32, or in 8 bits with float32 per 256 of those; tables of 16 and 256
 * values (QLoRA, arXiv:2305.14314).
 */
export function blockwise4(kind: string, nested: boolean): MatrixFormat {
  const maxima = (elements: number, of: number): Beside => ({ elements, bits: of });
  const beside = nested
    ? [maxima(64, 8), maxima(64 * 256, 32), perTensor(32 * (16 + 256 + 1))]
    : [maxima(64, 32), perTensor(32 * 16)];
  return {
    name: `${kind.toUpperCase()}${nested ? ", doubly quantised" : ""}`,
    bits: 4,
    beside,
    operands: null,
  };
}

/** Additive codebooks (AQLM, arXiv:2401.06118): codes per group, codebooks per matrix, a scale per output. */
export function additive(codebooks: number, codeBits: number, inputs: number, outputs: number): MatrixFormat {
  return {
    name: `AQLM ${codebooks}×${codeBits}`,
    bits: 0,
    beside: [
      block(outputs, inputs, codebooks * codeBits),
      block(outputs, null, 16),
      perTensor(codebooks * 2 ** codeBits * inputs * outputs * 16),
    ],
    operands: null,
  };
}
