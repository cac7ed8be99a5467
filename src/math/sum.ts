import { badInput } from "../base/errors.js";
import { type Values, type Variable, affine, evaluateAffine } from "./affine.js";
import { type Atom, evaluateAtom } from "./atom.js";
import { Expression } from "./expression.js";

/** Longest stretch that is added up value by value where no closed form applies. */
const mostTerms = 2 ** 22;
/** Longest common period of ⌈⌉, ⌊⌋ and mod whose residues are summed one by one. */
const longestPeriod = 2 ** 14;

/**
 * Σ of an expression over the whole numbers variable = from … to, the other variables fixed. Closed forms: the powers
 * of a polynomial (Faulhaber), stretch by stretch between the breakpoints of min(…) and switches; with ⌈v/q⌉, ⌊v/q⌋ and v mod q
 * one polynomial in j per residue r of v = L·j + r, L the common period. Logarithms and other atoms that stay are added
 * value by value, up to 2²² of them.
 *
 * @throws NsquaredError `sum-long` where no closed form applies and the stretch is longer
 */
export function sumOver(
  expression: Expression,
  variable: Variable,
  from: number,
  to: number,
  values: Values = {},
): number {
  let sum = 0;
  const pieces = expression.pieces(variable, values);
  for (const [index, piece] of pieces.entries()) {
    const first = Math.max(from, index === 0 ? from : Math.floor(piece.from) + 1);
    const last = Math.min(to, Number.isFinite(piece.to) ? Math.floor(piece.to) : to);
    if (last < first) continue;
    sum += sumOfPiece(piece.expression, piece.coefficients, variable, first, last);
  }
  return sum;
}

function sumOfPiece(
  expression: Expression,
  coefficients: readonly number[] | null,
  variable: Variable,
  first: number,
  last: number,
): number {
  const count = last - first + 1;
  if (coefficients !== null) return sumOfPolynomial(shifted(coefficients, first), count);
  const period = commonPeriod(expression, variable);
  if (period !== null && count > 2 * period) return sumOfResidues(expression, variable, first, count, period);
  if (count > mostTerms) {
    throw badInput("sum-long", {
      key: "length",
      found: count,
      expected: `at most ${mostTerms} steps where a law has no closed sum`,
    });
  }
  let sum = 0;
  for (let value = first; value <= last; value += 1) sum += expression.at({ [variable]: value });
  return sum;
}

/** Coefficients of p(start + j) as a polynomial in j, by repeated synthetic division. */
function shifted(coefficients: readonly number[], start: number): number[] {
  const result = [...coefficients];
  for (let low = 0; low < result.length - 1; low += 1) {
    for (let power = result.length - 2; power >= low; power -= 1) {
      result[power] = (result[power] ?? 0) + start * (result[power + 1] ?? 0);
    }
  }
  return result;
}

/** Σ_{j < count} p(j). Σ jᵏ follows from Σ ((j + 1)ᵏ⁺¹ − jᵏ⁺¹) = countᵏ⁺¹ (Pascal). */
function sumOfPolynomial(coefficients: readonly number[], count: number): number {
  const powers: number[] = [];
  let sum = 0;
  for (const [power, coefficient] of coefficients.entries()) {
    powers.push(sumOfPowers(power, count, powers));
    sum += coefficient * (powers[power] ?? 0);
  }
  return sum;
}

function sumOfPowers(power: number, count: number, lower: readonly number[]): number {
  if (power === 0) return count;
  if (power === 1) return (count * (count - 1)) / 2;
  if (power === 2) return (((count * (count - 1)) / 2) * (2 * count - 1)) / 3;
  let rest = count ** (power + 1);
  let binomial = 1;
  for (let index = 0; index < power; index += 1) {
    rest -= binomial * (lower[index] ?? 0);
    binomial = (binomial * (power + 1 - index)) / (index + 1);
  }
  return rest / (power + 1);
}

/** Least common multiple of the divisors of ⌈⌉, ⌊⌋ and mod, or null where another atom stands in the way. */
function commonPeriod(expression: Expression, variable: Variable): number | null {
  let period: number | null = 1;
  expression.mapAtoms((atom) => {
    const own = periodOf(atom, variable);
    period = period === null || own === null ? null : leastCommonMultiple(period, own);
    return Expression.one;
  });
  return period !== null && period <= longestPeriod ? period : null;
}

function periodOf(atom: Atom, variable: Variable): number | null {
  if (atom.kind === "variable") return atom.variable === variable ? 1 : null;
  if (atom.kind !== "ceil" && atom.kind !== "floor" && atom.kind !== "mod") return null;
  return [atom.of[variable], atom.of.constant, atom.by].every(Number.isInteger) ? atom.by : null;
}

function leastCommonMultiple(left: number, right: number): number {
  let [divisor, rest] = [left, right];
  while (rest !== 0) [divisor, rest] = [rest, divisor % rest];
  return (left / divisor) * right;
}

function sumOfResidues(
  expression: Expression,
  variable: Variable,
  first: number,
  count: number,
  period: number,
): number {
  let sum = 0;
  for (let residue = 0; residue < period; residue += 1) {
    const start = first + residue;
    const steps = Math.ceil((count - residue) / period);
    const polynomial = expression.mapAtoms((atom) => inSteps(atom, variable, start, period)).coefficients(variable);
    if (polynomial === null) throw new Error("an expression of ⌈⌉, ⌊⌋ and mod must be a polynomial on each residue");
    sum += sumOfPolynomial(polynomial, steps);
  }
  return sum;
}

/** The atom at start + period·j as an affine function of j, which the variable now stands for. */
function inSteps(atom: Atom, variable: Variable, start: number, period: number): Expression {
  if (atom.kind === "mod") return Expression.constant(evaluateAtom(atom, { [variable]: start }));
  if (atom.kind !== "ceil" && atom.kind !== "floor") {
    return Expression.affine(affine({ constant: start, [variable]: period }));
  }
  const at = evaluateAffine(atom.of, { [variable]: start }) / atom.by;
  const step = (atom.of[variable] * period) / atom.by;
  return Expression.affine(
    affine({ constant: atom.kind === "ceil" ? Math.ceil(at) : Math.floor(at), [variable]: step }),
  );
}
