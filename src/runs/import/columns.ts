import { badInput } from "../../base/errors.js";
import type { Collector } from "./collect.js";
import type { SeriesPhase } from "./types.js";
import { knownUnits, parseQuantity, secondsOf, type TimeUnit, unitOf } from "./units.js";

/** Which column means what, by its name; `time` may carry a unit, as `latency:ms`. */
export type ColumnChoice = Readonly<Partial<Record<ColumnRole, string>>>;
export const columnRoles = ["length", "depth", "time", "phase", "batch"] as const;
export type ColumnRole = (typeof columnRoles)[number];

const lengthNames =
  /^(?:n|len|length|lengths|tokens|n_?tokens|seq_?len|sequence_?length|(?:input|prompt)_(?:len|length|tokens)|n_?prompt|isl|input_sequence_length)$/;
const depthNames = /^(?:depth|n_?depth|cached|n_?cached|context|context_?(?:len|length|tokens)|ctx|n_?ctx|n_?kv|c)$/;
/** When a row was measured: a date, or a number of seconds or smaller units from whenever. */
const momentNames = /^(?:timestamp|start|started|started_at|start_time|measured_at|date|datetime)(?:_(?:s|ms|us|ns))?$/;
const batchNames = /^(?:batch|batch_?size|b|n_?seqs?)$/;
const phaseNames = /^(?:phase|stage|test|kind|mode)$/;
/** Fields in which samples must not differ. */
const identityNames =
  /^(?:model|model_?(?:name|id|key|type|filename)|machine|host|hardware|device|gpu|gpus|cpu|engine|runtime|backend|dtype|quantization|threads|concurrency)$/;
const prefillTimes = /^(?:ttft|prefill|time_to_first_token|prompt)$/;
const decodeTimes = /^(?:tpot|itl|decode|per_token|time_per_output_token|inter_token_latency|tg|gen)$/;
const plainTimes = /^(?:time|latency|duration|elapsed|wall|value|)$/;
const wanted =
  "a column of lengths (n, tokens, input_len, depth, context …) and one of times (seconds, latency_ms, ttft_ms, tok/s …)";

interface TimeColumn {
  readonly name: string;
  readonly index: number;
  readonly unit: TimeUnit | null;
  readonly phase: SeriesPhase | null;
}

interface Layout {
  readonly length: number;
  readonly depth: number;
  readonly batch: number;
  readonly phase: number;
  readonly moment: number;
  readonly times: readonly TimeColumn[];
  readonly identity: readonly { readonly field: string; readonly index: number }[];
}

/** `Latency (ms)` → name `latency`, unit ms. */
function timeColumnOf(header: string): { base: string; unit: TimeUnit | null } | null {
  const text = header.trim().toLowerCase();
  const rate = unitOf(text);
  if (rate !== null) return { base: "", unit: rate };
  const bracket = /^(.*?)\s*[([]\s*([^)\]]+)\s*[)\]]$/.exec(text);
  if (bracket !== null) {
    const unit = unitOf(bracket[2] ?? "");
    return unit === null ? null : { base: snake(bracket[1] ?? ""), unit };
  }
  const perToken = /^(.*?)_?(ns|us|µs|ms|s|seconds)[_ /]?per[_ /]token$|^(.*?)_?(ms|s)\/tok(?:en)?$/.exec(text);
  if (perToken !== null) return { base: "per_token", unit: unitOf(perToken[2] ?? perToken[4] ?? "") };
  const words = snake(text);
  const ending = /^(.*)_(tokens_per_second|tok_s|[^_]+)$/.exec(words);
  const unit = ending === null ? null : unitOf(ending[2] ?? "");
  return unit === null ? { base: words, unit: null } : { base: ending?.[1] ?? "", unit };
}

function snake(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replace(/[^a-z0-9µ/]+/g, "_")
    .replace(/^_|_$/g, "");
}

