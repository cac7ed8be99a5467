import { type Values, type Variable, valueOf } from "./affine.js";
import { type Atom, argumentOf, evaluateAtom, expectedDistinct } from "./atom.js";
import type { Term } from "./terms.js";

/** A sum of products as a function of its only variable, the others fixed before: each atom is evaluated once per call, not once per term. */
export function compileTerms(terms: readonly Term[], variable: Variable): (value: number) => number {
  const functions: ((value: number) => number)[] = [];
  const known = new Map<Atom, number>();
  const indexed = terms.map(({ coefficient, factors }) => {
    const indices = factors.flatMap(({ atom, power }) => {
      let index = known.get(atom);
      if (index === undefined) {
        index = functions.push(compileAtom(atom, variable)) - 1;
        known.set(atom, index);
      }
      return Array.from({ length: power }, () => index);
    });
    return { coefficient, indices };
  });
  const found = new Float64Array(functions.length);
  return (value) => {
    for (let index = 0; index < functions.length; index += 1) found[index] = functions[index]?.(value) ?? 0;
    let sum = 0;
    for (const { coefficient, indices } of indexed) {
      let product = coefficient;
      for (const index of indices) product *= found[index] ?? 0;
      sum += product;
    }
    return sum;
  };
}

function compileAtom(atom: Atom, variable: Variable): (value: number) => number {
  if (atom.kind === "variable") return atom.variable === variable ? (value) => value : () => valueOf(atom.variable, {});
  const { constant, [variable]: slope } = argumentOf(atom);
  switch (atom.kind) {
    case "floor":
      return (value) => Math.floor((slope * value + constant) / atom.by);
    case "ceil":
      return (value) => Math.ceil((slope * value + constant) / atom.by);
    case "mod":
      return (value) => {
        const at = slope * value + constant;
        return at - atom.by * Math.floor(at / atom.by);
      };
    case "min":
      return (value) => Math.min(slope * value + constant, atom.limit);
    case "atMost":
      return (value) => (slope * value + constant <= atom.limit ? 1 : 0);
    case "log2":
      return (value) => {
        const at = slope * value + constant;
        return at <= 1 ? 0 : Math.log2(at);
      };
    case "distinct":
      if (atom.perSequence) return (value) => evaluateAtom(atom, { [variable]: value });
      return (value) => expectedDistinct(atom.experts, atom.chosen, slope * value + constant);
  }
}

/** Evaluations after which making a function of one variable pays. */
const beforeCompiling = 8;

/** `plain` for the first evaluations, then what `compile` makes. */
export function compiledLater(
  plain: (value: number) => number,
  compile: () => (value: number) => number,
): (value: number) => number {
  let compiled: ((value: number) => number) | null = null;
  let calls = 0;
  return (value) => {
    if (compiled !== null) return compiled(value);
    calls += 1;
    if (calls <= beforeCompiling) return plain(value);
    compiled = compile();
    return compiled(value);
  };
}

function dependsOn(atom: Atom, variable: Variable): boolean {
  if (atom.kind === "variable") return atom.variable === variable;
  return argumentOf(atom)[variable] !== 0 || (variable === "b" && atom.kind === "distinct" && atom.perSequence);
}

/**
 * c₀, c₁, … of a sum of products in one variable, the others fixed, where no atom depends on that variable: without looking
 * for pieces. Null where one does.
 */
export function polynomialOf(terms: Iterable<Term>, variable: Variable, values: Values): number[] | null {
  const result = [0];
  for (const { coefficient, factors } of terms) {
    let product = coefficient;
    let degree = 0;
    for (const { atom, power } of factors) {
      if (atom.kind === "variable" && atom.variable === variable) degree += power;
      else if (dependsOn(atom, variable)) return null;
      else product *= evaluateAtom(atom, values) ** power;
    }
    while (result.length <= degree) result.push(0);
    result[degree] = (result[degree] ?? 0) + product;
  }
  return result;
}

/** c₀ + c₁·x + c₂·x² + …, by Horner's rule. */
export function horner(coefficients: readonly number[]): (value: number) => number {
  const [constant = 0, linear = 0, quadratic = 0] = coefficients;
  if (coefficients.length <= 3) return (value) => (quadratic * value + linear) * value + constant;
  return (value) => coefficients.reduceRight((sum, coefficient) => sum * value + coefficient, 0);
}
