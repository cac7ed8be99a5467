import { badInput } from "./errors.js";

/** Longest length anybody may ask for, in tokens. */
export const longestLength = 2 ** 40;
const mostLengths = 10_000;
const suffixes: Record<string, number> = { "": 1, k: 1024, K: 1024, m: 1024 ** 2, M: 1024 ** 2 };
const pattern = /^(\d+(?:\.\d+)?)([kKmM]?)$/;

/**
 * One length in tokens: `512`, `8k` (k = 1024), `1.5k`, `1M` (M = 1024²).
 *
 * @param where the option or field the text came from, for the message
 * @throws NsquaredError `length-invalid` if the text is no whole number of tokens from 1 to 2⁴⁰
 */
export function parseLength(text: string, where = "--lengths"): number {
  const match = pattern.exec(text.trim());
  const value = match === null ? Number.NaN : Number(match[1]) * (suffixes[match[2] ?? ""] ?? Number.NaN);
  if (Number.isSafeInteger(value) && value >= 1 && value <= longestLength) return value;
  throw badInput("length-invalid", {
    where,
    key: "length",
    found: text.trim(),
    expected: "a whole number of tokens from 1 to 2^40, such as 512, 8k (k = 1024) or 1M",
  });
}

/**
 * Lengths in tokens, ascending: a list (`512,1k,2k`), a range that doubles (`128..128k`; its end is included even where
 * doubling misses it), or both mixed (`64,128..1k,1500`).
 *
 * @param where the option or field the text came from, for the message
 * @throws NsquaredError `length-invalid`, `lengths-order` or `lengths-many`
 */
export function parseLengths(text: string, where = "--lengths"): number[] {
  const lengths: number[] = [];
  for (const item of text.split(",")) {
    const ends = item.split("..").map((end) => parseLength(end, where));
    const [from, to] = ends;
    if (from === undefined || ends.length > 2) {
      throw badInput("length-invalid", { where, key: "range", found: item.trim(), expected: "from..to, as 128..128k" });
    }
    if (to !== undefined && to <= from) {
      throw badInput("lengths-order", {
        where,
        key: "range",
        found: item.trim(),
        expected: "the shorter length first, as 128..128k",
      });
    }
    lengths.push(...(to === undefined ? [from] : doubled(from, to)));
    if (lengths.length > mostLengths) {
      throw badInput("lengths-many", {
        where,
        key: "lengths",
        found: lengths.length,
        expected: `at most ${mostLengths}`,
      });
    }
  }
  const wrong = lengths.findIndex((length, index) => index > 0 && length <= (lengths[index - 1] ?? 0));
  if (wrong > 0) {
    throw badInput("lengths-order", {
      where,
      key: "lengths",
      found: text.trim(),
      expected: `ascending lengths, but ${lengths[wrong] ?? ""} follows ${lengths[wrong - 1] ?? ""}`,
    });
  }
  return lengths;
}

function doubled(from: number, to: number): number[] {
  const lengths: number[] = [];
  for (let length = from; length < to; length *= 2) lengths.push(length);
  return [...lengths, to];
}
