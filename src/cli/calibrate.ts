import { Option } from "commander";
import { badInput } from "../base/errors.js";
import { percent, seconds, si, significant, tokens } from "../base/format.js";
import type { Dtype } from "../base/units.js";
import { nodeAccess } from "../files/node.js";
import { engineNames } from "../hardware/engine.js";
import { plainName } from "../base/names.js";
import type { DeviceRecord } from "../hardware/record.js";
import { loadModel } from "../model/load.js";
import type { FileType } from "../model/storage.js";
import { ownFormats, withFormats } from "../predict/formats.js";
import { type Provider, providers } from "../onnx/provider.js";
import { writeText } from "../runs/output.js";
import type { CalibrateProgress } from "../study/calibrate.js";
import { calibrateFrom } from "../study/calibrate-from.js";
import { operandsNamed } from "../study/kernel-calibration.js";
import { type LocalRuntime, loadDevice, localDevicePath } from "../study/devices.js";
import type { CalibrateDocument } from "../study/documents/calibrate.js";
import { measureMachine } from "../study/local-device.js";
import { type Io, type SetUp, emit, say } from "./io.js";
import { dtypeOption, duration, wholeNumber } from "./options.js";
import { modelArgument } from "./words.js";

interface Options {
  readonly quick?: boolean;
  readonly runtime?: LocalRuntime;
  readonly device?: Provider;
  readonly threads?: number;
  readonly time?: number;
  readonly out?: string;
  readonly from?: readonly string[];
  readonly on?: string;
  readonly model?: string;
  readonly dtype?: Dtype | FileType;
  readonly engine?: string;
  readonly name?: string;
  readonly json?: boolean;
}

export const setUpCalibrate: SetUp = (command, io) => {
  command
    .description(
      "Measures this machine with the kernels that models run: matrix products at several sizes, fused attention, memory " +
        "bandwidth at each cache level, overhead per operator. Afterwards `--on local` predicts for this machine, `--on local-llama`\n" +
        "for GGUF files on it. With --from it " +
        "fits a device that is elsewhere to timings made there: tables of kernels, or whole runs of a known model.",
    )
    .addOption(
      new Option("--runtime <name>", "whose kernels are timed: ONNX Runtime's, or llama.cpp's, which run GGUF files")
        .choices(["onnx", "llama"])
        .default("onnx"),
    )
    .addOption(
      new Option("--device <name>", "what to measure: this machine's processor, or its GPU through WebGPU")
        .choices(providers)
        .default("cpu"),
    )
    .option("--quick", "fewer sizes and repeats, for a rough answer in half the time")
    .addOption(
      new Option("--threads <k>", "threads of one operator (default: the cores)").argParser(wholeNumber(1, 1024)),
    )
    .addOption(
      new Option("--time <limit>", "how long it may take, as 20s (one round is always finished)").argParser(duration),
    )
    .addOption(
      new Option(
        "--out <file>",
        "where the record goes (default: the user's cache folder, where `local` and `local-llama` are looked up)",
      ),
    )
    .addOption(
      new Option(
        "--from <files...>",
        "fit --on to these instead: CSV of kernels (m,n,k,ms or heads,kv_heads,head_dim,n_q,n_kv,ms, with dtype), or whole runs (--model) as nsquared fit reads them",
      ),
    )
    .option("--on <device>", "with --from: the device that was timed, by name or as a file with its data sheet")
    .option("--model <model>", `with --from: what whole runs are of: ${modelArgument}`)
    .addOption(dtypeOption())
    .option("--engine <name>", `with --from: the runtime that was timed: ${engineNames.join(", ")}`)
    .option("--name <name>", "with --from: the name of the record (default: the device's)")
    .addHelpText(
      "after",
      `
Examples:
  nsquared calibrate
  nsquared calibrate --runtime llama && nsquared predict ./model.gguf --on local-llama
  nsquared calibrate --device webgpu --out my-gpu.json
  nsquared calibrate --threads 1 --out one-thread.json && nsquared predict SmolLM2-135M --on one-thread.json
  nsquared calibrate --from gemm.csv attention.csv --on h100 --out my-h100.json
  nsquared calibrate --from llama-bench.json --model meta-llama/Llama-3.1-8B --dtype Q4_K_M --on rtx-4090 --engine llama.cpp-cuda --out my-4090.json

Exit codes: 0 done, 2 bad input, 130 stopped by Ctrl-C.`,
    )
    .action(async (options: Options) => {
      if (options.from !== undefined) {
        refuseWithFrom(options);
        await fitToFiles(options.from, options, io);
        return;
      }
      refuseWithoutFrom(options);
      const provider = options.device ?? "cpu";
      const runtime = options.runtime ?? "onnx";
      if (runtime === "llama" && provider !== "cpu") {
        const expected = "expected cpu: llama.cpp is timed on the processor, which runs GGUF files here";
        throw badInput("option-alone", { where: "--runtime llama", key: "--device", found: provider, expected });
      }
      const local = localDevicePath(io.environment, runtime);
      const path = options.out ?? (provider === "cpu" ? local : local.replace(/(\.json)?$/, `-${provider}$1`));
      const whose = runtime === "llama" ? "llama.cpp" : "ONNX Runtime";
      say(io, `measuring this machine with ${whose}'s kernels; other work on it would be measured too`);
      const { record, warnings } = await measureMachine(path, {
        quick: options.quick === true,
        runtime,
        provider,
        date: new Date(),
        signal: io.signal,
        onProgress: roundLines(io),
        ...(options.threads === undefined ? {} : { threads: options.threads }),
        ...(options.time === undefined ? {} : { timeLimitSeconds: options.time }),
      });
      for (const { message } of warnings) say(io, `warning: ${message}`);
      const document: CalibrateDocument = { schema: "nsquared/calibrate@1", path, record, warnings: [...warnings] };
      emit(io, options.json, document, () => calibrateText(record, path));
    });
};

