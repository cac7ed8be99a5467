import { badInput } from "../../base/errors.js";

/** What a number in a column is: seconds of a step, or tokens per second over it. */
export type TimeUnit =
  | { readonly name: string; readonly seconds: number }
  | { readonly name: string; readonly rate: number };

const durations: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  μs: 1e-6,
  ms: 1e-3,
  msec: 1e-3,
  millis: 1e-3,
  milliseconds: 1e-3,
  s: 1,
  sec: 1,
  secs: 1,
  second: 1,
  seconds: 1,
  min: 60,
  h: 3600,
};

const thousands: Readonly<Record<string, number>> = { "": 1, k: 1e3, K: 1e3, M: 1e6, m: 1e6 };
const rateWords = /^(?:tok|toks|token|tokens|t)\s*(?:\/|_per_|\s+per\s+)\s*(?:s|sec|second)s?$|^t[okp]?ps$|^tok_s$/i;

/** The unit that a word names, or null: `ms`, `seconds`, `tok/s`, `tokens_per_second`, `tps`. */
export function unitOf(word: string): TimeUnit | null {
  const text = word.trim();
  if (rateWords.test(text)) return { name: "tok/s", rate: 1 };
  const seconds = durations[text] ?? durations[text.toLowerCase()];
  return seconds === undefined ? null : { name: text, seconds };
}

export const knownUnits = "ns, us, ms, s, min, h or tok/s";

export interface Quantity {
  readonly value: number;
  /** Null for a plain number. */
  readonly unit: TimeUnit | null;
}

const number = /^([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)\s*(.*)$/i;

/** `2s`, `350 ms`, `4.1k tok/s` or a plain number; null where it is none of them. */
export function parseQuantity(text: string): Quantity | null {
  const match = number.exec(text.trim());
  if (match === null) return null;
  const value = Number(match[1]);
  const rest = (match[2] ?? "").trim();
  if (rest === "") return { value, unit: null };
  const unit = unitOf(rest);
  if (unit !== null) return { value, unit };
  const prefixed = /^([kKMm])\s*(.+)$/.exec(rest);
  const rate = prefixed === null ? null : unitOf(prefixed[2] ?? "");
  if (rate === null || !("rate" in rate)) return null;
  return { value: value * (thousands[prefixed?.[1] ?? ""] ?? Number.NaN), unit: rate };
}

/** Seconds of a step over `tokens` tokens. */
export function secondsOf(value: number, unit: TimeUnit, tokens: number): number {
  return "rate" in unit ? tokens / (value * unit.rate) : value * unit.seconds;
}

/**
 * `512=2s`, `1k=350ms`, `8k=4.1k tok/s` (a rate over the length itself).
 *
 * @throws NsquaredError `point-invalid`
 */
export function parsePoint(text: string, length: (text: string) => number): { n: number; seconds: number } {
  const wrong = (found: string) =>
    badInput("point-invalid", {
      where: "--point",
      key: "point",
      found,
      expected: "length=time, as 512=2s, 1k=350ms or 8k=4.1k tok/s",
    });
  const at = text.indexOf("=");
  if (at < 0) throw wrong(text);
  const n = length(text.slice(0, at));
  const quantity = parseQuantity(text.slice(at + 1));
  if (quantity === null || quantity.unit === null) throw wrong(text);
  const seconds = secondsOf(quantity.value, quantity.unit, n);
  if (!(seconds > 0 && Number.isFinite(seconds))) throw wrong(text);
  return { n, seconds };
}
