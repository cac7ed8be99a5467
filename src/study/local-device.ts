import { percent, significant } from "../base/format.js";
import { systemClock } from "../measure/clock.js";
import { readMachine } from "../measure/environment.js";
import { llamaVersion } from "../measure/llama-binding.js";
import { loadOnnxRuntime } from "../measure/onnx-node-session.js";
import type { Provider } from "../onnx/provider.js";
import { revisionOf, runtimeOf } from "../hardware/calibrated-runtime.js";
import type { DeviceRecord } from "../hardware/record.js";
import { writeText } from "../runs/output.js";
import type { Machine, Warning } from "../runs/schema.js";
import { type CalibrateProgress, calibrate } from "./calibrate.js";
import { calibrateLlama } from "./llama-calibration.js";
import { llamaRuntime } from "./llama-runtime.js";
import type { LocalRuntime } from "./devices.js";
import { onnxMicroRuntime } from "./micro-runtime.js";

export interface MeasureMachineOptions {
  readonly quick: boolean;
  /** Whose kernels; ONNX Runtime's where it is left out. */
  readonly runtime?: LocalRuntime;
  readonly provider?: Provider;
  /** The cores where it is left out. */
  readonly threads?: number;
  readonly timeLimitSeconds?: number;
  readonly date: Date;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CalibrateProgress) => void;
}

export interface MeasuredMachine {
  readonly record: DeviceRecord;
  /** Reasons to measure again when the machine is quiet. */
  readonly warnings: readonly Warning[];
}

/**
 * Measures this machine with a runtime's kernels and keeps the record at `path`.
 *
 * @throws NsquaredError `provider-missing`, `runtime-missing`, `runtime-unusable`
 */
export async function measureMachine(path: string, options: MeasureMachineOptions): Promise<MeasuredMachine> {
  const machine = await readMachine();
  const common = {
    clock: systemClock,
    machine,
    quick: options.quick,
    date: options.date,
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.timeLimitSeconds === undefined ? {} : { timeLimit: options.timeLimitSeconds }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
  };
  const record =
    options.runtime === "llama"
      ? await calibrateLlama({ ...common, runtime: await llamaRuntime() })
      : await calibrate({ ...common, runtime: await onnxMicroRuntime(options.provider) });
  await writeText(path, `${JSON.stringify(record, null, 1)}\n`);
  return { record, warnings: calibrationDoubts(record, machine) };
}

/** Load average over cores from which other work is measured too. */
const busyLoad = 0.5;
/** A quiet machine's matrix products miss their law by a few percent. */
const widestGemmSpread = 0.25;

/** What speaks against a calibration: other work on the machine makes it look slower than it is. */
export function calibrationDoubts(
  record: Pick<DeviceRecord, "calibration">,
  machine: Pick<Machine, "load" | "cores">,
): Warning[] {
  const doubts: Warning[] = [];
  if (machine.load !== null && machine.load > busyLoad * machine.cores) {
    const message = `the machine was busy before calibrating: load average ${significant(machine.load, 2)} on ${machine.cores} cores; predictions may come out too slow`;
    doubts.push({ code: "busy-machine", message });
  }
  const spread = record.calibration?.spreads.gemm ?? 0;
  if (spread > widestGemmSpread) {
    const message = `matrix products scatter by ${percent(spread)} around their law; calibrate again when the machine is quiet`;
    doubts.push({ code: "rough-calibration", message });
  }
  return doubts;
}

/** A record older than this is measured again: other tenants, updates and heat change a machine. */
const freshForMilliseconds = 24 * 3600 * 1000;

/** Why a record does not speak for this machine as it is to be measured now; null where it does. */
export async function staleness(record: DeviceRecord, threads: number | undefined, now: Date): Promise<string | null> {
  const { calibration } = record;
  if (calibration === null) return "it holds no calibration";
  const runtime = runtimeOf(calibration);
  if (calibration.plan !== revisionOf(runtime, record.class)) {
    return "it was timed in a way that this version no longer uses";
  }
  const loaded = runtime.name === "llama" ? llamaVersion() : loadOnnxRuntime().then(({ version }) => version);
  const [version, machine] = await Promise.all([loaded, readMachine()]);
  if (calibration.cpu !== machine.cpu) return `it is of another processor (${calibration.cpu})`;
  if (calibration.threads !== (threads ?? machine.cores)) return `it is for ${calibration.threads} threads`;
  if (calibration.engineVersion !== version) return `it is for ${runtime.title} ${calibration.engineVersion}`;
  const age = now.getTime() - Date.parse(calibration.measured);
  return age >= 0 && age < freshForMilliseconds ? null : "it is more than a day old";
}
