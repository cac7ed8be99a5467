import { type Affine, type Variable, affine } from "./affine.js";
import { Expression } from "./expression.js";

/** The expression with one variable standing for another: both are the same length. */
export function renamed(expression: Expression, from: Variable, to: Variable): Expression {
  const inside = (of: Affine): Affine => affine({ ...of, [from]: 0, [to]: of[to] + of[from] });
  return expression.mapAtoms((atom) => {
    if (atom.kind === "variable") {
      return Expression.atom(atom.variable === from ? { kind: "variable", variable: to } : atom);
    }
    return Expression.atom(
      atom.kind === "distinct" ? { ...atom, tokens: inside(atom.tokens) } : { ...atom, of: inside(atom.of) },
    );
  });
}
