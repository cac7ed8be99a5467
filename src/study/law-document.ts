import type { Variable } from "../math/affine.js";
import type { Expression } from "../math/expression.js";
import type { LawDocument } from "./documents/common.js";

/** A law in one variable with its growth and its pieces, exact where they are polynomials. */
export function lawDocument(expression: Expression, variable: Variable): LawDocument {
  const degree = expression.growth(variable);
  return {
    expression: expression.toString(),
    degree: degree.power,
    growth: growthOf(degree, variable),
    pieces: expression.pieces(variable).map((piece) => ({
      from: piece.from,
      to: Number.isFinite(piece.to) ? piece.to : null,
      expression: piece.expression.toString(),
      ...(piece.coefficients === null ? {} : { coefficients: [...piece.coefficients] }),
    })),
  };
}

function growthOf(degree: { readonly power: number; readonly logPower: number }, variable: Variable): string {
  const power =
    degree.power === 0 ? "" : degree.power === 1 ? variable : `${variable}${"⁰¹²³⁴⁵⁶⁷⁸⁹"[degree.power] ?? ""}`;
  const logarithm = degree.logPower === 0 ? "" : `log ${variable}`;
  return [power, logarithm].filter((part) => part !== "").join("·") || "1";
}
