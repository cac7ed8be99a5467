import type { z } from "zod";
import { badInput } from "../base/errors.js";
import {
  mostSamples,
  type Run,
  type RunHeader,
  runHeaderSchema,
  runSchema,
  runSchemaName,
  type Sample,
  sampleSchema,
  type Warning,
  warningSchema,
} from "./schema.js";

export const journalSchemaName = "nsquared/journal@1";

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  );
}

/** Validates, or throws one line that names the first thing wrong. */
function validated<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path ?? [];
  const found = valueAt(value, path);
  throw badInput("run-invalid", {
    where,
    key: path.length === 0 ? "content" : path.join("."),
    ...(found === undefined ? {} : { found }),
    expected: issue?.message ?? "a run",
  });
}

/** Parsed JSON. Nesting too deep for the stack is bad input like any other. */
function json(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badInput("run-not-json", {
      where,
      found: text.slice(0, 40),
      expected: "expected JSON of a run; other samples are for nsquared fit, check and explain",
    });
  }
}

function schemaNameOf(value: unknown): unknown {
  return valueAt(value, ["schema"]);
}

interface Entries {
  readonly samples: Sample[];
  readonly warnings: Warning[];
}

function addEntry(entries: Entries, entry: unknown, where: string): void {
  const warning = valueAt(entry, ["warning"]);
  if (warning !== undefined) {
    entries.warnings.push(validated(warningSchema, warning, where));
    return;
  }
  if (entries.samples.length >= mostSamples) {
    throw badInput("run-too-large", { where, key: "samples", found: "more", expected: `at most ${mostSamples}` });
  }
  entries.samples.push(validated(sampleSchema, valueAt(entry, ["sample"]), where));
}

function runFromJournal(header: RunHeader, { samples, warnings }: Entries): Run {
  return {
    schema: runSchemaName,
    ...header,
    status: "incomplete",
    seconds: samples.at(-1)?.at ?? 0,
    warnings: [
      ...warnings,
      { code: "not-sealed", message: "the run was never sealed: its process died, or still runs" },
    ],
    samples,
  };
}

/** Reads the lines of a journal; what follows the last newline was torn off in writing and does not count. */
function parseJournal(text: string, where: string): Run {
  const lines = text.split("\n").slice(0, -1);
  const header = validated(runHeaderSchema, json(lines[0] ?? "", `${where}:1`), `${where}:1`);
  const entries: Entries = { samples: [], warnings: [] };
  for (const [index, line] of lines.slice(1).entries()) {
    const at = `${where}:${index + 2}`;
    addEntry(entries, json(line, at), at);
  }
  return runFromJournal(header, entries);
}

function firstLineIsJournal(text: string): boolean {
  const end = text.indexOf("\n");
  const line = end < 0 ? text : text.slice(0, end);
  try {
    return schemaNameOf(JSON.parse(line)) === journalSchemaName;
  } catch {
    // A journal whose very first line was torn: nothing in it can be used, and the message should say so.
    return end < 0 && line.startsWith(`{"schema":"${journalSchemaName}"`);
  }
}

/**
 * Reads the text of a sealed run or of a journal left over by a process that died (status `incomplete`).
 *
 * @param where file or address, for messages
 * @throws NsquaredError `run-empty`, `run-not-json`, `run-schema`, `run-invalid`, `run-too-large`
 */
export function parseRun(text: string, where: string): Run {
  if (firstLineIsJournal(text)) {
    if (!text.includes("\n")) {
      throw badInput("run-empty", {
        where,
        key: "journal",
        found: "a torn first line",
        expected: "nothing to recover",
      });
    }
    return parseJournal(text, where);
  }
  if (text.trim() === "") {
    throw badInput("run-empty", { where, key: "content", found: "", expected: `expected ${runSchemaName}` });
  }
  const value = json(text, where);
  const schema = schemaNameOf(value);
  if (schema !== runSchemaName) {
    throw badInput("run-schema", {
      where,
      key: "schema",
      ...(schema === undefined ? {} : { found: schema }),
      expected: `expected "${runSchemaName}"`,
    });
  }
  return validated(runSchema, value, where);
}

/** The text of a run file: readable, one sample a line. */
export function formatRun(run: Run): string {
  const { samples, ...head } = run;
  const lines = samples.map((sample) => `    ${JSON.stringify(sample)}`);
  const body = lines.length === 0 ? "[]" : `[\n${lines.join(",\n")}\n  ]`;
  return `${JSON.stringify(head, null, 2).slice(0, -2)},\n  "samples": ${body}\n}\n`;
}
