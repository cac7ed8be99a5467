import type { Dtype } from "../../base/units.js";
import type { DeviceClass, DeviceRecord, Sourced } from "../record.js";
import { gibibytes, gigabytesPerSecond, microseconds, teraflops } from "./quantities.js";

/** A device as its vendor prints it: decimal units but for memory, dense rates, one direction of a link. */
export interface DataSheet {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly vendor: string;
  readonly class: DeviceClass;
  /** Peaks of matrix products by number format; tera-operations for integers. */
  readonly teraflops: Partial<Readonly<Record<Dtype, number>>>;
  /** GB as vendors write it. */
  readonly memory: number;
  /** GB/s. */
  readonly bandwidth: number;
  /** What joins several of them, and GB/s in one direction. */
  readonly link?: readonly [name: string, gigabytesPerSecond: number];
  readonly watts?: number;
  readonly source: string;
  /** What a second source agrees on; the other numbers are uncertain. */
  readonly checked: readonly ("peaks" | "float32" | "bandwidth")[];
}

/**
 * Seconds per kernel where nothing was measured: launches on GPUs take 5 to 20 µs, and engines fuse and capture graphs; a
 * processor starts an operator in about a microsecond.
 */
function launchOf(device: DeviceClass): Sourced {
  if (device === "cpu") return microseconds(2, "an operator on a processor: a function call and waking threads", true);
  if (device === "accelerator") return microseconds(5, "taken from GPUs", true);
  if (device === "apple-gpu") return microseconds(5, "taken from GPUs of other vendors", true);
  return microseconds(
    5,
    "lower end of the 5 to 20 µs per kernel measured on GPUs: engines fuse and capture graphs",
    true,
  );
}

export function recordOf(sheet: DataSheet): DeviceRecord {
  const { source, checked, link, watts } = sheet;
  const peaks = Object.entries(sheet.teraflops).map(([dtype, value]): [string, Sourced] => {
    const sure = checked.includes("peaks") || (dtype === "float32" && checked.includes("float32"));
    return [dtype, teraflops(value, source, !sure)];
  });
  return {
    schema: "nsquared/device@1",
    name: sheet.name,
    aliases: [...sheet.aliases],
    vendor: sheet.vendor,
    class: sheet.class,
    peaks: Object.fromEntries(peaks),
    bandwidth: gigabytesPerSecond(sheet.bandwidth, source, !checked.includes("bandwidth")),
    memory: gibibytes(sheet.memory, source),
    ...(link === undefined ? {} : { interconnect: { name: link[0], bandwidth: gigabytesPerSecond(link[1], source) } }),
    ...(watts === undefined ? {} : { tdp: { value: watts, source, uncertain: false } }),
    launch: launchOf(sheet.class),
    caches: [],
    calibration: null,
  };
}
