import { fork } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Bytes } from "../base/units.js";
import type { ModelDescription } from "../model/types.js";
import type { Cell } from "../runs/schema.js";
import type { OnnxNodeOptions } from "./onnx-node.js";

/** A model and one step of it, in a process of its own. */
export interface PeakJob {
  readonly model: ModelDescription;
  readonly options: Omit<OnnxNodeOptions, "availableBytes" | "weights">;
  readonly cell: Cell;
}

/** Resident memory beyond what the process had before the model was opened. */
export interface Peak {
  /** What stays once it is open. */
  readonly open: Bytes;
  /** The most during the step. */
  readonly step: Bytes;
}

/**
 * Peak memory of one step, measured in a fresh process: what several models in one process take cannot be told apart.
 *
 * @returns null where the operating system does not tell a process's peak, or the process died
 */
export async function measurePeak(job: PeakJob, signal?: AbortSignal): Promise<Peak | null> {
  const script = fileURLToPath(new URL("onnx-node-peak-child.js", import.meta.url));
  if (!existsSync(script) || !existsSync("/proc/self/status")) return null;
  return new Promise((resolve) => {
    const child = fork(script, {
      execArgv: ["--expose-gc"],
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      ...(signal === undefined ? {} : { signal }),
    });
    let peak: Peak | null = null;
    child.on("message", (message) => {
      peak = message as Peak;
    });
    child.on("error", () => {
      resolve(null);
    });
    child.on("exit", () => {
      resolve(peak);
    });
    child.send(job);
  });
}

const kib = 1024;

/** Resident bytes of this process: the peak since it was last reset, and now. */
export function residentMemory(): { readonly peak: Bytes; readonly now: Bytes } {
  const status = readFileSync("/proc/self/status", "utf8");
  const field = (name: string): Bytes => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) * kib;
  return { peak: field("VmHWM"), now: field("VmRSS") };
}

/** From now on the peak counts anew (proc_pid_clear_refs, value 5). */
export function resetPeak(): void {
  writeFileSync("/proc/self/clear_refs", "5");
}
