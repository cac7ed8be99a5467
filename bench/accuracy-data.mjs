// Sweeps of published latencies: one curve over length or depth, everything else equal. `sweepsOf` makes them of full
// tables, `readSweeps` reads the thinned copy in bench/data (data/README.md has the sources).
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Papa from "papaparse";
import { rowsOf } from "./hardware-data.mjs";

/** @typedef {"prefill over length" | "prefill over depth" | "decode over context"} Kind */
/** @typedef {{kind: Kind, about: Record<string, string>, points: {n: number, seconds: number}[]}} Sweep */

const data = fileURLToPath(new URL("data", import.meta.url));
const fewest = 5;
/** Rows whose own source or a check on them says that they are no plain measurement. */
const unfair = new Set(["outlier_suspect", "faster_than_naive_roofline", "cache_resident"]);
/** A time-out written down as a time. */
const timeOut = 999;
const fields = ["source", "model", "hardware", "gpus", "dtype", "engine", "engine_version", "batch"];

/**
 * Rows with equal fields as sweeps; a length that is there more than once is a repeat.
 *
 * @param {Record<string, string>[]} rows
 * @param {Kind} kind
 * @param {string[]} equal further fields that must be equal
 * @param {(row: Record<string, string>) => {n: number, seconds: number}} point
 * @returns {Sweep[]}
 */
function groups(rows, kind, equal, point) {
  /** @type {Map<string, Sweep>} */
  const found = new Map();
  for (const row of rows) {
    const { n, seconds } = point(row);
    if (unfair.has(row.check ?? "") || !(n >= 1) || !(seconds > 0) || seconds === timeOut) continue;
    // The place of a single record within its file, and how often it was repeated, make no other experiment.
    const ref = (row.ref ?? "").replace(/ id=\S+$/, "");
    const note = (row.note ?? "").replace(/repeats=\d+/, "");
    const key = JSON.stringify([ref, note, ...[...fields, ...equal].map((field) => row[field])]);
    const about = { ...Object.fromEntries(fields.map((field) => [field, row[field] ?? ""])), ref };
    const sweep = found.get(key) ?? { kind, about, points: [] };
    sweep.points.push({ n, seconds });
    found.set(key, sweep);
  }
  return [...found.values()].filter((sweep) => new Set(sweep.points.map(({ n }) => n)).size >= fewest);
}

/**
 * All sweeps of a folder with e2e_prefill.csv and e2e_decode.csv.
 *
 * @param {string} folder
 */
export function sweepsOf(folder) {
  const prefill = rowsOf(join(folder, "e2e_prefill.csv"));
  const decode = rowsOf(join(folder, "e2e_decode.csv"));
  const tokens = (/** @type {Record<string, string>} */ row) => Number(row.n_tokens);
  const fresh = prefill.filter((row) => Number(row.depth) === 0);
  return [
    ...groups(fresh, "prefill over length", ["metric"], (row) => ({
      n: tokens(row),
      seconds: Number(row.seconds),
    })),
    // As nsquared fit has it: the context at the end of the chunk.
    ...groups(prefill, "prefill over depth", ["metric", "n_tokens"], (row) => ({
      n: Number(row.depth) + tokens(row),
      seconds: Number(row.seconds),
    })),
    ...groups(decode, "decode over context", [], (row) => ({
      n: Number(row.context),
      seconds: Number(row.ms_per_token) / 1000,
    })),
  ];
}

/**
 * The longest third of a sweep's lengths apart from the rest.
 *
 * @param {Sweep} sweep
 * @returns {{kept: Sweep["points"], hidden: Sweep["points"]}}
 */
export function hideLongest({ points }) {
  const lengths = [...new Set(points.map(({ n }) => n))].sort((left, right) => left - right);
  const last = lengths[Math.ceil((lengths.length * 2) / 3) - 1] ?? 0;
  const hidden = points.filter(({ n }) => n > last).sort((left, right) => left.n - right.n);
  return { kept: points.filter(({ n }) => n <= last), hidden };
}

/** @param {Sweep[]} sweeps */
export function writeSweeps(sweeps) {
  const about = sweeps.map((sweep, id) => ({ id, kind: sweep.kind, ...sweep.about }));
  const points = sweeps.flatMap((sweep, id) => sweep.points.map(({ n, seconds }) => ({ id, n, seconds })));
  writeFileSync(join(data, "sweeps.csv"), `${Papa.unparse(about, { newline: "\n" })}\n`);
  writeFileSync(join(data, "points.csv"), `${Papa.unparse(points, { newline: "\n" })}\n`);
}

/** @returns {Sweep[]} */
export function readSweeps() {
  const sweeps = rowsOf(join(data, "sweeps.csv")).map(
    ({ id: _id, kind, ...about }) => /** @type {Sweep} */ ({ kind, about, points: [] }),
  );
  for (const { id, n, seconds } of rowsOf(join(data, "points.csv"))) {
    sweeps[Number(id)]?.points.push({ n: Number(n), seconds: Number(seconds) });
  }
  return sweeps;
}
