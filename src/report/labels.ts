import { tokens } from "../base/format.js";

/** A unit for a whole column or axis, so that its numbers can be compared at a glance. */
export interface Unit {
  readonly name: string;
  /** SI units in one of these. */
  readonly size: number;
}

const timeUnits: readonly Unit[] = [
  { name: "µs", size: 1e-6 },
  { name: "ms", size: 1e-3 },
  { name: "s", size: 1 },
  { name: "min", size: 60 },
  { name: "h", size: 3600 },
];
const milliseconds: Unit = { name: "ms", size: 1e-3 };
const plainSeconds: Unit = { name: "s", size: 1 };
const microseconds: Unit = { name: "µs", size: 1e-6 };

/** The unit for a column of seconds: the one its geometric middle reads best in. */
export function columnUnit(values: readonly number[]): Unit {
  const positive = values.filter((value) => value > 0 && Number.isFinite(value));
  if (positive.length === 0) return plainSeconds;
  const middle = Math.sqrt(Math.min(...positive) * Math.max(...positive));
  if (middle >= 2) return plainSeconds;
  return middle >= 1e-3 ? milliseconds : microseconds;
}

/** Three significant digits with trailing zeros kept and thousands grouped, as columns want: `84.0`, `160`, `1,990`. */
export function inUnit(value: number, unit: Unit): string {
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "–";
  const scaled = value / unit.size;
  const rounded = Number(scaled.toPrecision(3));
  const magnitude = rounded === 0 ? 0 : Math.floor(Math.log10(Math.abs(rounded)));
  const digits = Math.min(6, Math.max(0, 2 - magnitude));
  return rounded.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A time on an axis, exact and short: `500 µs`, `20 ms`, `1 s`, `10 min`. */
export function timeTick(seconds: number): string {
  const unit = timeUnits.findLast((candidate) => seconds >= candidate.size * (1 - 1e-9)) ?? microseconds;
  return `${String(Number((seconds / unit.size).toPrecision(3)))} ${unit.name}`;
}

/** Times that people know: decades of seconds below a minute, minutes and hours above. */
const decades = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 60, 600, 3600, 36_000, 360_000] as const;
const minutesAndHours = [60, 120, 300, 600, 1800, 3600, 7200, 18_000, 36_000, 90_000, 360_000] as const;
const finer = [
  ...[-6, -5, -4, -3, -2, -1, 0, 1].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power)),
  ...minutesAndHours,
] as const;

/** Round times between `low` and `high` for a logarithmic axis: decades, or 1–2–5 where there are few decades. */
export function timeTicks(low: number, high: number): number[] {
  const within = (ticks: readonly number[]) =>
    ticks.filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9));
  const coarse = within(decades);
  if (coarse.length >= 3) return coarse;
  const fine = within(finer);
  return fine.length >= 2 ? fine : between(low, high);
}

/** Three values for an axis on which nothing round lies: both ends, slightly inside, and the middle. */
function between(low: number, high: number): number[] {
  return [0.1, 0.5, 0.9].map((share) => Number((low * (high / low) ** share).toPrecision(3)));
}

/** Lengths between `low` and `high` for a logarithmic axis: powers of two, thinned to at most `most`. */
export function lengthTicks(low: number, high: number, most: number): number[] {
  const from = Math.ceil(Math.log2(low) - 1e-9);
  const to = Math.floor(Math.log2(high) + 1e-9);
  if (to <= from) return [...new Set(between(low, high).map(Math.round))];
  const step = Math.max(1, Math.ceil((to - from + 1) / most));
  const ticks: number[] = [];
  for (let power = to - Math.floor((to - from) / step) * step; power <= to; power += step) ticks.push(2 ** power);
  return ticks;
}

/** A length that was estimated: two significant digits, so that it does not look exact. Lengths that people choose stay. */
export function aboutTokens(n: number): string {
  const chosen = n % 1024 === 0 || (n < 1024 && Number.isInteger(n));
  return tokens(chosen ? n : Number(n.toPrecision(2)));
}

/** A ratio: `0.97`, `1.04`, `12.3`, `1,740`. */
export function ratio(value: number): string {
  return inUnit(value, { name: "", size: 1 });
}

/** A factor for sentences: `3.2`, `68`, `180`. */
export function factor(value: number): string {
  return Number(value.toPrecision(2)).toLocaleString("en-US");
}

/** A time that was estimated, with its interval in the same unit: `48 s (40–58 s)`. */
export function aboutSeconds(estimate: {
  readonly seconds: number;
  readonly low: number;
  readonly high: number;
}): string {
  const unit = timeUnits.findLast((candidate) => estimate.seconds >= candidate.size * 1.5) ?? microseconds;
  const digits = (value: number) => Number((value / unit.size).toPrecision(2)).toLocaleString("en-US");
  const value = `${digits(estimate.seconds)} ${unit.name}`;
  const low = estimate.low > 0;
  const high = Number.isFinite(estimate.high);
  if (low && high) return `${value} (${digits(estimate.low)}–${digits(estimate.high)} ${unit.name})`;
  if (low) return `${value} (${digits(estimate.low)} ${unit.name} or more)`;
  return high ? `${value} (${digits(estimate.high)} ${unit.name} or less)` : `${value} (with no bound)`;
}

/** The interval of a length in tokens: `2,900–4,100`, or what is known of it. */
export function tokensInterval(low: number, high: number): string {
  if (low > 0 && Number.isFinite(high)) return `${aboutTokens(low)}–${aboutTokens(high)}`;
  if (low > 0) return `${aboutTokens(low)} or more`;
  return Number.isFinite(high) ? `${aboutTokens(high)} or less` : "with no bound";
}

/** The level of an interval: `90 %`. */
export function levelText(level: number): string {
  return `${String(Number((level * 100).toPrecision(3)))} %`;
}

/**
 * Text that came from a file, fit for a terminal or a page: control characters (escape sequences among them) and marks
 * that turn the reading direction are dropped.
 */
export function printable(text: string): string {
  return text
    .replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, " ")
    .replace(/ {2,}/g, " ")
    .trim();
}
