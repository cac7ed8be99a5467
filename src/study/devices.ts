import { NsquaredError, badInput } from "../base/errors.js";
import { readText } from "../files/byte-source.js";
import { nodeFileSystem } from "../files/node.js";
import { type CalibratedRuntime, runtimeOf } from "../hardware/calibrated-runtime.js";
import { findDevice } from "../hardware/catalog/devices.js";
import { type DeviceRecord, parseDeviceRecord } from "../hardware/record.js";
import type { Run } from "../runs/schema.js";

/** Largest device file that is read. */
const largestRecord = 16 * 1024 * 1024;

type Environment = Readonly<Record<string, string | undefined>>;

/** This machine as ONNX Runtime, or llama.cpp, was measured on it: what `--on` calls it. */
export const localNames = { onnx: "local", llama: "local-llama" } as const;
export type LocalRuntime = CalibratedRuntime["name"];
const commands = { onnx: "nsquared calibrate", llama: "nsquared calibrate --runtime llama" } as const;

/**
 * Where `nsquared calibrate` keeps this machine's record: `$XDG_CACHE_HOME/nsquared/local.json` or below `~/.cache`;
 * `local-llama.json` beside it.
 */
export function localDevicePath(environment: Environment, runtime: LocalRuntime = "onnx"): string {
  const home = environment["HOME"] ?? environment["USERPROFILE"] ?? ".";
  const cache = environment["XDG_CACHE_HOME"];
  return `${cache === undefined || cache === "" ? `${home}/.cache` : cache}/nsquared/${localNames[runtime]}.json`;
}

/**
 * A device by name: one of the catalog, `local` or `local-llama` (this machine, as `nsquared calibrate` measured it), or a
 * file.
 *
 * @throws NsquaredError `device-unknown`, `not-calibrated`, `device-invalid`, or why the file cannot be read
 */
export async function loadDevice(name: string, environment: Environment): Promise<DeviceRecord> {
  const runtime = (["onnx", "llama"] as const).find((one) => localNames[one] === name.toLowerCase());
  if (runtime !== undefined) {
    const path = localDevicePath(environment, runtime);
    if ((await nodeFileSystem.kindOf(path)) !== "file") {
      throw badInput("not-calibrated", {
        where: `--on ${localNames[runtime]}`,
        expected: `this machine has not been measured yet (${path} does not exist); run ${commands[runtime]} first`,
      });
    }
    return readDevice(path);
  }
  if ((await nodeFileSystem.kindOf(name)) === "file") return readDevice(name);
  return findDevice(name);
}

/** This machine as it was measured; null where it has not been. */
export async function localDevice(
  environment: Environment,
  runtime: LocalRuntime = "onnx",
): Promise<DeviceRecord | null> {
  try {
    return await loadDevice(localNames[runtime], environment);
  } catch (error) {
    if (error instanceof NsquaredError && error.code === "not-calibrated") return null;
    throw error;
  }
}

/** Which record of this machine would speak of a run. */
export function localRuntimeOf({ runtime }: Run): LocalRuntime {
  return runtime.runner === runners.llama ? "llama" : "onnx";
}

/** The record of this machine that speaks of a run; null where there is none. */
export async function localDeviceOfRun(run: Run, environment: Environment): Promise<DeviceRecord | null> {
  return deviceOfRun(run, await localDevice(environment, localRuntimeOf(run)));
}

/** What runs of a runtime say that executed them. */
const runners: Readonly<Record<LocalRuntime, string>> = { onnx: "onnx-node", llama: "llama" };

/** Whether a run was of the machine, the runtime and the threads that were calibrated. */
function isOfCalibrated({ runtime, machine }: Run, { calibration }: DeviceRecord): boolean {
  if (calibration === null) return false;
  const { name, timesNaive } = runtimeOf(calibration);
  const ran = runtime.runner === runners[name] && (timesNaive || runtime.attention !== "naive");
  const alike = ran && runtime.provider === "cpu" && machine.cpu === calibration.cpu;
  return alike && (runtime.threads ?? calibration.threads) === calibration.threads;
}

/** This machine's record where a run was of it and with matrices as they were calibrated; else nobody knows. */
export function deviceOfRun(run: Run, local: DeviceRecord | null): DeviceRecord | null {
  const stored = run.runtime.options["format"] ?? "f32";
  return local !== null && stored === "f32" && isOfCalibrated(run, local) ? local : null;
}

/** The same of a comparison, whose contenders store their matrices as each of them wants. */
export function deviceOfComparison(run: Run, local: DeviceRecord | null): DeviceRecord | null {
  return local !== null && isOfCalibrated(run, local) ? local : null;
}

async function readDevice(path: string): Promise<DeviceRecord> {
  const text = await readText(await nodeFileSystem.open(path), largestRecord);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new NsquaredError("device-invalid", `${path}: not JSON (${reason}); expected a device record`, {
      where: path,
    });
  }
  return parseDeviceRecord(value, path);
}
