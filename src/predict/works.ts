import type { Seconds } from "../base/units.js";
import type { Bound } from "../hardware/operator-time.js";
import { horner } from "../math/compile.js";
import { type CurveOperator, operatorOf } from "./operators.js";

/** Operators of one part, class and degree whose times are multiples of each other, or that bandwidth limits all. */
export type Work = Pick<CurveOperator, "part" | "class" | "degree" | "work" | "overhead" | "bound">;

/**
 * The operators of a pass with equals together: what is summed at every length. A model of 115 operators that differ in name
 * and layer has some 30 of these.
 */
export function worksOf(operators: readonly CurveOperator[]): Work[] {
  const equal = new Map<string, { readonly first: CurveOperator; times: number }>();
  for (const operator of operators) {
    const key = `${operator.part} ${operator.class} ${operator.degree} ${operator.execution.key}`;
    const known = equal.get(key);
    if (known === undefined) equal.set(key, { first: operator, times: operator.times });
    else known.times += operator.times;
  }
  const works: Work[] = [];
  const sums = new Map<string, Sum>();
  for (const { first, times } of equal.values()) {
    const { name, part, degree, execution } = first;
    const { work, overhead, bound, streamed, fixed } = execution;
    const limit = streamed === null ? (fixed ? bound(1) : null) : "bandwidth";
    if (typeof overhead !== "number" || limit === null) {
      works.push(operatorOf(name, part, execution, times));
      continue;
    }
    const key = `${part} ${first.class} ${degree} ${limit}`;
    const sum = sums.get(key) ?? { part, class: first.class, degree, limit, coefficients: [], overhead: 0 };
    sums.set(key, sum);
    (streamed ?? [work(1)]).forEach((coefficient, power) => {
      sum.coefficients[power] = (sum.coefficients[power] ?? 0) + coefficient * times;
    });
    sum.overhead += overhead * times;
  }
  return [...works, ...[...sums.values()].map(workOf)];
}

/** Polynomials of one kind, added up. */
interface Sum extends Pick<Work, "part" | "class" | "degree"> {
  readonly limit: Bound;
  readonly coefficients: number[];
  overhead: Seconds;
}

function workOf({ limit, coefficients, overhead, ...kind }: Sum): Work {
  return { ...kind, work: horner(coefficients), overhead: () => overhead, bound: () => limit };
}
