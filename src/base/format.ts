/** How numbers are written for people: three significant digits, units that fit. */

const rateUnits = ["", "k", "M", "G", "T", "P", "E"] as const;
const binaryUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** At most `digits` significant digits, without trailing zeros or an exponent. */
export function significant(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return String(value);
  return String(Number(value.toPrecision(digits)));
}

/** `1.35e8`-style: mantissa with at most `digits` significant digits. */
export function scientific(value: number, digits = 3): string {
  if (value === 0) return "0";
  if (Math.abs(value) < 1e4 && Math.abs(value) >= 1e-2) return significant(value, digits);
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e") as [string, string];
  return `${String(Number(mantissa))}e${String(Number(exponent))}`;
}

/** Its size as it will be written: 999.9 thousands are a million. */
function written(value: number, digits = 3): number {
  return Math.abs(Number(value.toPrecision(digits)));
}

/** A count or rate with a decimal prefix (k = 1000): `135M`, `1.2T`. */
export function si(value: number, unit = "", digits = 3): string {
  const magnitude = written(value, digits);
  const step = magnitude < 1000 ? 0 : Math.min(rateUnits.length - 1, Math.floor(Math.log10(magnitude) / 3));
  return `${significant(value / 1000 ** step, digits)}${unit === "" ? "" : " "}${rateUnits[step] ?? ""}${unit}`;
}

const countUnits = ["", "k", "M", "B", "T"] as const;

/** A count of parameters as the field writes it: `135M`, `8.03B`, `1.04T`. */
export function parameterCount(value: number): string {
  const magnitude = written(value);
  const step = magnitude < 1000 ? 0 : Math.min(countUnits.length - 1, Math.floor(Math.log10(magnitude) / 3));
  return `${significant(value / 1000 ** step)}${countUnits[step] ?? ""}`;
}

/** Bytes with a binary prefix: `512 MiB`. */
export function bytes(value: number): string {
  const magnitude = Math.abs(value);
  const step = magnitude < 1024 ? 0 : Math.min(binaryUnits.length - 1, Math.floor(Math.log2(magnitude) / 10));
  return `${significant(value / 1024 ** step)} ${binaryUnits[step] ?? "B"}`;
}

/** A duration: `84 ms`, `1.99 s`, `2 min 5 s`. */
export function seconds(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0 s";
  const magnitude = written(value);
  if (magnitude < 1e-6) return `${significant(value * 1e9)} ns`;
  if (magnitude < 1e-3) return `${significant(value * 1e6)} µs`;
  if (magnitude < 1) return `${significant(value * 1e3)} ms`;
  if (magnitude < 120) return `${significant(value)} s`;
  if (magnitude < 7200) {
    const whole = Math.round(value);
    return `${Math.trunc(whole / 60)} min ${Math.abs(whole % 60)} s`;
  }
  if (magnitude < 172_800) return `${significant(value / 3600)} h`;
  return `${significant(value / 86_400)} days`;
}

/** A sequence length: `512`, `8k` (k = 1024), `1.5M` only where it is exact; else grouped digits. */
export function tokens(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value >= 1024 * 1024 && value % (1024 * 1024) === 0) return `${value / (1024 * 1024)}M`;
  if (value >= 1024 && value % 1024 === 0) return `${value / 1024}k`;
  return Math.round(value).toLocaleString("en-US");
}

/** `1 thread`, `2 threads`. */
export function threadCount(count: number): string {
  return `${count} ${count === 1 ? "thread" : "threads"}`;
}

/** A share as a percentage: `12 %`. */
export function percent(share: number, digits = 2): string {
  return `${significant(share * 100, digits)} %`;
}