function timePhase(base: string): SeriesPhase | null | undefined {
  const last = base.replace(/^(?:mean|median|avg|average|p50)_|_(?:mean|median|avg|average|p50)$/g, "");
  if (prefillTimes.test(last)) return "prefill";
  if (decodeTimes.test(last)) return "decode";
  return plainTimes.test(last) ? null : undefined;
}

function timeColumn(name: string, index: number): TimeColumn[] {
  const read = timeColumnOf(name);
  const phase = read === null ? undefined : timePhase(read.base);
  return read === null || phase === undefined ? [] : [{ name, index, unit: read.unit, phase }];
}

function wrongColumns(header: readonly string[], where: string, expected: string): Error {
  return badInput("columns-wrong", {
    where,
    key: "columns",
    found: header.join(", "),
    expected: `expected ${expected}; or name them: --columns length=n,time=latency:ms`,
  });
}

/**
 * What the columns of a table mean.
 *
 * @throws NsquaredError `columns-wrong` with the columns that are there and those that are wanted
 */
function layoutOf(header: readonly string[], choice: ColumnChoice, where: string): Layout {
  const names = header.map(snake);
  const chosen = (role: ColumnRole): number | null => {
    const asked = choice[role]?.replace(/:[^:]*$/, "");
    if (asked === undefined) return null;
    const index = header.findIndex((name) => name.trim() === asked || snake(name) === snake(asked));
    if (index < 0) throw wrongColumns(header, where, `a column ${asked}`);
    return index;
  };
  const asked = new Set(columnRoles.map(chosen));
  const find = (role: ColumnRole, pattern: RegExp): number => {
    const named = chosen(role);
    if (named !== null) return named;
    const matching = names.flatMap((name, index) => (pattern.test(name) && !asked.has(index) ? [index] : []));
    if (matching.length > 1) {
      const both = matching.map((index) => header[index]).join(" and ");
      throw wrongColumns(header, where, `one column of ${role}, not ${both}`);
    }
    return matching[0] ?? -1;
  };
  const length = find("length", lengthNames);
  const depth = find("depth", depthNames);
  const batch = find("batch", batchNames);
  const phase = find("phase", phaseNames);
  if (length < 0 && depth < 0) throw wrongColumns(header, where, wanted);
  const moment = names.findIndex((name) => momentNames.test(name));
  const taken = new Set([length, depth, batch, phase, moment]);
  const askedTime = chosen("time");
  const times =
    askedTime === null
      ? header.flatMap((name, index) => (taken.has(index) ? [] : timeColumn(name, index)))
      : [askedColumn(header[askedTime] ?? "", askedTime, choice.time ?? "", where)];
  if (times.length === 0) throw wrongColumns(header, where, wanted);
  const twice = times.find((one, i) => times.some((other, j) => j < i && other.phase === one.phase));
  if (twice !== undefined || (times.length > 1 && times.some((one) => one.phase === null))) {
    throw wrongColumns(header, where, `one column of times, not ${times.map(({ name }) => name).join(" and ")}`);
  }
  const identity = names.flatMap((name, index) =>
    !taken.has(index) && identityNames.test(name) ? [{ field: name, index }] : [],
  );
  return { length, depth, batch, phase, moment, times, identity };
}

function askedColumn(name: string, index: number, asked: string, where: string): TimeColumn {
  const suffix = /:([^:]*)$/.exec(asked)?.[1];
  const read = timeColumnOf(name);
  const unit = suffix === undefined ? (read?.unit ?? null) : unitOf(suffix);
  if (suffix !== undefined && unit === null) {
    throw badInput("unit-unknown", { where, key: "unit", found: suffix, expected: knownUnits });
  }
  return { name, index, unit, phase: (read === null ? null : timePhase(read.base)) ?? null };
}

function phaseOf(text: string, where: string): SeriesPhase {
  const word = text.trim().toLowerCase();
  if (/^(?:prefill|pp|prompt|ttft|encode)/.test(word)) return "prefill";
  if (word === "decode-uncached") return "decode-uncached";
  if (/^(?:decode|tg|gen|generation|tpot|itl)/.test(word)) return "decode";
  throw badInput("phase-unknown", { where, key: "phase", found: text, expected: "prefill or decode" });
}

