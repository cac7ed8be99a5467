import { type Affine, type Values, type Variable, affine, evaluateAffine, valueOf, variables } from "./affine.js";
import { type Atom, argumentOf, atomBreakpoint, atomKey, evaluateAtom, fixAtom } from "./atom.js";
import { type Degree, type Term, keyOf, multiply, printTerm, termDegree } from "./terms.js";
import { compileTerms, compiledLater, horner, polynomialOf } from "./compile.js";

/** One stretch of a piecewise law, from < variable ≤ to. Coefficients c₀, c₁, … where it is a plain polynomial. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  readonly expression: Expression;
  readonly coefficients: readonly number[] | null;
}
/** What may stand where an expression is asked for. */
export type Operand = Expression | number;

/**
 * An exact cost: an immutable sum of products of n, c, m, b, constants and the atoms of `atom.ts`.
 * It adds, multiplies, prints, evaluates, states its degree and its breakpoints; nothing else.
 */
export class Expression {
  static readonly zero: Expression = new Expression(new Map());
  static readonly one: Expression = Expression.constant(1);

  private constructor(private readonly terms: ReadonlyMap<string, Term>) {}

  static constant(value: number): Expression {
    if (!Number.isFinite(value)) throw new RangeError(`a cost must be finite, not ${value}`);
    return value === 0
      ? new Expression(new Map())
      : new Expression(new Map([["", { coefficient: value, factors: [] }]]));
  }

  static of(operand: Operand): Expression {
    return typeof operand === "number" ? Expression.constant(operand) : operand;
  }

  static atom(atom: Atom): Expression {
    const factors = [{ atom, power: 1 }];
    return new Expression(new Map([[keyOf(factors), { coefficient: 1, factors }]]));
  }

  static affine(expression: Affine): Expression {
    let sum = Expression.constant(expression.constant);
    for (const variable of variables) {
      if (expression[variable] !== 0) {
        sum = sum.plus(Expression.atom({ kind: "variable", variable }).times(expression[variable]));
      }
    }
    return sum;
  }

  static sum(operands: Iterable<Operand>): Expression {
    const terms = new Map<string, Term>();
    for (const operand of operands) addInto(terms, Expression.of(operand).terms, 1);
    return new Expression(terms);
  }

  plus(other: Operand): Expression {
    const terms = new Map(this.terms);
    addInto(terms, Expression.of(other).terms, 1);
    return new Expression(terms);
  }

  minus(other: Operand): Expression {
    const terms = new Map(this.terms);
    addInto(terms, Expression.of(other).terms, -1);
    return new Expression(terms);
  }

  times(other: Operand): Expression {
    if (typeof other === "number") return this.scaled(other);
    const [left, right] = [this.constant, other.constant];
    if (right !== null) return this.scaled(right);
    if (left !== null) return other.scaled(left);
    return this.product(other);
  }

  private product(other: Expression): Expression {
    const terms = new Map<string, Term>();
    for (const left of this.terms.values()) {
      for (const right of other.terms.values()) addTerm(terms, multiply(left, right), 1);
    }
    return new Expression(terms);
  }

  /** Its value where it depends on nothing; null otherwise. */
  private get constant(): number | null {
    return this.isZero ? 0 : this.terms.size === 1 ? (this.terms.get("")?.coefficient ?? null) : null;
  }

  private scaled(factor: number): Expression {
    if (factor === 0) return Expression.zero;
    if (factor === 1) return this;
    const terms = new Map<string, Term>();
    for (const [key, term] of this.terms) terms.set(key, { ...term, coefficient: term.coefficient * factor });
    return new Expression(terms);
  }

  get isZero(): boolean {
    return this.terms.size === 0;
  }

  /** The value at one point. For many points compile once. */
  at(values: Values): number {
    let sum = 0;
    for (const term of this.terms.values()) {
      let product = term.coefficient;
      for (const { atom, power } of term.factors) product *= evaluateAtom(atom, values) ** power;
      sum += product;
    }
    return sum;
  }

  /** A function of one variable, the others fixed: a plain polynomial on each piece where that is possible. */
  compile(variable: Variable, values: Values = {}): (value: number) => number {
    const plain = this.polynomial(variable, values);
    if (plain !== null) return horner(plain);
    return compiledLater(
      (value) => this.at({ ...values, [variable]: value }),
      () => this.resolved(variable, values),
    );
  }

  /** c₀, c₁, … in one variable, the others fixed, where no other atom depends on it; null where one does. */
  polynomial(variable: Variable, values: Values = {}): number[] | null {
    return polynomialOf(this.terms.values(), variable, values);
  }

  /** Text that only an equal expression has. */
  get key(): string {
    let text = "";
    for (const [key, { coefficient }] of this.terms) text += `${coefficient}·${key} `;
    return text;
  }

