import { scientific } from "../base/format.js";
import type { Variable } from "./affine.js";
import { type Atom, atomDegree, atomKey, printAtom } from "./atom.js";

/* Products of atoms, of which expressions are sums. */

interface Factor {
  readonly atom: Atom;
  readonly power: number;
}
export interface Term {
  readonly coefficient: number;
  readonly factors: readonly Factor[];
}
/** Growth for large values of one variable: variable^power · log(variable)^logPower. */
export interface Degree {
  readonly power: number;
  readonly logPower: number;
}

const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";
export const keyOf = (factors: readonly Factor[]): string =>
  factors.map((factor) => `${atomKey(factor.atom)}^${factor.power}`).join("·");

export function multiply(left: Term, right: Term): Term {
  const coefficient = left.coefficient * right.coefficient;
  if (left.factors.length === 0) return { coefficient, factors: right.factors };
  if (right.factors.length === 0) return { coefficient, factors: left.factors };
  const powers = new Map<string, Factor>();
  for (const factor of [...left.factors, ...right.factors]) {
    const key = atomKey(factor.atom);
    powers.set(key, { atom: factor.atom, power: factor.power + (powers.get(key)?.power ?? 0) });
  }
  const factors = [...powers.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, factor]) => factor);
  return { coefficient, factors };
}

export function termDegree(term: Term, variable: Variable): Degree {
  let power = 0;
  let logPower = 0;
  for (const factor of term.factors) {
    const [atomPower, atomLog] = atomDegree(factor.atom, variable);
    power += atomPower * factor.power;
    logPower += atomLog * factor.power;
  }
  return { power, logPower };
}

export function printTerm(term: Term, digits: number): string {
  const factors = term.factors.map(({ atom, power }) => {
    const exponent =
      power === 1 ? "" : [...String(power)].map((digit) => superscripts[Number(digit)] ?? digit).join("");
    return printAtom(atom) + exponent;
  });
  if (factors.length === 0) return scientific(term.coefficient, digits);
  return term.coefficient === 1 ? factors.join("·") : [scientific(term.coefficient, digits), ...factors].join("·");
}
