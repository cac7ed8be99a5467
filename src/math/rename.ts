import { type Affine, type Variable, affine } from "./affine.js";
import { Expression } from "./expression.js";

/** The expression with one variable standing for another: both are the same length. */
export function renamed(expression: Expression, from: Variable, to: Variable): Expression {
  const inside = (of: Affine): Affine => affine({ ...of, [from]: 0, [to]: of[to] + of[from] });
  return expression.mapAtoms((atom) => {
    switch (atom.kind) {
      case "variable":
        return Expression.atom(atom.variable === from ? { kind: "variable", variable: to } : atom);
      case "distinct":
        return Expression.atom({ ...atom, tokens: inside(atom.tokens) });
      default:
        return Expression.atom({ ...atom, of: inside(atom.of) });
    }
  });
}
