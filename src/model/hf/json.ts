import { badInput } from "../../base/errors.js";

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}

/** Deepest nesting that is accepted; real files have five levels at most. */
const deepestNesting = 64;
/** Most values a file may hold: the largest real one, with lists of quantised modules, has some 20,000. */
const mostValues = 1_000_000;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * One JSON object. Python's `NaN` and `Infinity`, which Hugging Face writes into some files, are read as null.
 *
 * @throws bad input when the text is not JSON, not an object, or nested too deeply
 */
export function parseJsonObject(text: string, where: string): JsonObject {
  const value = parse(text, where);
  if (!isObject(value)) {
    throw badInput("not-an-object", { where, found: value, expected: "expected a JSON object: {…}" });
  }
  checkNesting(value, where);
  return value;
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (first) {
    const cleaned = text.replace(/"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g, (token) =>
      token.startsWith('"') ? token : "null",
    );
    try {
      return JSON.parse(cleaned);
    } catch {
      const reason = first instanceof Error ? first.message.replaceAll(/\s+/g, " ") : "unreadable";
      throw badInput("not-json", { where, expected: `expected JSON: ${reason.slice(0, 120)}` });
    }
  }
}

/** Objects that passed: reading a file parses it, and what reads the parsed object checks it again. */
const checked = new WeakSet<object>();

/** Refuses what is nested too deeply, cyclic objects among it, and what holds too many values. */
export function checkNesting(value: unknown, where: string): void {
  if (typeof value !== "object" || value === null || checked.has(value)) return;
  let level: object[] = [value];
  let seen = 0;
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > deepestNesting) {
      throw badInput("nested-too-deeply", { where, expected: `at most ${deepestNesting} levels of nesting` });
    }
    const next: object[] = [];
    for (const item of level) {
      const children: readonly unknown[] = Array.isArray(item) ? item : Object.values(item);
      seen += children.length;
      if (seen > mostValues) throw badInput("too-many-values", { where, expected: `at most ${mostValues} values` });
      for (const child of children) if (typeof child === "object" && child !== null) next.push(child);
    }
    level = next;
  }
  checked.add(value);
}