/** Options that only mean something without --from. */
function refuseWithFrom({ runtime }: Options): void {
  if (runtime !== "llama") return;
  const expected = "without --from: whose timings the files hold is said with --engine";
  throw badInput("option-alone", { where: "--from", key: "--runtime", found: runtime, expected });
}

/** Options that only mean something with --from. */
function refuseWithoutFrom(options: Options): void {
  for (const key of ["on", "model", "dtype", "engine", "name"] as const) {
    if (options[key] === undefined) continue;
    throw badInput("needs-from", {
      where: `--${key}`,
      key,
      found: options[key],
      expected: "only with --from <files>; without it this machine is measured",
    });
  }
}

async function fitToFiles(paths: readonly string[], options: Options, io: Io): Promise<void> {
  if (options.on === undefined) {
    throw badInput("no-device", {
      where: "--from",
      key: "--on",
      expected: "say which device was timed, as --on h100, or --on my-device.json with its data sheet",
    });
  }
  const device = await loadDevice(options.on, io.environment);
  const loaded = options.model === undefined ? null : await loadModel(options.model, nodeAccess());
  const model =
    loaded === null ? null : withFormats(loaded, device, { ...ownFormats, dtype: options.dtype ?? null }).model;
  const { record, kernels, engine, warnings } = await calibrateFrom(paths, {
    device,
    model,
    engineName: options.engine ?? null,
    ...(options.name === undefined ? {} : { name: options.name }),
  });
  for (const { message } of warnings) say(io, `warning: ${message}`);
  const path = options.out ?? `${plainName(record.name)}.json`;
  await writeText(path, `${JSON.stringify(record, null, 1)}\n`);
  const fits = [
    ...kernels.map(({ kernel, before, after }) => ({
      of: `${kernel.kind} of ${operandsNamed(kernel)}`,
      samples: kernel.rows,
      before,
      after,
    })),
    ...(engine === null
      ? []
      : [{ of: engine.engine.engine, samples: engine.engine.samples, before: engine.before, after: engine.after }]),
  ];
  const document: CalibrateDocument = {
    schema: "nsquared/calibrate@1",
    path,
    record,
    fits,
    warnings: [...warnings],
  };
  emit(io, options.json, document, () =>
    [
      `${record.name}, fitted to ${paths.join(", ")}`,
      ...fits.map(
        ({ of, samples, before, after }) =>
          `  ${of.padEnd(22)} ${String(samples).padStart(5)} timings; predictions missed them by ${percent(before)} (median), now by ${percent(after)}`,
      ),
      ...engineLines(record),
      `record: ${path}; use it as --on ${path}`,
    ].join("\n"),
  );
}

/** How this device's engine differs from its published profile, where samples decide it. */
function engineLines(record: DeviceRecord): string[] {
  return (record.fitted?.engines ?? []).map(({ engine, factors }) => {
    const shown = Object.entries(factors).map(([name, factor]) => `${name} × ${significant(factor, 2)}`);
    return `  seconds over ${engine}'s published profile: ${shown.join(", ")}`;
  });
}

/** A line per quarter of a round on standard error. */
export function roundLines(io: Io): (progress: CalibrateProgress) => void {
  let last = 0;
  return ({ round, done, total, elapsedSeconds }) => {
    const quarter = Math.floor((4 * done) / total);
    const reached = 4 * round + quarter;
    if (reached === last) return;
    last = reached;
    say(io, `  round ${round}, ${percent(quarter / 4)} of its kernels, ${seconds(elapsedSeconds)} so far`);
  };
}

/** What was found, in a few lines. */
function calibrateText(record: DeviceRecord, path: string): string {
  const { calibration } = record;
  const dtype = calibration?.dtype ?? "float32";
  const peak = record.peaks[dtype]?.value ?? 0;
  const lines = [
    `${record.vendor}${calibration === null ? "" : `, ${calibration.threads} threads, ${calibration.engine} ${calibration.engineVersion}, measured in ${seconds(calibration.seconds)}`}`,
    `  matrix products    ${si(peak, "FLOP/s")} in ${dtype}, for large ones`,
    `  memory bandwidth   ${si(record.bandwidth.value, "bytes/s")} beyond the caches`,
    `  per operator       ${seconds(record.launch.value)}`,
  ];
  if (calibration !== null) {
    const { spreads } = calibration;
    lines.push(
      `  model misses       ${Object.entries(spreads)
        .map(([name, spread]) => `${name} ${percent(spread)}`)
        .join(", ")}`,
      `  longest timed      ${tokens(calibration.longest)} tokens`,
    );
  }
  return [...lines, `record: ${path}`].join("\n");
}
