import type { Seconds } from "../base/units.js";
import type { OperatorClass } from "../hardware/efficiency.js";
import type { Bound } from "../hardware/operator-time.js";
import { horner } from "../math/compile.js";
import type { CurveOperator } from "./operators.js";

/** Operators of one part, class and degree whose times are multiples of each other, or that bandwidth limits all. */
export interface Work {
  readonly part: CurveOperator["part"];
  readonly class: OperatorClass;
  readonly degree: number;
  readonly work: (length: number) => Seconds;
  readonly overhead: (length: number) => Seconds;
  readonly bound: (length: number) => Bound;
}

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
  const streams = new Map<string, Sum>();
  const works: (Work | Sum)[] = [];
  for (const { first, times } of equal.values()) {
    const { part, degree, execution } = first;
    const { work, overhead, bound, streamed, fixed } = execution;
    const limit = streamed === null ? (fixed ? bound(1) : null) : "bandwidth";
    if (typeof overhead === "number" && limit !== null) {
      const key = `${part} ${first.class} ${degree} ${limit}`;
      let sum = streams.get(key);
      if (sum === undefined) {
        sum = new Sum(part, first.class, degree, limit);
        streams.set(key, sum);
        works.push(sum);
      }
      sum.add(streamed ?? [work(1)], overhead, times);
      continue;
    }
    works.push({
      part,
      class: first.class,
      degree,
      work: times === 1 ? work : (length) => work(length) * times,
      overhead: typeof overhead === "number" ? () => overhead * times : (length) => overhead(length) * times,
      bound,
    });
  }
  return works.map((work) => (work instanceof Sum ? work.made() : work));
}

/** Polynomials of one kind, added up. */
class Sum {
  private readonly coefficients: number[] = [];
  private starting: Seconds = 0;

  constructor(
    private readonly part: Work["part"],
    private readonly operators: OperatorClass,
    private readonly degree: number,
    private readonly limit: Bound,
  ) {}

  add(polynomial: readonly number[], overhead: Seconds, times: number): void {
    polynomial.forEach((coefficient, power) => {
      this.coefficients[power] = (this.coefficients[power] ?? 0) + coefficient * times;
    });
    this.starting += overhead * times;
  }

  made(): Work {
    const { part, operators, degree, limit, starting } = this;
    return {
      part,
      class: operators,
      degree,
      work: horner(this.coefficients),
      overhead: () => starting,
      bound: () => limit,
    };
  }
}