  private resolved(variable: Variable, values: Values): (value: number) => number {
    const pieces = this.pieces(variable, values).map((piece) => ({
      to: piece.to,
      evaluate:
        piece.coefficients === null
          ? compileTerms([...piece.expression.terms.values()], variable)
          : horner(piece.coefficients),
    }));
    const [only] = pieces;
    if (pieces.length === 1 && only !== undefined) return only.evaluate;
    const last = pieces[pieces.length - 1];
    return (value) => {
      for (const piece of pieces) if (value <= piece.to) return piece.evaluate(value);
      return last?.evaluate(value) ?? 0;
    };
  }

  /** Growth in one variable; the other variables count as constants. */
  degree(variable: Variable): Degree {
    let best: Degree = { power: 0, logPower: 0 };
    for (const term of this.terms.values()) {
      const degree = termDegree(term, variable);
      if (degree.power > best.power || (degree.power === best.power && degree.logPower > best.logPower)) best = degree;
    }
    return best;
  }

  /** Growth in one variable beyond the last length at which the law changes; the other variables count as constants. */
  growth(variable: Variable): Degree {
    return this.mapAtoms((atom) => beyond(atom, variable)).degree(variable);
  }

  /** The part whose terms have at least this power of the variable (logarithms aside). */
  partOfDegree(variable: Variable, accepts: (degree: Degree) => boolean): Expression {
    const terms = new Map<string, Term>();
    for (const [key, term] of this.terms) if (accepts(termDegree(term, variable))) terms.set(key, term);
    return new Expression(terms);
  }

  /** Positive values of the variable at which the law changes, ascending, other variables fixed. */
  breakpoints(variable: Variable, values: Values = {}): number[] {
    const found = new Set<number>();
    for (const term of this.terms.values()) {
      for (const { atom } of term.factors) {
        const at = atomBreakpoint(atom, variable, values);
        if (at !== null && at > 0 && Number.isFinite(at)) found.add(at);
      }
    }
    return [...found].sort((left, right) => left - right);
  }

  /** Everything but `kept` replaced by its value. */
  fix(kept: Variable, values: Values): Expression {
    return this.mapAtoms((atom) => {
      if (atom.kind === "variable") {
        return atom.variable === kept ? Expression.atom(atom) : Expression.constant(valueOf(atom.variable, values));
      }
      const fixed = fixAtom(atom, kept, values);
      return fixed.kind !== "variable" && argumentOf(fixed)[kept] === 0
        ? Expression.constant(evaluateAtom(fixed, {}))
        : Expression.atom(fixed);
    });
  }

  /** The law in one variable, stretch by stretch; min(…) and switches are resolved in each. */
  pieces(variable: Variable, values: Values = {}): Piece[] {
    const fixed = this.fix(variable, values);
    const bounds = [0, ...fixed.breakpoints(variable), Number.POSITIVE_INFINITY];
    const pieces: Piece[] = [];
    for (let index = 0; index + 1 < bounds.length; index += 1) {
      const from = bounds[index] as number;
      const to = bounds[index + 1] as number;
      const inside = Number.isFinite(to) ? (from + to) / 2 : from * 2 + 1;
      const expression = fixed.mapAtoms((atom) => resolve(atom, variable, inside));
      pieces.push({ from, to, expression, coefficients: expression.coefficients(variable) });
    }
    return pieces;
  }

  /** The same as constant and coefficients, if it is affine in n, c, m and b, else null. */
  get affine(): Affine | null {
    const parts: Partial<Record<keyof Affine, number>> = {};
    for (const { coefficient, factors } of this.terms.values()) {
      const [factor, ...more] = factors;
      if (factor === undefined) parts.constant = coefficient;
      else if (more.length > 0 || factor.power !== 1 || factor.atom.kind !== "variable") return null;
      else parts[factor.atom.variable] = coefficient;
    }
    return affine(parts);
  }

  /** c₀, c₁, … if this is a plain polynomial in one variable alone, else null. */
  coefficients(variable: Variable): number[] | null {
    const result: number[] = [0];
    for (const term of this.terms.values()) {
      let power = 0;
      for (const factor of term.factors) {
        if (factor.atom.kind !== "variable" || factor.atom.variable !== variable) return null;
        power += factor.power;
      }
      while (result.length <= power) result.push(0);
      result[power] = (result[power] ?? 0) + term.coefficient;
    }
    return result;
  }

  /** Replaces each atom by an expression. */
  mapAtoms(replace: (atom: Atom) => Expression): Expression {
    const cache = new Map<string, Expression>();
    const replaced = (atom: Atom): Expression => {
      const key = atomKey(atom);
      let result = cache.get(key);
      if (result === undefined) {
        result = replace(atom);
        cache.set(key, result);
      }
      return result;
    };
    const sum = new Map<string, Term>();
    for (const term of this.terms.values()) {
      let product = Expression.constant(term.coefficient);
      for (const { atom, power } of term.factors) {
        for (let times = 0; times < power; times += 1) product = product.times(replaced(atom));
      }
      addInto(sum, product.terms, 1);
    }
    return new Expression(sum);
  }

