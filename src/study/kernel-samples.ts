import Papa from "papaparse";
import { badInput } from "../base/errors.js";
import { plainName } from "../base/names.js";
import type { DeviceRecord } from "../hardware/record.js";
import {
  type KernelRow,
  type KernelTiming,
  attentionColumns,
  gemmColumns,
  readKernelRow,
  timeColumns,
} from "./kernel-row.js";

export interface KernelTable {
  readonly timings: readonly KernelTiming[];
  /** Rows left out, by reason. */
  readonly left: ReadonlyMap<string, number>;
}

const mostRows = 200_000;

/** Whether a CSV's header is that of a table of kernels: `m, n, k` or `heads, kv_heads, head_dim, n_q, n_kv`. */
export function isKernelTable(header: readonly string[]): boolean {
  const names = new Set(header.map((name) => name.trim().toLowerCase()));
  return [gemmColumns, attentionColumns].some((columns) => columns.every((name) => names.has(name)));
}

/**
 * Timings of kernels out of a CSV: matrix products (`m, n, k`, a time as `seconds`, `ms` or `us`, `dtype`) or attention (`heads,
 * kv_heads, head_dim, n_q, n_kv`, and where given `batch`, `causal`, `kv_dtype`). Where rows name their device (`hw_key` or
 * `hardware`), those of others are left out.
 *
 * @throws NsquaredError `kernel-row` on a number that cannot be, `no-samples` where no row is left
 */
export function readKernelTable(text: string, path: string, device: DeviceRecord): KernelTable {
  const { data, meta } = Papa.parse<KernelRow>(text, {
    header: true,
    skipEmptyLines: true,
    transformHeader: (name) => name.trim().toLowerCase(),
  });
  if (data.length > mostRows) {
    throw badInput("too-many-rows", { where: path, key: "rows", found: data.length, expected: `at most ${mostRows}` });
  }
  const columns = meta.fields ?? [];
  if (!columns.some((name) => timeColumns[name] !== undefined)) {
    throw badInput("kernel-columns", {
      where: path,
      key: "columns",
      found: columns.join(", "),
      expected: "a column of times: seconds, ms or us",
    });
  }
  const left = new Map<string, number>();
  const leave = (reason: string): [] => {
    left.set(reason, (left.get(reason) ?? 0) + 1);
    return [];
  };
  const own = data.filter((row) => isOf(device, row));
  if (own.length < data.length) left.set("of another device", data.length - own.length);
  const timings = data.flatMap((row, index): KernelTiming[] => {
    if (!isOf(device, row)) return [];
    const timing = readKernelRow(row, `${path}, row ${index + 2}`);
    return typeof timing === "string" ? leave(timing) : [timing];
  });
  if (timings.length === 0) {
    const reasons = [...left].map(([reason, count]) => `${count} ${reason}`).join(", ");
    throw badInput("no-samples", {
      where: path,
      key: "rows",
      found: 0,
      expected: `timings of ${device.name}${reasons === "" ? "" : `; left out: ${reasons}`}`,
    });
  }
  return { timings, left };
}

function isOf(device: DeviceRecord, row: KernelRow): boolean {
  const said = row["hw_key"] ?? row["hardware"] ?? "";
  return said === "" || [device.name, ...device.aliases].some((name) => plainName(name) === plainName(said));
}
