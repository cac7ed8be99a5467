import type { Sourced } from "../record.js";

/** Data-sheet numbers in SI units, each with its source. Decimal prefixes as vendors print them. */
export function teraflops(value: number, source: string, uncertain = false): Sourced {
  return { value: value * 1e12, source, uncertain };
}

export function gigabytesPerSecond(value: number, source: string, uncertain = false): Sourced {
  return { value: value * 1e9, source, uncertain };
}

/** Vendors write GB for memory and mean 2³⁰ bytes. */
export function gibibytes(value: number, source: string, uncertain = false): Sourced {
  return { value: value * 2 ** 30, source, uncertain };
}

export function microseconds(value: number, source: string, uncertain = false): Sourced {
  return { value: value / 1e6, source, uncertain };
}
