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
  const identity = new Map<string, { value: string; where: string }>();
  const notes = new Map<string, Warning>();
  const units = new Set<string>();
  let count = 0;

  const keyOf = ({ phase, batch, n, depth }: Pick<Kept, "phase" | "batch" | "n" | "depth">) =>
    `${phase} ${batch} ${n} ${depth}`;

  const put = (cell: Kept, seconds: number, at: number): void => {
    cell.count += 1;
    const place = cell.seconds.length < mostRepeats ? cell.seconds.length : Math.floor(random() * cell.count);
    if (place >= mostRepeats) return;
    cell.seconds[place] = seconds;
    cell.at[place] = at;
  };

  const putTogether = (): void => {
    together = true;
    const coarse = new Map<string, Kept>();
    for (const cell of cells.values()) {
      const moved = { ...cell, n: grouped(cell.n, cellGroup), depth: grouped(cell.depth, cellGroup) };
      const key = keyOf(moved);
      const there = coarse.get(key);
      if (there === undefined) coarse.set(key, moved);
      else {
        there.count += cell.count - cell.seconds.length;
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
        cell = { phase, batch, n, depth, count: 0, seconds: [], at: [], spreads: [] };
        cells.set(key, cell);
      }
      put(cell, seconds, observation.at ?? Number.NaN);
      if (observation.spread !== undefined && cell.spreads.length < mostRepeats) cell.spreads.push(observation.spread);
      count += 1;
      if (!together && cells.size > mostCells) putTogether();
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

function series(cells: readonly Kept[], axis: Series["axis"]): Series {
  const [first] = cells;
  const phase = first?.phase ?? "prefill";
  const at = (cell: Kept): number => {
    if (phase === "decode") return Math.max(1, cell.depth);
    return axis === "length" ? cell.n : cell.depth + cell.n;
  };
  const lengths = new Set(cells.map(at));
  const place = placesOf([...lengths]);
  const points: SeriesPoint[] = cells.flatMap((cell) => {
    const n = place.get(at(cell)) ?? at(cell);
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
    lengths: new Set(place.values()).size,
    spread:
      spreads.length === 0 ? null : Math.sqrt(spreads.reduce((sum, value) => sum + value * value, 0) / spreads.length),
  };
}

/** Where each length stands in the fit: itself, or the mean of its neighbours where there are too many for a law. */
function placesOf(lengths: readonly number[]): Map<number, number> {
  if (lengths.length <= mostLengths) return new Map(lengths.map((length) => [length, length]));
  const logs = lengths.map(Math.log).sort((left, right) => left - right);
  const ratio = Math.exp(((logs.at(-1) ?? 0) - (logs[0] ?? 0)) / (mostLengths - 1));
  return new Map(lengths.map((length) => [length, grouped(length, Math.max(ratio, cellGroup))]));
}
