// Published kernel and end-to-end timings: `readTiming` reads the thinned copies in bench/data, or full tables of a
// folder (`--data`); `thinTimings` makes the copies. data/README.md has the sources.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import Papa from "papaparse";

/** @typedef {Record<string, string>} Row */
/** @typedef {"gemm" | "attention" | "mixers" | "prefill" | "decode"} Table */

const copies = fileURLToPath(new URL("data", import.meta.url));

/** Name of the table in a folder of full tables, and the columns that a copy keeps. @type {Record<Table, {file: string, keep: string[]}>} */
const tables = {
  gemm: { file: "gemm_kernel.csv", keep: ["source", "hw_key", "dtype", "m", "n", "k", "ms", "version"] },
  attention: {
    file: "attention_kernel.csv",
    keep: "source hw_key dtype kv_dtype heads kv_heads head_dim batch n_q n_kv causal phase ms window version kernel".split(
      " ",
    ),
  },
  mixers: {
    file: "linear_mixer_kernel.csv",
    keep: ["source", "hw_key", "kind", "shape", "n", "batch", "phase", "ms", "kernel", "version"],
  },
  prefill: {
    file: "e2e_prefill.csv",
    keep: "source hw_key gpus model_key dtype engine flash ubatch batch n_tokens depth seconds metric value_origin".split(
      " ",
    ),
  },
  decode: {
    file: "e2e_decode.csv",
    keep: "source hw_key gpus model_key dtype engine flash ubatch batch context ms_per_token value_origin".split(" "),
  },
};

/** @param {string} file @returns {Row[]} */
export function rowsOf(file) {
  const { data } = Papa.parse(readFileSync(file, "utf8"), { header: true, skipEmptyLines: true });
  return /** @type {Row[]} */ (data);
}

/**
 * Rows of one table, those left out that their own source or a check on them calls no plain measurement.
 *
 * @param {Table} table @param {string | undefined} folder full tables; the thinned copy where it is left out
 * @returns {Row[]}
 */
export function readTimings(table, folder) {
  const path = folder === undefined ? join(copies, `${table}.csv`) : join(folder, tables[table].file);
  if (!existsSync(path)) throw new Error(`${path}: no such table`);
  return rowsOf(path)
    .filter(({ check }) => check === undefined || check === "ok")
    .map((row) => ({ ...settingsOf(row), ...row }));
}

/** What a row of llama.cpp says in words: whether flash attention was on, and tokens of a batch. @param {Row} row */
function settingsOf({ engine = "", note = "" }) {
  if (!/llama\.cpp/.test(engine)) return {};
  const [, tokens = "512"] = /\b(?:n_ubatch|ub)=(\d+)/.exec(note) ?? [];
  return { flash: /(?<!no-)\bfa(?:=on|=1)?\b/.test(`${engine}; ${note}`) ? "1" : "0", ubatch: tokens };
}

/** Rows that their own source or a check on them calls no plain measurement: they are not in the copies. @param {string} folder @returns {[string, number][]} */
export function unfairTimings(folder) {
  return Object.entries(tables).flatMap(([table, { file }]) => {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const { check = "ok" } of rowsOf(join(folder, file))) {
      if (check !== "ok") counts.set(check, (counts.get(check) ?? 0) + 1);
    }
    return [...counts].map(([check, count]) => /** @type {[string, number]} */ ([`${table}: ${check}`, count]));
  });
}

/** Writes the copies of full tables. @param {string} folder */
export function thinTimings(folder) {
  for (const [table, { keep }] of Object.entries(tables)) {
    const rows = readTimings(/** @type {Table} */ (table), folder);
    const thin = rows.map((row) => Object.fromEntries(keep.map((key) => [key, row[key] ?? ""])));
    writeFileSync(join(copies, `${table}.csv`), `${Papa.unparse(thin, { newline: "\n" })}\n`);
  }
}