  /** `2.12e8·n + 3.46e4·n² + 5.66e7`: ascending degree, the constant last. */
  toString(digits = 3): string {
    const weight = (term: Term): number => {
      const degree = variables.reduce((sum, variable) => sum + termDegree(term, variable).power, 0);
      return term.factors.length === 0 ? Number.POSITIVE_INFINITY : degree;
    };
    const terms = [...this.terms.values()].sort((left, right) => weight(left) - weight(right));
    if (terms.length === 0) return "0";
    return terms
      .map((term) => printTerm(term, digits))
      .join(" + ")
      .replaceAll("+ -", "− ");
  }
}

function addTerm(terms: Map<string, Term>, term: Term, sign: 1 | -1): void {
  const key = keyOf(term.factors);
  const known = terms.get(key);
  const coefficient = sign * term.coefficient + (known?.coefficient ?? 0);
  if (coefficient === 0) terms.delete(key);
  else terms.set(key, { coefficient, factors: term.factors });
}

function addInto(terms: Map<string, Term>, others: ReadonlyMap<string, Term>, sign: 1 | -1): void {
  for (const [key, term] of others) {
    const known = terms.get(key);
    const coefficient = sign * term.coefficient + (known?.coefficient ?? 0);
    if (coefficient === 0) terms.delete(key);
    else terms.set(key, { coefficient, factors: term.factors });
  }
}

function resolve(atom: Atom, variable: Variable, inside: number): Expression {
  if (atom.kind === "min") {
    return evaluateAffine(atom.of, { [variable]: inside }) <= atom.limit
      ? Expression.affine(atom.of)
      : Expression.constant(atom.limit);
  }
  if (atom.kind === "atMost") return Expression.constant(evaluateAtom(atom, { [variable]: inside }));
  return Expression.atom(atom);
}

/** The atom for values of the variable beyond every breakpoint. */
function beyond(atom: Atom, variable: Variable): Expression {
  if ((atom.kind !== "min" && atom.kind !== "atMost") || atom.of[variable] <= 0) return Expression.atom(atom);
  return atom.kind === "min" ? Expression.constant(atom.limit) : Expression.zero;
}

const variableExpression = (variable: Variable): Expression => Expression.atom({ kind: "variable", variable });
/** New tokens. */
export const n: Expression = variableExpression("n");
/** Tokens already cached. */
export const c: Expression = variableExpression("c");
/** Encoder length. */
export const m: Expression = variableExpression("m");
/** Batch. */
export const b: Expression = variableExpression("b");

/** min(of, limit); the argument itself where there is no limit. */
export function min(of: Partial<Affine>, limit: number): Expression {
  const argument = affine(of);
  if (limit === Number.POSITIVE_INFINITY) return Expression.affine(argument);
  if (variables.every((variable) => argument[variable] === 0))
    return Expression.constant(Math.min(argument.constant, limit));
  return Expression.atom({ kind: "min", of: argument, limit });
}

/** ⌈of / by⌉. */
export function ceilDivide(of: Partial<Affine>, by: number): Expression {
  const argument = affine(of);
  return by === 1 ? Expression.affine(argument) : Expression.atom({ kind: "ceil", of: argument, by });
}

/** ⌊of / by⌋. */
export function floorDivide(of: Partial<Affine>, by: number): Expression {
  const argument = affine(of);
  return by === 1 ? Expression.affine(argument) : Expression.atom({ kind: "floor", of: argument, by });
}

/** of − by·⌊of / by⌋: the position inside a chunk. */
export function mod(of: Partial<Affine>, by: number): Expression {
  return by === 1 ? Expression.zero : Expression.atom({ kind: "mod", of: affine(of), by });
}

/** log₂(of), 0 for arguments up to 1. */
export function log2(of: Partial<Affine>): Expression {
  return Expression.atom({ kind: "log2", of: affine(of) });
}

/** 1 where of ≤ limit, else 0. */
export function atMost(of: Partial<Affine>, limit: number): Expression {
  return Expression.atom({ kind: "atMost", of: affine(of), limit });
}

/** Expected distinct experts among `tokens` tokens of each of the b sequences; the atom of MoE weight traffic. */
export function distinctExperts(experts: number, chosen: number, tokens: Partial<Affine>): Expression {
  const argument = affine(tokens);
  if (variables.every((variable) => argument[variable] === 0) && argument.constant === 0) return Expression.zero;
  if (chosen >= experts) return Expression.constant(experts);
  return Expression.atom({ kind: "distinct", experts, chosen, tokens: argument, perSequence: true });
}
