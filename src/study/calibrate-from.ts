import { basename } from "node:path";
import { badInput } from "../base/errors.js";
import { readText } from "../files/byte-source.js";
import { nodeFileSystem } from "../files/node.js";
import type { FittedKernel } from "../hardware/fitted.js";
import type { DeviceRecord } from "../hardware/record.js";
import { deviceRecordSchema } from "../hardware/record.js";
import type { ModelDescription } from "../model/types.js";
import { readSamples } from "../runs/import/index.js";
import type { Warning } from "../runs/schema.js";
import { fitKernels, operandsNamed } from "./kernel-calibration.js";
import type { KernelReport } from "./kernel-family.js";
import type { KernelTiming } from "./kernel-row.js";
import { type KernelTable, isKernelTable, readKernelTable } from "./kernel-samples.js";
import { type EngineReport, type SampledRun, fitEngine } from "./run-calibration.js";

export interface CalibrateFromOptions {
  /** The device that the samples are of, as it is known so far: its data sheet is kept. */
  readonly device: DeviceRecord;
  /** Name of the record; the device's own where absent. */
  readonly name?: string;
  /** Model that whole runs are of; not needed for tables of kernels. */
  readonly model: ModelDescription | null;
  readonly engineName: string | null;
}

export interface CalibratedFrom {
  readonly record: DeviceRecord;
  readonly kernels: readonly KernelReport[];
  readonly engine: EngineReport | null;
  readonly warnings: readonly Warning[];
}

/** A table of kernels is read whole. */
const largestTable = 64 * 1024 * 1024;
/** The header of a table lies within these. */
const headBytes = 4096;
/** Fewer timings than these leave most to the device's class. */
const fewRows = 3;

/**
 * A device record fitted to files: tables of kernels (CSV) and whole runs, in any format that `nsquared fit` reads.
 *
 * @throws NsquaredError `already-calibrated`, `no-model`, and whatever is wrong with a file
 */
export async function calibrateFrom(paths: readonly string[], options: CalibrateFromOptions): Promise<CalibratedFrom> {
  const { device, model, engineName } = options;
  if (device.calibration !== null) {
    throw badInput("already-calibrated", {
      where: "--on",
      key: "device",
      found: device.name,
      expected: "this record is of a machine that was measured itself; --from starts from a data sheet, as h100",
    });
  }
  const timings: KernelTiming[] = [];
  const runs: SampledRun[] = [];
  const warnings: Warning[] = [];
  for (const path of paths) {
    const table = await kernelTableOf(path, device);
    if (table !== null) {
      timings.push(...table.timings);
      for (const [reason, count] of table.left)
        warnings.push({ code: "rows-left-out", message: `${path}: ${count} rows left out: ${reason}` });
      continue;
    }
    if (model === null) {
      throw badInput("no-model", {
        where: path,
        key: "--model",
        expected:
          "this is no table of kernels (columns m, n, k or heads, kv_heads, head_dim, n_q, n_kv); for whole runs say which model they are of",
      });
    }
    runs.push({ set: await readSamples([path]), model });
  }
  const kernels = timings.length === 0 ? [] : fitKernels(timings, device, engineName ?? "vllm");
  const before = device.fitted;
  const isNew = (old: FittedKernel): boolean =>
    kernels.some(({ kernel }) => kernel.kind === old.kind && kernel.format === old.format);
  const sources = [...new Set([...(before?.sources ?? []), ...paths.map((path) => basename(path))])];
  const known = [...(before?.kernels ?? []).filter((old) => !isNew(old)), ...kernels.map(({ kernel }) => kernel)];
  // Factors of engines stand on the kernels that they were fitted with: with other kernels they say nothing.
  const engines = kernels.length === 0 ? (before?.engines ?? []) : [];
  if (engines.length === 0 && (before?.engines ?? []).length > 0) {
    const names = before?.engines.map((old) => old.engine).join(", ") ?? "";
    warnings.push({
      code: "engines-dropped",
      message: `factors of ${names} stood on the kernels before: fit them again`,
    });
  }
  // Runs are fitted on top of the kernels, where both are given; those of the same engine not on its factors before.
  const named = engineName ?? engines[0]?.engine ?? null;
  const others = engines.filter((old) => runs.length === 0 || old.engine !== named);
  const timed = withFitted(device, { kernels: known, engines: others, sources }, options.name);
  const engine = runs.length === 0 ? null : fitEngine(runs, timed, named);
  for (const { kernel } of kernels) {
    if (kernel.rows >= fewRows) continue;
    const message = `${kernel.kind} of ${operandsNamed(kernel)} rests on ${kernel.rows} timing${kernel.rows === 1 ? "" : "s"}: most is the device class's`;
    warnings.push({ code: "few-timings", message });
  }
  const record =
    engine === null ? timed : withFitted(timed, { kernels: known, engines: [engine.engine, ...others], sources });
  return { record, kernels, engine, warnings };
}

/** Also checks that what was fitted can be read back. */
function withFitted(
  device: DeviceRecord,
  fitted: NonNullable<DeviceRecord["fitted"]>,
  name: string = device.name,
): DeviceRecord {
  const parsed = deviceRecordSchema.safeParse({ ...device, name, aliases: [], fitted });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw badInput("fit-impossible", {
    where: "--from",
    key: issue?.path.join(".") ?? "fitted",
    expected: `these timings lead to a record that cannot be (${issue?.message ?? ""}); check their units`,
  });
}

/** The timings of a table of kernels; null where the file is something else. */
async function kernelTableOf(path: string, device: DeviceRecord): Promise<KernelTable | null> {
  const source = await nodeFileSystem.open(path);
  const head = new TextDecoder().decode(await source.read(0, headBytes)).replace(/^\uFEFF/, "");
  if (!isKernelTable((head.split(/\r?\n/, 1)[0] ?? "").split(","))) return null;
  return readKernelTable((await readText(source, largestTable)).replace(/^\uFEFF/, ""), path, device);
}
