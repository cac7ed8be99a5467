import { badInput, NsquaredError, show } from "../../base/errors.js";
import { seededRandom } from "../../base/random.js";
import type { Warning } from "../schema.js";
import type { Observation, Series, SeriesPhase, SeriesPoint } from "./types.js";

/** Takes observations one by one and keeps a bounded number of them, however many there are. */
export interface Collector {
  /** @param where file and line, for messages */
  readonly add: (observation: Observation, where: string) => void;
  /** One value of a field that all samples must share; empty values say nothing. */
  readonly identify: (field: string, value: string, where: string) => void;
  readonly note: (code: string, message: string) => void;
  readonly unit: (text: string) => void;
  readonly finish: () => Collected;
}

export interface Collected {
  readonly series: Series[];
  readonly identity: Record<string, string>;
  readonly notes: Warning[];
  readonly units: string[];
  readonly count: number;
}

/** Repeats of one length beyond which a random sample of them stands for all (Vitter 1985, algorithm R). */
const mostRepeats = 2000;
/** Samples kept in all; where very many lengths have very many repeats each keeps fewer of them. */
const mostKept = 2 ** 18;
/** Cells beyond which lengths are put together while reading, and how much two of one group may differ then. */
const mostCells = 16_384;
const cellGroup = 1.01;
/** Lengths of one series beyond which neighbours are put together. */
const mostLengths = 256;
const longest = 2 ** 40;

interface Kept {
  readonly phase: SeriesPhase;
  readonly batch: number;
  n: number;
  depth: number;
  count: number;
  /** Sums over all observations, of which the means say where the cell lies: lengths that were put together differ. */
  logN: number;
  depths: number;
  seconds: number[];
  /** When each of them was measured; NaN where that is not known. */
  at: number[];
  spreads: number[];
}

function grouped(length: number, ratio: number): number {
  if (length < 1) return length;
  return Math.round(ratio ** Math.round(Math.log(length) / Math.log(ratio)));
}

function checkLength(value: number, key: string, least: number, where: string): void {
  if (value >= least && value <= longest) return;
  throw badInput("length-invalid", { where, key, found: value, expected: `tokens from ${least} to 2^40` });
}

