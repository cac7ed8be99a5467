import Papa from "papaparse";
import { badInput } from "../base/errors.js";
import { longestLength } from "../base/lengths.js";
import { readText } from "../files/byte-source.js";
import { nodeFileSystem } from "../files/node.js";
import type { Request } from "../predict/requests.js";
import type { Trace } from "./predict.js";

/** Largest trace that is read, in bytes, and most requests in it. */
const largestTrace = 16 * 1024 * 1024;
const mostRequests = 100_000;

/** Names that columns of published traces have, in lower case without marks. */
const inputNames = new Set([
  "input",
  "n",
  "length",
  "prompt",
  "inputtokens",
  "prompttokens",
  "contexttokens",
  "inputlength",
  "numprefilltokens",
]);
const outputNames = new Set([
  "output",
  "outputtokens",
  "generatedtokens",
  "completiontokens",
  "outputlength",
  "numdecodetokens",
]);

const plain = (name: string): string => name.toLowerCase().replace(/[^a-z]/g, "");

/**
 * Lengths of requests from a CSV file: a column of prompt lengths and, if there is one, of output lengths, found by the
 * names in the first line (`input`, `output`, `ContextTokens`, `GeneratedTokens`, …); without names the first two columns.
 *
 * @throws NsquaredError `trace-invalid` with the line and the value that cannot be right
 */
export async function readTrace(path: string): Promise<Trace> {
  const text = await readText(await nodeFileSystem.open(path), largestTrace);
  return { source: path, requests: parseTrace(text, path) };
}

function parseTrace(text: string, where: string): Request[] {
  const { data } = Papa.parse<string[]>(text.replace(/^\uFEFF/, ""), {
    skipEmptyLines: "greedy",
    preview: mostRequests + 2,
  });
  const [head = []] = data;
  const named = head.some((cell) => Number.isNaN(Number(cell)));
  const names = head.map(plain);
  const input = named ? names.findIndex((name) => inputNames.has(name)) : 0;
  const output = named ? names.findIndex((name) => outputNames.has(name)) : head.length > 1 ? 1 : -1;
  if (input < 0) {
    throw badInput("trace-invalid", {
      where,
      key: "first line",
      found: head.join(","),
      expected: "a column named input (or n, prompt_tokens, ContextTokens …) and, if known, output",
    });
  }
  const rows = named ? data.slice(1) : data;
  if (rows.length === 0) {
    throw badInput("trace-invalid", { where, key: "requests", found: 0, expected: "at least one line with a length" });
  }
  if (rows.length > mostRequests) {
    throw badInput("trace-invalid", {
      where,
      key: "requests",
      found: `more than ${mostRequests}`,
      expected: `at most ${mostRequests} lines; take a sample`,
    });
  }
  const first = named ? 2 : 1;
  const tokens = (row: readonly string[], column: number, index: number): number => {
    const cell = row[column] ?? "";
    const value = Number(cell);
    if (cell.trim() !== "" && Number.isSafeInteger(value) && value >= 1 && value <= longestLength) return value;
    throw badInput("trace-invalid", {
      where: `${where}, request ${index + 1} (line ${index + first})`,
      key: named ? (head[column] ?? "column") : `column ${column + 1}`,
      found: cell,
      expected: "a whole number of tokens from 1 to 2^40",
    });
  };
  return rows.map((row, index) => ({
    input: tokens(row, input, index),
    output: output < 0 ? 1 : tokens(row, output, index),
  }));
}
