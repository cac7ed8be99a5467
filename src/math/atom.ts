import {
  type Affine,
  type Values,
  type Variable,
  affine,
  evaluateAffine,
  fixAffine,
  printAffine,
  valueOf,
} from "./affine.js";

/**
 * The building stones of a cost expression beside constants. Costs are sums of products of these; there is
 * deliberately no computer algebra beyond that.
 */
export type Atom =
  | { readonly kind: "variable"; readonly variable: Variable }
  /** min(of, limit): a window of `limit` positions. */
  | { readonly kind: "min"; readonly of: Affine; readonly limit: number }
  /** ⌈of / by⌉. */
  | { readonly kind: "ceil"; readonly of: Affine; readonly by: number }
  /** ⌊of / by⌋. */
  | { readonly kind: "floor"; readonly of: Affine; readonly by: number }
  /** of − by·⌊of / by⌋: the position inside a chunk. */
  | { readonly kind: "mod"; readonly of: Affine; readonly by: number }
  /** log₂(of). */
  | { readonly kind: "log2"; readonly of: Affine }
  /** 1 where of ≤ limit, else 0: an architecture that switches at a length. */
  | { readonly kind: "atMost"; readonly of: Affine; readonly limit: number }
  /**
   * Expected number of distinct experts that `tokens` tokens touch when each takes `chosen` of `experts` at random;
   * `perSequence` where each of the b sequences has as many.
   */
  | {
      readonly kind: "distinct";
      readonly experts: number;
      readonly chosen: number;
      readonly tokens: Affine;
      readonly perSequence: boolean;
    };

/**
 * E·(1 − (1 − k/E)^tokens): expected distinct experts under uniform, independent routing, each token taking k
 * different ones of E.
 */
export function expectedDistinct(experts: number, chosen: number, tokens: number): number {
  if (chosen >= experts) return tokens > 0 ? experts : 0;
  return experts * -Math.expm1(tokens * Math.log1p(-chosen / experts));
}

export function atomKey(atom: Atom): string {
  return printAtom(atom);
}

export function argumentOf(atom: Exclude<Atom, { kind: "variable" }>): Affine {
  return atom.kind === "distinct" ? atom.tokens : atom.of;
}

export function evaluateAtom(atom: Atom, values: Values): number {
  if (atom.kind === "variable") return valueOf(atom.variable, values);
  const of = evaluateAffine(argumentOf(atom), values);
  switch (atom.kind) {
    case "min":
      return Math.min(of, atom.limit);
    case "ceil":
      return Math.ceil(of / atom.by);
    case "floor":
      return Math.floor(of / atom.by);
    case "mod":
      return of - atom.by * Math.floor(of / atom.by);
    case "log2":
      return of <= 1 ? 0 : Math.log2(of);
    case "atMost":
      return of <= atom.limit ? 1 : 0;
    case "distinct":
      return expectedDistinct(atom.experts, atom.chosen, atom.perSequence ? of * valueOf("b", values) : of);
  }
}

/** The same atom with every variable but `kept` replaced by its value. */
export function fixAtom(atom: Exclude<Atom, { kind: "variable" }>, kept: Variable, values: Values): Atom {
  const of = fixAffine(argumentOf(atom), kept, values);
  if (atom.kind !== "distinct") return { ...atom, of };
  return { ...atom, tokens: atom.perSequence ? perBatch(of, kept, values) : of, perSequence: false };
}

/** Tokens of all sequences: `tokens` has only a constant and `kept` left. */
function perBatch(tokens: Affine, kept: Variable, values: Values): Affine {
  if (kept === "b") return affine({ b: tokens.constant });
  const batch = valueOf("b", values);
  return affine({ constant: tokens.constant * batch, [kept]: tokens[kept] * batch });
}

/** Growth of the atom in one variable, for large values: [power, power of the logarithm]. */
export function atomDegree(atom: Atom, variable: Variable): readonly [number, number] {
  if (atom.kind === "variable") return [atom.variable === variable ? 1 : 0, 0];
  const moves = argumentOf(atom)[variable] !== 0;
  switch (atom.kind) {
    case "ceil":
    case "floor":
      return [moves ? 1 : 0, 0];
    case "log2":
      return [0, moves ? 1 : 0];
    case "min":
    case "mod":
    case "distinct":
    case "atMost":
      return [0, 0];
  }
}

/** Where the law changes in `variable`, other variables fixed by `values`; none for ⌈⌉, ⌊⌋ and mod, which change everywhere. */
export function atomBreakpoint(atom: Atom, variable: Variable, values: Values): number | null {
  if (atom.kind !== "min" && atom.kind !== "atMost") return null;
  const of = fixAffine(atom.of, variable, values);
  if (of[variable] === 0) return null;
  return (atom.limit - of.constant) / of[variable];
}

export function printAtom(atom: Atom): string {
  switch (atom.kind) {
    case "variable":
      return atom.variable;
    case "min":
      return `min(${printAffine(atom.of)}, ${atom.limit})`;
    case "ceil":
      return `⌈(${printAffine(atom.of)})/${atom.by}⌉`;
    case "floor":
      return `⌊(${printAffine(atom.of)})/${atom.by}⌋`;
    case "mod":
      return `(${printAffine(atom.of)} mod ${atom.by})`;
    case "log2":
      return `log₂(${printAffine(atom.of)})`;
    case "atMost":
      return `[${printAffine(atom.of)} ≤ ${atom.limit}]`;
    case "distinct":
      return `distinct(${atom.experts}, ${atom.chosen}, ${atom.perSequence ? `b·(${printAffine(atom.tokens)})` : printAffine(atom.tokens)})`;
  }
}
