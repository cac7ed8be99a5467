import type { Seconds } from "../base/units.js";
import type { Part } from "../graph/types.js";
import type { OperatorClass } from "../hardware/efficiency.js";
import type { Bound } from "../hardware/operator-time.js";
import type { Curve, CurveOperator } from "./curve.js";

/** Part of a curve's seconds at one length. */
export interface Share<Name extends string> {
  readonly name: Name;
  readonly seconds: Seconds;
  /** Of the whole, from 0 to 1. */
  readonly share: number;
  /** What limits most of these seconds. */
  readonly bound: Bound;
}

/** Seconds at one length, split three ways; each split adds up to the whole. */
export interface Split {
  readonly parts: readonly Share<Part | "network" | "runtime">[];
  readonly classes: readonly Share<OperatorClass>[];
  /** Seconds by the power of the length that the work grows with: 0, 1, 2. */
  readonly degrees: readonly { readonly degree: number; readonly seconds: Seconds }[];
}

const bounds = ["compute", "bandwidth", "network", "latency"] as const satisfies readonly Bound[];

/** Seconds of a group of operators by what limits them; ends with the most of them. */
class Group {
  work = 0;
  overhead = 0;
  private readonly by: Record<Bound, number> = { compute: 0, bandwidth: 0, network: 0, latency: 0 };

  add(bound: Bound, work: number, overhead: number): void {
    this.work += work;
    this.overhead += overhead;
    this.by[bound] += work;
  }

  bound(overhead: number): Bound {
    let most: Bound = "latency";
    let seconds = this.by.latency + overhead;
    for (const bound of bounds) {
      if (bound === "latency" || this.by[bound] <= seconds) continue;
      most = bound;
      seconds = this.by[bound];
    }
    return most;
  }
}

function groupIn<Key>(groups: Map<Key, Group>, key: Key): Group {
  let group = groups.get(key);
  if (group === undefined) {
    group = new Group();
    groups.set(key, group);
  }
  return group;
}

/** Where the seconds of a curve go at one length. By part, the overhead counts to the operator that causes it. */
export function splitAt(curve: Curve, length: number): Split {
  const byPart = new Map<CurveOperator["part"], Group>();
  const byClass = new Map<OperatorClass, Group>();
  const byDegree = new Map<number, Group>();
  const outside = curve.outside(length);
  if (outside > 0) groupIn(byDegree, 0).add("latency", outside, 0);
  let [total, overhead] = [outside, outside];
  for (const operator of curve.operators) {
    const work = operator.work(length);
    const starting = operator.overhead(length);
    const bound = operator.bound(length);
    groupIn(byPart, operator.part).add(bound, work, starting);
    groupIn(byClass, operator.class).add(bound, work, 0);
    groupIn(byDegree, operator.degree).add(bound, work, starting);
    total += work + starting;
    overhead += starting;
  }
  const share = <Name extends string>(name: Name, seconds: number, bound: Bound): Share<Name> => ({
    name,
    seconds,
    share: total === 0 ? 0 : seconds / total,
    bound,
  });
  const parts: Share<Part | "network" | "runtime">[] = [...byPart].map(([name, group]) =>
    share(name, group.work + group.overhead, group.bound(group.overhead)),
  );
  if (outside > 0) parts.push(share("runtime", outside, "latency"));
  return {
    parts,
    classes: curve.components.map(({ name }): Share<OperatorClass> => {
      if (name === "overhead") return share(name, overhead, "latency");
      const group = groupIn(byClass, name);
      return share(name, group.work, group.bound(0));
    }),
    degrees: [...byDegree]
      .map(([degree, group]) => ({ degree, seconds: group.work + group.overhead }))
      .sort((a, b) => a.degree - b.degree),
  };
}