export function createCollector(): Collector {
  const random = seededRandom(1);
  let cells = new Map<string, Kept>();
  let together = false;
  let cap = mostRepeats;
  let kept = 0;
  const identity = new Map<string, { value: string; where: string }>();
  const notes = new Map<string, Warning>();
  const units = new Set<string>();
  let count = 0;

  const keyOf = ({ phase, batch, n, depth }: Pick<Kept, "phase" | "batch" | "n" | "depth">) =>
    `${phase} ${batch} ${n} ${depth}`;

  const put = (cell: Kept, seconds: number, at: number): void => {
    cell.count += 1;
    const place = cell.seconds.length < cap ? cell.seconds.length : Math.floor(random() * cell.count);
    if (place >= cap) return;
    if (place === cell.seconds.length) kept += 1;
    cell.seconds[place] = seconds;
    cell.at[place] = at;
  };

  /** Halves what each length keeps: a random sample of a random sample is one. */
  const thin = (): void => {
    cap >>= 1;
    kept = 0;
    for (const cell of cells.values()) {
      while (cell.seconds.length > cap) {
        const place = Math.floor(random() * cell.seconds.length);
        cell.seconds[place] = cell.seconds.at(-1) ?? Number.NaN;
        cell.at[place] = cell.at.at(-1) ?? Number.NaN;
        cell.seconds.pop();
        cell.at.pop();
      }
      kept += cell.seconds.length;
    }
  };

  const putTogether = (): void => {
    together = true;
    kept = 0;
    const coarse = new Map<string, Kept>();
    for (const cell of cells.values()) {
      const moved = { ...cell, n: grouped(cell.n, cellGroup), depth: grouped(cell.depth, cellGroup) };
      const key = keyOf(moved);
      const there = coarse.get(key);
      if (there === undefined) {
        coarse.set(key, moved);
        kept += moved.seconds.length;
      } else {
        there.count += cell.count - cell.seconds.length;
        there.logN += cell.logN;
        there.depths += cell.depths;
        cell.seconds.forEach((seconds, index) => {
          put(there, seconds, cell.at[index] ?? Number.NaN);
        });
        there.spreads.push(...cell.spreads);
      }
    }
    cells = coarse;
    notes.set("lengths-grouped", {
      code: "lengths-grouped",
      message: "very many different lengths: those within 1 % of each other are put together",
    });
  };

  return {
    add: (observation, where) => {
      const { phase, batch, seconds } = observation;
      if (!(seconds > 0 && seconds < Number.POSITIVE_INFINITY)) {
        throw badInput("bad-seconds", {
          where,
          key: "time",
          found: seconds,
          expected: "a positive time; leave failed requests out",
        });
      }
      checkLength(observation.n, "length", 1, where);
      checkLength(observation.depth, "depth", 0, where);
      checkLength(batch, "batch", 1, where);
      const n = together ? grouped(observation.n, cellGroup) : observation.n;
      const depth = together ? grouped(observation.depth, cellGroup) : observation.depth;
      const key = keyOf({ phase, batch, n, depth });
      let cell = cells.get(key);
      if (cell === undefined) {
        cell = { phase, batch, n, depth, count: 0, logN: 0, depths: 0, seconds: [], at: [], spreads: [] };
        cells.set(key, cell);
      }
      cell.logN += Math.log(observation.n);
      cell.depths += observation.depth;
      put(cell, seconds, observation.at ?? Number.NaN);
      if (observation.spread !== undefined && cell.spreads.length < mostRepeats) cell.spreads.push(observation.spread);
      count += 1;
      if (!together && cells.size > mostCells) putTogether();
      if (kept > mostKept) thin();
    },
    identify: (field, value, where) => {
      const text = value.trim();
      if (text === "") return;
      const known = identity.get(field);
      if (known === undefined) identity.set(field, { value: text, where });
      else if (known.value !== text) {
        throw new NsquaredError(
          "samples-mixed",
          `${where}: ${field} is ${show(text)}, but ${show(known.value)} in ${known.where}; samples that differ in it do not mix, split the file`,
          { where, key: field, found: text, expected: known.value },
        );
      }
    },
    note: (code, message) => notes.set(code, { code, message }),
    unit: (text) => units.add(text),
    finish: () => ({
      series: seriesOf([...cells.values()]),
      identity: Object.fromEntries([...identity].map(([field, { value }]) => [field, value])),
      notes: [...notes.values()],
      units: [...units],
      count,
    }),
  };
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

/** Cells as series: for each phase and batch every sweep over the length, and apart from them every sweep over the depth. */
function seriesOf(cells: readonly Kept[]): Series[] {
  const found = groupBy(cells, (cell) => `${cell.phase} ${cell.batch}`).flatMap((group) => {
    if (group[0]?.phase === "decode") return [series(group, "depth")];
    const byDepth = groupBy(group, (cell) => String(cell.depth)).map((part) => series(part, "length"));
    const byLength = groupBy(group, (cell) => String(cell.n)).map((part) => series(part, "depth"));
    const swept = [...byDepth, ...byLength].filter((one) => one.lengths > 1);
    return swept.length > 0 ? swept : byDepth;
  });
  const phases: readonly SeriesPhase[] = ["prefill", "decode", "decode-uncached"];
  const rank = (one: Series) => [
    phases.indexOf(one.phase),
    one.lengths > 1 ? 0 : 1,
    one.axis === "length" && one.fixed === 0 ? 0 : 1,
    -one.lengths,
    one.batch,
  ];
  return found
    .map((one) => ({ one, rank: rank(one) }))
    .sort((left, right) => {
      const place = left.rank.findIndex((value, i) => value !== right.rank[i]);
      return place < 0 ? 0 : (left.rank[place] ?? 0) - (right.rank[place] ?? 0);
    })
    .map(({ one }) => one);
}

/** Where a cell's samples lie on an axis. */
function placeOf(cell: Kept, axis: Series["axis"]): number {
  const depth = cell.depths / cell.count;
  if (cell.phase === "decode") return Math.max(1, depth);
  // The logarithm of one length and back would not be quite that length.
  const mean = Math.exp(cell.logN / cell.count);
  const n = Math.abs(mean / cell.n - 1) < 1e-9 ? cell.n : mean;
  return axis === "length" ? n : depth + n;
}

function series(cells: readonly Kept[], axis: Series["axis"]): Series {
  const [first] = cells;
  const phase = first?.phase ?? "prefill";
  const places = placesOf(cells.map((cell) => ({ length: placeOf(cell, axis), weight: cell.seconds.length })));
  const points: SeriesPoint[] = cells.flatMap((cell, i) => {
    const n = places[i] ?? 1;
    return cell.seconds.map((seconds, index) => {
      const when = cell.at[index] ?? Number.NaN;
      return { n, seconds, ...(Number.isNaN(when) ? {} : { at: when }) };
    });
  });
  const spreads = cells.flatMap((cell) => cell.spreads);
  return {
    phase,
    axis,
    fixed: (axis === "length" ? first?.depth : first?.n) ?? 0,
    batch: first?.batch ?? 1,
    points,
    count: cells.reduce((sum, cell) => sum + cell.count, 0),
    lengths: new Set(places).size,
    spread:
      spreads.length === 0 ? null : Math.sqrt(spreads.reduce((sum, value) => sum + value * value, 0) / spreads.length),
  };
}

/**
 * Where each length stands in the fit: itself, or where there are too many for a law the (geometric) mean of its neighbours,
 * at which their mean time is that of a curve that is straight among them.
 */
function placesOf(lengths: readonly { readonly length: number; readonly weight: number }[]): number[] {
  const distinct = [...new Set(lengths.map(({ length }) => length))].sort((left, right) => left - right);
  if (distinct.length <= mostLengths) return lengths.map(({ length }) => length);
  const ratio = ((distinct.at(-1) ?? 1) / (distinct[0] ?? 1)) ** (1 / (mostLengths - 1));
  const groupOf = (length: number) => grouped(length, Math.max(ratio, cellGroup));
  const groups = new Map<number, { logs: number; weight: number }>();
  for (const { length, weight } of lengths) {
    const { logs, weight: before } = groups.get(groupOf(length)) ?? { logs: 0, weight: 0 };
    groups.set(groupOf(length), { logs: logs + weight * Math.log(length), weight: before + weight });
  }
  const means = new Map([...groups].map(([group, { logs, weight }]) => [group, Math.exp(logs / weight)]));
  return lengths.map(({ length }) => means.get(groupOf(length)) ?? length);
}
