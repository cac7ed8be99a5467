import type { OperatorClass } from "../hardware/efficiency.js";
import type { Curve } from "./curve.js";
import { spreadOut } from "./curve.js";
import type { Interval } from "./interval.js";
import { sumOfSteps } from "./sums.js";

/** Groups of neighbouring decode steps in a rough sum: their seconds are nearly a line in the context. */
const groups = 4;

export function roughSum(seconds: (length: number) => number, from: number, count: number): number {
  return sumOfSteps(seconds, from, 1, count, groups);
}

/**
 * Seconds of several passes together. A class of operators misses by one and the same factor in all of them, so seconds
 * add up by class before their spreads do.
 */
export class Tally {
  private readonly seconds = new Map<OperatorClass, { seconds: number; logSpread: number }>();
  private common = 0;
  private least = 0;

  /** One pass of that length, `times` over. */
  add(curve: Curve, length: number, times = 1): this {
    return this.addEach(curve, (seconds) => times * seconds(length));
  }

  /** Passes at from, from + step, …: `count` of them. */
  addSteps(curve: Curve, from: number, step: number, count: number): this {
    return count <= 0 ? this : this.addEach(curve, (seconds) => sumOfSteps(seconds, from, step, count));
  }

  /** The same roughly, for very many sums, `times` over. */
  addRoughly(curve: Curve, from: number, count: number, times: number): this {
    return count <= 0 ? this : this.addEach(curve, (seconds) => times * roughSum(seconds, from, count));
  }

  private addEach(curve: Curve, sum: (seconds: (length: number) => number) => number): this {
    this.common = Math.max(this.common, curve.commonSpread);
    this.least += sum(curve.least);
    for (const { name, seconds, logSpread } of curve.components) {
      const known = this.seconds.get(name);
      const added = sum(seconds);
      if (known === undefined) this.seconds.set(name, { seconds: added, logSpread });
      else known.seconds += added;
    }
    return this;
  }

  interval(): Interval {
    const all = [...this.seconds.values()];
    return spreadOut(
      all.map(({ seconds }) => seconds),
      all.map(({ logSpread }) => logSpread),
      this.common,
      this.least,
    );
  }
}
