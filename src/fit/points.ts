import { badInput } from "../base/errors.js";

/** One timed step as plain data: how long `seconds` a step of length `n` took. */
export interface Point {
  /** The length the law is a function of: n of a prefill, the context of a decode step. */
  readonly n: number;
  readonly seconds: number;
  /** Complete block the point was measured in, where known. */
  readonly block?: number;
}

/** All points of one length, times as natural logarithms. */
export interface LengthGroup {
  readonly n: number;
  readonly logSeconds: readonly number[];
  readonly blocks: readonly (number | undefined)[];
}

const longest = 2 ** 40;

/**
 * Points grouped by length, ascending.
 *
 * @throws NsquaredError where there is no point, a length is not in 1 … 2^40, or a time is not positive and finite
 */
export function groupByLength(points: readonly Point[]): LengthGroup[] {
  if (points.length === 0) throw badInput("no-points", { key: "points", found: 0, expected: "at least one point" });
  const groups = new Map<number, { logSeconds: number[]; blocks: (number | undefined)[] }>();
  points.forEach((point, index) => {
    if (!(point.n >= 1 && point.n <= longest)) {
      throw badInput("bad-length", {
        key: `points[${index}].n`,
        found: point.n,
        expected: "a length of 1 token or more",
      });
    }
    if (!(point.seconds > 0 && point.seconds < Number.POSITIVE_INFINITY)) {
      throw badInput("bad-seconds", {
        key: `points[${index}].seconds`,
        found: point.seconds,
        expected: "a positive number of seconds; leave failed requests out",
      });
    }
    const group = groups.get(point.n) ?? { logSeconds: [], blocks: [] };
    group.logSeconds.push(Math.log(point.seconds));
    group.blocks.push(point.block);
    groups.set(point.n, group);
  });
  return [...groups].map(([n, group]) => ({ n, ...group })).sort((left, right) => left.n - right.n);
}
