import { createHash } from "node:crypto";

/** The value with the keys of every object in order, so that equal contents give equal text. */
function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, ordered(inner)]));
}

/** `sha256:…` of a JSON value; the order of keys does not matter. */
export function contentDigest(value: unknown): string {
  const text = JSON.stringify(ordered(value)) ?? "undefined";
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}
