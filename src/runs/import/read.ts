import { createReadStream, existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import Papa from "papaparse";
import { badInput, show } from "../../base/errors.js";
import { journalPathOf } from "../journal.js";
import { mergeRuns } from "../merge.js";
import { systemCode } from "../output.js";
import { largestRunBytes, readRun } from "../read.js";
import { isUsable, lengthOf, type Run, type UsableSample } from "../schema.js";
import { type Collector, createCollector } from "./collect.js";
import { type ColumnChoice, rowReader } from "./columns.js";
import { llamaBench } from "./llama-bench.js";
import type { RecordFormat } from "./record-format.js";
import { recordFormats } from "./records.js";
import type { Axis, SampleSet, Series, SeriesPhase } from "./types.js";

export interface ImportOptions {
  /** Which columns of a table mean what, where their names do not say. */
  readonly columns?: ColumnChoice;
}

const readable =
  "a run file of nsquared, a CSV with a header, JSON lines, or a result of llama-bench (-o json, jsonl, csv), vllm bench serve, GuideLLM or AIPerf";

const longestLine = 64 * 1024 * 1024;
const headBytes = 1024 * 1024;

type Kind = "run" | "json" | "json-lines" | "csv";

async function headOf(path: string): Promise<string> {
  const stream = createReadStream(path, { encoding: "utf8", end: headBytes - 1 });
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return text.replace(/^\uFEFF/, "");
}

function parsedOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unreadable(path: string, head: string): Error {
  return badInput("format-unknown", {
    where: path,
    key: "content",
    found: head.trimStart().slice(0, 60),
    expected: `expected ${readable}`,
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function headerLine(head: string): string {
  return head.split(/\r\n|\n|\r/).find((text) => text.trim() !== "" && !text.startsWith("#")) ?? "";
}

const delimiters = [",", ";", "\t", "|"];

/** What separates the columns: the mark that the header has most of. */
function delimiterOf(line: string): string | null {
  const counts = delimiters.map((mark) => ({ mark, count: line.split(mark).length - 1 }));
  const best = counts.reduce((most, one) => (one.count > most.count ? one : most));
  return best.count === 0 ? null : best.mark;
}

/** What a file is, by how it begins; the name's ending decides nothing. */
function kindOf(head: string, path: string): Kind {
  const start = head.trimStart();
  if (start === "")
    throw badInput("file-empty", { where: path, key: "content", found: "", expected: `expected ${readable}` });
  if (start.startsWith("[")) return "json";
  if (start.startsWith("{")) {
    const line = start.split("\n", 1)[0] ?? "";
    const first = parsedOrNull(line);
    if (isRecord(first)) {
      if (typeof first["schema"] === "string" && first["schema"].startsWith("nsquared/")) return "run";
      return start.slice(line.length).trim() === "" ? "json" : "json-lines";
    }
    return /^\s*\{\s*"schema"\s*:\s*"nsquared\//.test(start) ? "run" : "json";
  }
  const line = headerLine(head);
  if (delimiterOf(line) !== null && !line.includes("\u0000")) return "csv";
  throw unreadable(path, head);
}

/** Rows that are plain objects, `{"n": 512, "seconds": 0.2}`: read as a table whose header is the first one's keys. */
function objectReader(collector: Collector, options: ImportOptions, path: string) {
  let format: RecordFormat | "rows" | null = null;
  let keys: readonly string[] = [];
  let row: ReturnType<typeof rowReader> | null = null;
  const nameOf = (one: RecordFormat | "rows" | null) => (one === null ? "" : one === "rows" ? "rows" : one.name);
  return {
    read: (value: unknown, where: string): void => {
      if (!isRecord(value)) {
        throw badInput("format-unknown", { where, key: "content", found: value, expected: `expected ${readable}` });
      }
      const found = recordFormats.find((one) => one.recognises(value)) ?? "rows";
      if (format === null) format = found;
      if (found !== format) {
        throw badInput("format-mixed", {
          where,
          key: "content",
          found: nameOf(found),
          expected: `the lines before are ${nameOf(format)}; one format a file`,
        });
      }
      if (found !== "rows") {
        found.read(value, collector, where);
        return;
      }
      if (row === null) {
        keys = Object.keys(value);
        row = rowReader(keys, options.columns ?? {}, collector, path);
      }
      row(
        keys.map((key) => {
          const cell = value[key];
          return typeof cell === "string"
            ? cell
            : typeof cell === "number"
              ? String(cell)
              : cell == null
                ? ""
                : show(cell);
        }),
        where,
      );
    },
    name: () => nameOf(format),
  };
}

async function readWhole(path: string): Promise<string> {
  const { size } = await stat(path);
  if (size > largestRunBytes) {
    throw badInput("file-too-large", {
      where: path,
      key: "size",
      found: size,
      expected: `at most ${largestRunBytes} bytes of one JSON document; JSON lines and CSV have no limit`,
    });
  }
  let text = "";
  for await (const chunk of createReadStream(path, { encoding: "utf8" })) text += String(chunk);
  return text.replace(/^\uFEFF/, "");
}

async function readJson(path: string, collector: Collector, options: ImportOptions): Promise<string> {
  const text = await readWhole(path);
  const value = parsedOrNull(text);
  // A first line longer than what was looked at may still be one of many.
  if (value === undefined && isRecord(parsedOrNull(text.split("\n", 1)[0] ?? ""))) {
    return readLines(path, collector, options);
  }
  if (value === undefined) {
    throw badInput("not-json", {
      where: path,
      key: "content",
      found: text.trimStart().slice(0, 60),
      expected: "JSON that ends",
    });
  }
  if (isRecord(value) && !recordFormats.some((one) => one.recognises(value))) {
    throw badInput("format-unknown", {
      where: path,
      key: "keys",
      found: Object.keys(value).join(", "),
      expected: `expected ${readable}`,
    });
  }
  const reader = objectReader(collector, options, path);
  if (Array.isArray(value)) value.forEach((item: unknown, i) => reader.read(item, `${path}[${i}]`));
  else reader.read(value, path);
  return `json/${reader.name()}`;
}

async function readLines(path: string, collector: Collector, options: ImportOptions): Promise<string> {
  const reader = objectReader(collector, options, path);
  const lines = createInterface({ input: createReadStream(path, { encoding: "utf8" }), crlfDelay: Infinity });
  let number = 0;
  for await (const line of lines) {
    number += 1;
    const text = number === 1 ? line.replace(/^\uFEFF/, "") : line;
    if (text.trim() === "") continue;
    const where = `${path}:${number}`;
    const value = text.length > longestLine ? undefined : parsedOrNull(text);
    if (value === undefined) {
      throw badInput("not-json", { where, key: "line", found: text.slice(0, 60), expected: "one JSON object a line" });
    }
    reader.read(value, where);
  }
  return `json-lines/${reader.name()}`;
}

/** Streamed: the rows are read and forgotten, chunk by chunk. */
async function readCsv(path: string, collector: Collector, options: ImportOptions): Promise<string> {
  const delimiter = delimiterOf(headerLine(await headOf(path))) ?? ",";
  return new Promise((done, reject) => {
    let header: string[] | null = null;
    let row: ((cells: readonly string[], where: string) => void) | null = null;
    let format = "csv/rows";
    let failure: unknown = null;
    let line = 0;
    const take = (cells: string[]): void => {
      line += 1;
      const start = (cells[0] ?? "").trim();
      if (start.startsWith("#") || (cells.length === 1 && start === "")) return;
      const where = `${path}:${line}`;
      if (header === null) {
        header = cells.map((name, i) => (i === 0 ? name.replace(/^\uFEFF/, "") : name).trim());
        if (llamaBench.recognises(Object.fromEntries(header.map((name) => [name, ""])))) format = "csv/llama-bench";
        else row = rowReader(header, options.columns ?? {}, collector, path);
        return;
      }
      if (cells.length !== header.length) {
        throw badInput("row-invalid", {
          where,
          key: "columns",
          found: cells.length,
          expected: `${header.length}, as in the header`,
        });
      }
      if (row !== null) row(cells, where);
      else llamaBench.read(Object.fromEntries(header.map((name, i) => [name, cells[i] ?? ""])), collector, where);
    };
    const input = createReadStream(path, { encoding: "utf8" });
    input.on("error", reject);
    Papa.parse<string[]>(input, {
      delimiter,
      chunk: (results, parser) => {
        try {
          for (const cells of results.data) take(cells);
        } catch (error) {
          failure = error;
          parser.abort();
          input.destroy();
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      },
      complete: () => {
        if (failure === null) done(format);
      },
      error: reject,
    });
  });
}

const runPhases: readonly SeriesPhase[] = ["prefill", "decode", "decode-uncached"];

/** Distinct numbers, ascending. */
function ascending(values: readonly number[]): number[] {
  return [...new Set(values)].sort((left, right) => left - right);
}

/** One of our runs as samples: warm-ups and rejected ones left out, blocks kept. */
export function samplesOfRun(run: Run, path: string): SampleSet {
  const usable = run.samples.filter(isUsable);
  if (usable.some(({ variant }) => variant !== undefined)) {
    throw badInput("several-variants", {
      where: path,
      key: "samples",
      found: "of several variants",
      expected: "the run of a comparison holds several laws; nsquared compare fits each of them",
    });
  }
  // Each batch, or number of requests at once, has a law of its own.
  const batches = ascending(usable.map(({ batch }) => batch));
  const series = runPhases.flatMap((phase) =>
    batches.flatMap((batch): Series[] => {
      const own = usable.filter((sample) => sample.phase === phase && sample.batch === batch);
      const sweep = (axis: Axis, fixed: number, part: readonly UsableSample[]): Series => {
        const at = (sample: UsableSample): number =>
          axis === "length" || phase === "decode" ? lengthOf(sample) : sample.n + sample.depth;
        return {
          phase,
          axis,
          fixed,
          batch,
          points: part.map((sample) => ({ n: at(sample), seconds: sample.seconds, block: sample.block })),
          count: part.length,
          lengths: new Set(part.map(at)).size,
          spread: null,
        };
      };
      if (phase === "decode") return own.length === 0 ? [] : [sweep("depth", 1, own)];
      const part = (key: "n" | "depth", value: number): UsableSample[] => own.filter((one) => one[key] === value);
      const depths = ascending(own.map(({ depth }) => depth));
      const overLength = depths.map((depth) => sweep("length", depth, part("depth", depth)));
      const overDepth = ascending(own.map(({ n }) => n)).map((n) => sweep("depth", n, part("n", n)));
      const swept = [...overLength, ...overDepth].filter(({ lengths }) => lengths > 1);
      return swept.length > 0 ? swept : overLength;
    }),
  );
  const identity = { model: run.model.name, "model.digest": run.model.digest, machine: run.machine.cpu };
  return { path, format: "run", model: run.model.name, identity, units: [], series, notes: run.warnings, run };
}

const modelFields = ["model", "model_id", "model_name", "model_filename", "model_type", "model_key"];

/**
 * Samples from one file, or from several that are one experiment. Formats are recognised by their content.
 *
 * @throws NsquaredError for anything that is not samples, each in one line that names the place; `samples-mixed` and
 *   `runs-incompatible` where models or machines differ
 */
export async function readSamples(paths: readonly string[], options: ImportOptions = {}): Promise<SampleSet> {
  const [first] = paths;
  if (first === undefined) throw badInput("no-samples", { key: "files", found: 0, expected: `expected ${readable}` });
  const twice = paths.find((path, i) => paths.findIndex((other) => resolve(other) === resolve(path)) < i);
  if (twice !== undefined) {
    // Counted twice, one file would pretend to repeats that nobody made.
    throw badInput("files-repeated", { where: twice, key: "files", found: twice, expected: "each file once" });
  }
  const kinds: Kind[] = [];
  for (const path of paths) kinds.push(await kindOfFile(path));
  if (kinds.every((kind) => kind === "run")) {
    const runs: Run[] = [];
    for (const path of paths) runs.push(await readRun(path));
    const [only] = runs;
    const run = runs.length === 1 && only !== undefined ? only : mergeRuns(runs, runs[0]?.created ?? "");
    return samplesOfRun(run, paths.join(", "));
  }
  const odd = kinds.findIndex((kind) => (kind === "run") !== (kinds[0] === "run"));
  if (odd >= 0) {
    throw badInput("format-mixed", {
      where: paths[odd] ?? "",
      key: "content",
      found: kinds[odd],
      expected: `${first} is ${kinds[0] ?? ""}; run files do not mix with others`,
    });
  }
  const collector = createCollector();
  const formats = new Set<string>();
  for (const [i, path] of paths.entries()) {
    const kind = kinds[i];
    if (kind === "csv") formats.add(await readCsv(path, collector, options));
    else if (kind === "json-lines") formats.add(await readLines(path, collector, options));
    else formats.add(await readJson(path, collector, options));
  }
  const { series, identity, notes, units, count } = collector.finish();
  if (count === 0) {
    throw badInput("no-samples", {
      where: paths.join(", "),
      key: "samples",
      found: 0,
      expected: `no timed step in it; ${notes[0]?.message ?? "expected a run or samples, a row each"}`,
    });
  }
  return {
    path: paths.join(", "),
    format: [...formats].join(", "),
    model: modelFields.map((field) => identity[field]).find((value) => value !== undefined) ?? null,
    identity,
    units,
    series,
    notes,
    run: null,
  };
}

async function kindOfFile(path: string): Promise<Kind> {
  try {
    const info = await stat(path);
    if (!info.isFile())
      throw badInput("not-a-file", { where: path, expected: `not a regular file; expected ${readable}` });
    return kindOf(await headOf(path), path);
  } catch (error) {
    const code = systemCode(error);
    // A run that was never sealed has its journal beside the path that was asked for; readRun finds it.
    if (code === "ENOENT" && existsSync(journalPathOf(path))) return "run";
    if (code === "ENOENT") {
      throw badInput("file-not-found", { where: path, expected: "no such file; expected a run or samples" });
    }
    if (code === null) throw error;
    throw badInput("file-unreadable", { where: path, expected: `cannot be read: ${code}` });
  }
}