function lengthIn(text: string, key: string, where: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isFinite(value)) return value;
  throw badInput("length-invalid", { where, key, found: text, expected: "a number of tokens" });
}

/** Reads the rows of a table with a header, one by one. */
export function rowReader(
  header: readonly string[],
  choice: ColumnChoice,
  collector: Collector,
  where: string,
): (row: readonly string[], at: string) => void {
  const layout = layoutOf(header, choice, where);
  const stated = layout.times.map(() => new Set<string>());
  for (const { name, unit } of layout.times) if (unit !== null) collector.unit(`${name} in ${unit.name}`);
  return (row, at) => {
    const cell = (index: number) => row[index] ?? "";
    for (const { field, index } of layout.identity) collector.identify(field, cell(index), at);
    const named = layout.phase < 0 ? null : phaseOf(cell(layout.phase), at);
    const batch = layout.batch < 0 ? 1 : lengthIn(cell(layout.batch), "batch", at);
    layout.times.forEach((column, i) => {
      const text = cell(column.index);
      if (text.trim() === "" && layout.times.length > 1) return;
      const phase = column.phase ?? named ?? (layout.length < 0 ? "decode" : "prefill");
      if (named !== null && column.phase !== null && named !== column.phase) return;
      const quantity = parseQuantity(text);
      if (quantity === null) {
        throw badInput("bad-seconds", { where: at, key: column.name, found: text, expected: "a positive time" });
      }
      const unit = quantity.unit ?? column.unit;
      if (unit === null) {
        throw badInput("unit-missing", {
          where: at,
          key: column.name,
          found: text,
          expected: `no unit: name one of ${knownUnits} in the column's name, as ${column.name}_ms, or --columns time=${column.name}:ms`,
        });
      }
      unitsAgree(stated[i] ?? new Set(), quantity.unit, column, at, text);
      if (quantity.unit !== null) collector.unit(`${column.name} in ${unit.name}, as each row says`);
      const first = layout.length < 0 ? 0 : lengthIn(cell(layout.length), "length", at);
      const cached = layout.depth < 0 ? 0 : lengthIn(cell(layout.depth), "depth", at);
      const step = phase === "decode" ? 1 : first;
      const depth = phase === "decode" ? Math.max(first, cached) : cached;
      const seconds = quantity.value > 0 ? secondsOf(quantity.value, unit, step) : quantity.value;
      const moment = layout.moment < 0 ? null : momentOf(cell(layout.moment));
      collector.add({ phase, n: step, depth, batch, seconds, ...(moment === null ? {} : { at: moment }) }, at);
    });
  };
}

/**
 * Seconds of a date, or of a number in the unit that its size tells: seconds since 1970 have ten digits, smaller units three
 * more each. Null where it is neither.
 */
export function momentOf(text: string): number | null {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isFinite(value)) {
    const thousands = value < 1e11 ? 0 : value < 1e14 ? 1 : value < 1e17 ? 2 : 3;
    return value / 1000 ** thousands;
  }
  const parsed = Date.parse(text);
  return Number.isNaN(parsed) ? null : parsed / 1000;
}

/** Either all rows of a column state their unit or none does, and never another than the column's own. */
function unitsAgree(
  stated: Set<string>,
  unit: TimeUnit | null,
  column: TimeColumn,
  where: string,
  found: string,
): void {
  const kind = unit === null ? "none" : "each";
  stated.add(kind);
  const contradicts = unit !== null && column.unit !== null && unit.name !== column.unit.name;
  if (stated.size === 1 && !contradicts) return;
  throw badInput("units-mixed", {
    where,
    key: column.name,
    found,
    expected: contradicts
      ? `units are mixed: the column is in ${column.unit?.name ?? ""}`
      : "units are mixed: some rows state one and some do not",
  });
}
