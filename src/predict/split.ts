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

const bounds: readonly Bound[] = ["compute", "bandwidth", "network", "latency"];
const latency = bounds.indexOf("latency");

/** Seconds of groups of the work by what limits them. */
class Groups<Key> {
  readonly keys: readonly Key[];
  private readonly of: readonly number[];
  private readonly work: number[];
  private readonly overhead: number[];
  private readonly by: number[];

  constructor(ofEach: readonly Key[]) {
    this.keys = [...new Set(ofEach)];
    this.of = ofEach.map((key) => this.keys.indexOf(key));
    this.work = this.keys.map(() => 0);
    this.overhead = this.keys.map(() => 0);
    this.by = this.keys.flatMap(() => bounds.map(() => 0));
  }

  clear(): void {
    this.work.fill(0);
    this.overhead.fill(0);
    this.by.fill(0);
  }

  add(index: number, bound: number, work: Seconds, overhead: Seconds): void {
    const group = this.of[index] ?? 0;
    const place = group * bounds.length + bound;
    this.work[group] = (this.work[group] ?? 0) + work;
    this.overhead[group] = (this.overhead[group] ?? 0) + overhead;
    this.by[place] = (this.by[place] ?? 0) + work;
  }

  secondsOf(group: number): Seconds {
    return (this.work[group] ?? 0) + (this.overhead[group] ?? 0);
  }

  /** What limits most of a group's seconds; overhead is latency. */
  boundOf(group: number): Bound {
    const first = group * bounds.length;
    let most: Bound = "latency";
    let seconds = (this.by[first + latency] ?? 0) + (this.overhead[group] ?? 0);
    for (let index = 0; index < latency; index += 1) {
      const own = this.by[first + index] ?? 0;
      if (own <= seconds) continue;
      most = bounds[index] ?? most;
      seconds = own;
    }
    return most;
  }
}

interface Layout {
  readonly parts: Groups<CurveOperator["part"]>;
  readonly classes: Groups<OperatorClass>;
  readonly degrees: Groups<number>;
}
const layouts = new WeakMap<Curve["works"], Layout>();

function layoutOf(works: Curve["works"]): Layout {
  const known = layouts.get(works);
  if (known !== undefined) return known;
  const made = {
    parts: new Groups(works.map(({ part }) => part)),
    classes: new Groups(works.map((work) => work.class)),
    degrees: new Groups(works.map(({ degree }) => degree)),
  };
  layouts.set(works, made);
  return made;
}

/** Where the seconds of a curve go at one length. By part, the overhead counts to the operator that causes it. */
export function splitAt(curve: Curve, length: number): Split {
  const works = curve.worksAt(length);
  const { parts, classes, degrees } = layoutOf(works);
  parts.clear();
  classes.clear();
  degrees.clear();
  const outside = curve.outside(length);
  let [total, overhead] = [outside, outside];
  for (let index = 0; index < works.length; index += 1) {
    const one = works[index];
    if (one === undefined) continue;
    const work = one.work(length);
    const starting = one.overhead(length);
    const bound = bounds.indexOf(one.bound(length));
    parts.add(index, bound, work, starting);
    classes.add(index, bound, work, 0);
    degrees.add(index, bound, work, starting);
    total += work + starting;
    overhead += starting;
  }
  const share = <Name extends string>(name: Name, seconds: number, bound: Bound): Share<Name> => ({
    name,
    seconds,
    share: total === 0 ? 0 : seconds / total,
    bound,
  });
  const byPart: Share<Part | "network" | "runtime">[] = parts.keys.map((name, group) =>
    share(name, parts.secondsOf(group), parts.boundOf(group)),
  );
  if (outside > 0) byPart.push(share("runtime", outside, "latency"));
  const byDegree = degrees.keys.map((degree, group) => ({
    degree,
    seconds: degrees.secondsOf(group) + (degree === 0 ? outside : 0),
  }));
  if (outside > 0 && !degrees.keys.includes(0)) byDegree.push({ degree: 0, seconds: outside });
  return {
    parts: byPart,
    classes: curve.components.map(({ name }): Share<OperatorClass> => {
      if (name === "overhead") return share(name, overhead, "latency");
      const group = classes.keys.indexOf(name);
      return share(name, classes.secondsOf(group), classes.boundOf(group));
    }),
    degrees: byDegree.sort((a, b) => a.degree - b.degree),
  };
}
