/** The symbols costs are written in; docs define them once. */
export const variables = ["n", "c", "m", "b"] as const;
/** n new tokens, c tokens already cached, m encoder length, b batch. */
export type Variable = (typeof variables)[number];
/** Numbers for the symbols. An absent one is 0, except the batch, which is 1. */
export type Values = Partial<Record<Variable, number>>;

/** `constant + Σ coefficient·variable`: what an atom such as min(n + c, w) is taken of. */
export interface Affine {
  readonly constant: number;
  readonly n: number;
  readonly c: number;
  readonly m: number;
  readonly b: number;
}

const zero: Affine = { constant: 0, n: 0, c: 0, m: 0, b: 0 };

export function affine(parts: Partial<Affine>): Affine {
  return { ...zero, ...parts };
}

export function valueOf(variable: Variable, values: Values): number {
  return values[variable] ?? (variable === "b" ? 1 : 0);
}

export function evaluateAffine(expression: Affine, values: Values): number {
  let sum = expression.constant;
  for (const variable of variables) sum += expression[variable] * valueOf(variable, values);
  return sum;
}

/** Replaces all variables but `kept` by their values. */
export function fixAffine(expression: Affine, kept: Variable, values: Values): Affine {
  let constant = expression.constant;
  for (const variable of variables) {
    if (variable !== kept) constant += expression[variable] * valueOf(variable, values);
  }
  return affine({ constant, [kept]: expression[kept] });
}

export function printAffine(expression: Affine): string {
  const parts: string[] = [];
  for (const variable of variables) {
    const factor = expression[variable];
    if (factor !== 0) parts.push(factor === 1 ? variable : `${factor}·${variable}`);
  }
  if (expression.constant !== 0 || parts.length === 0) parts.push(String(expression.constant));
  return parts.join(" + ").replaceAll("+ -", "− ");
}
