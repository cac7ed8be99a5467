import type { ModelBuilder } from "./builder.js";
import { float, int, ints, microsoft } from "./proto.js";

export interface TransposedProduct {
  readonly factor?: number;
  /** Number of dimensions of both, or of b where a's first ones have nothing to match. */
  readonly rank: number;
  /** Whether a has few rows, so that turning them and the product is less than turning b. */
  readonly few?: boolean;
}

/**
 * factor · a·bᵀ over the last two dimensions. ONNX Runtime's processor does it in one kernel; its WebGPU provider lacks that
 * one and would hand the product to the processor, so that there one side is turned beforehand.
 *
 * @returns `output`
 */
export function addTransposedProduct(
  builder: ModelBuilder,
  output: string,
  [a, b]: readonly [string, string],
  { factor, rank, few = false }: TransposedProduct,
): string {
  if (builder.provider === "cpu") {
    return builder.node(output, "FusedMatMul", [a, b], {
      domain: microsoft,
      attributes: { transB: int(1), ...(factor === undefined ? {} : { alpha: float(factor) }) },
    });
  }
  const scaled =
    factor === undefined || factor === 1 ? a : builder.node(`${output}.scaled`, "Mul", [a, builder.scalar(factor)]);
  if (!few) return builder.node(output, "MatMul", [scaled, addTurned(builder, `${output}.turned`, b, rank)]);
  const product = builder.node(`${output}.product`, "MatMul", [
    b,
    addTurned(builder, `${output}.turned`, scaled, rank),
  ]);
  return addTurned(builder, output, product, rank);
}

/** aᵀ·b over the last two dimensions. @returns `output` */
export function addProductOfTurned(
  builder: ModelBuilder,
  output: string,
  [a, b]: readonly [string, string],
  rank: number,
): string {
  if (builder.provider === "cpu") {
    return builder.node(output, "FusedMatMul", [a, b], { domain: microsoft, attributes: { transA: int(1) } });
  }
  return builder.node(output, "MatMul", [addTurned(builder, `${output}.turned`, a, rank), b]);
}

/** The last two of so many dimensions exchanged. @returns `output` */
function addTurned(builder: ModelBuilder, output: string, from: string, rank: number): string {
  const axes = Array.from({ length: rank }, (_, axis) => (axis < rank - 2 ? axis : 2 * rank - 3 - axis));
  return builder.node(output, "Transpose", [from], { attributes: { perm: ints(axes) } });
}
