import { median } from "../math/median.js";
import { grouped } from "./diagnose-noise.js";
import type { ShapeGroup } from "./diagnose-shape.js";
import type { DiagnosedSample } from "./diagnosed-sample.js";

interface Point {
  readonly x: number;
  readonly y: number;
}

interface Named {
  readonly name: string;
  readonly points: readonly Point[];
}

/** What a finding was seen in, to be drawn. */
export interface Drawn {
  /** Tokens of the prompt, or seconds since the run began. */
  readonly x: "length" | "moment";
  /** What stands upright, in words. */
  readonly y: string;
  /** How its numbers are read. */
  readonly unit: "times" | "seconds" | "share";
  readonly dots: readonly Named[];
  readonly lines: readonly Named[];
}

type Law = (n: number) => number;

const gridSteps = 160;

/** Lengths between the shortest and the longest, equally far apart as logarithms. */
function gridOf(groups: readonly { readonly n: number }[]): number[] {
  const from = groups[0]?.n ?? 1;
  const to = groups.at(-1)?.n ?? 1;
  return Array.from({ length: gridSteps + 1 }, (_, step) => from * (to / from) ** (step / gridSteps));
}

function level(name: string, groups: readonly { readonly n: number }[], y: number): Named {
  return { name, points: [groups[0]?.n ?? 1, groups.at(-1)?.n ?? 1].map((x) => ({ x, y })) };
}

/** Medians, and the law that explains them, over the one that does not. */
export function drawnOver(
  groups: readonly ShapeGroup[],
  plain: { readonly name: string; readonly at: Law },
  found: { readonly name: string; readonly at: Law },
): Drawn {
  const over = gridOf(groups).map((x) => ({ x, y: found.at(x) / plain.at(x) }));
  return {
    x: "length",
    y: `times ${plain.name}`,
    unit: "times",
    dots: [{ name: "measured medians", points: groups.map(({ n, seconds }) => ({ x: n, y: seconds / plain.at(n) })) }],
    lines: [level(plain.name, groups, 1), { name: found.name, points: over }],
  };
}

/** Medians over the least that their work can take. */
export function drawnLeast(groups: readonly ShapeGroup[], least: Law): Drawn {
  const name = "the least their work can take";
  return {
    x: "length",
    y: `times ${name}`,
    unit: "times",
    dots: [{ name: "measured medians", points: groups.map(({ n, seconds }) => ({ x: n, y: seconds / least(n) })) }],
    lines: [level(name, groups, 1)],
  };
}

/** Seconds over the length, of one kind of sample or several. */
export function drawnSeconds(
  kinds: readonly {
    readonly name: string;
    readonly samples: readonly { readonly n: number; readonly seconds: number }[];
  }[],
): Drawn {
  const dots = kinds.map(({ name, samples }) => ({
    name,
    points: samples.map(({ n, seconds }) => ({ x: n, y: seconds })),
  }));
  return { x: "length", y: "seconds", unit: "seconds", dots, lines: [] };
}

/** Share of each prompt that the server says it found in its cache. */
export function drawnCached(samples: readonly DiagnosedSample[]): Drawn {
  const points = samples.flatMap(({ n, cachedTokens }) =>
    cachedTokens === null ? [] : [{ x: n, y: cachedTokens / n }],
  );
  return { x: "length", y: "of the prompt cached", unit: "share", dots: [{ name: "requests", points }], lines: [] };
}

const parts = 6;

/** Every sample over the median of its length, in the order of time, and the median of each sixth of the run. */
export function drawnTrend(samples: readonly DiagnosedSample[]): Drawn {
  const middle = new Map(
    [...grouped(samples)].map(([n, group]) => [n, median(group.map(({ seconds }) => seconds))] as const),
  );
  const points = samples
    .flatMap(({ n, seconds, at }) => (at === null ? [] : [{ x: at, y: seconds / (middle.get(n) ?? seconds) }]))
    .sort((left, right) => left.x - right.x);
  const size = Math.max(1, Math.ceil(points.length / parts));
  const line = Array.from({ length: Math.ceil(points.length / size) }, (_, part) => {
    const some = points.slice(part * size, (part + 1) * size);
    return { x: median(some.map(({ x }) => x)), y: median(some.map(({ y }) => y)) };
  });
  return {
    x: "moment",
    y: "times the median of their length",
    unit: "times",
    dots: [{ name: "samples", points }],
    lines: [{ name: "median of each sixth of the run", points: line }],
  };
}

/** Every sample over the fastest of its length, and from where on it has waited. */
export function drawnWaits(samples: readonly DiagnosedSample[], limit: number): Drawn {
  const lengths = [...grouped(samples)].sort(([left], [right]) => left - right);
  const points = lengths.flatMap(([n, group]) => {
    const fastest = Math.min(...group.map(({ seconds }) => seconds));
    return group.map(({ seconds }) => ({ x: n, y: seconds / fastest }));
  });
  return {
    x: "length",
    y: "times the fastest of their length",
    unit: "times",
    dots: [{ name: "samples", points }],
    lines: [
      level(
        "above: waited",
        lengths.map(([n]) => ({ n })),
        limit,
      ),
    ],
  };
}

/** Medians of the client's time minus the server's own, and the line that they follow. */
export function drawnOutside(
  points: readonly { readonly n: number; readonly difference: number }[],
  perToken: number,
): Drawn {
  const start = median(points.map(({ n, difference }) => difference - perToken * n));
  return {
    x: "length",
    y: "client’s seconds minus the server’s own",
    unit: "seconds",
    dots: [{ name: "measured medians", points: points.map(({ n, difference }) => ({ x: n, y: difference })) }],
    lines: [{ name: "grows with the length", points: gridOf(points).map((x) => ({ x, y: start + perToken * x })) }],
  };
}
