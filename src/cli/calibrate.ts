import { Option } from "commander";
import { percent, seconds, si, tokens } from "../base/format.js";
import type { DeviceRecord } from "../hardware/record.js";
import type { CalibrateProgress } from "../study/calibrate.js";
import { localDevicePath } from "../study/devices.js";
import type { CalibrateDocument } from "../study/documents/calibrate.js";
import { measureMachine } from "../study/local-device.js";
import { type Io, type SetUp, emit, say } from "./io.js";
import { duration, wholeNumber } from "./options.js";

interface Options {
  readonly quick?: boolean;
  readonly threads?: number;
  readonly time?: number;
  readonly out?: string;
  readonly json?: boolean;
}

export const setUpCalibrate: SetUp = (command, io) => {
  command
    .description(
      "Measures this machine with the kernels that models run: matrix products at several sizes, fused attention, memory " +
        "bandwidth at each cache level, overhead per operator. Afterwards `--on local` predicts for this machine.",
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
        "where the record goes (default: the user's cache folder, where `local` is looked up)",
      ),
    )
    .addHelpText(
      "after",
      `
Examples:
  nsquared calibrate
  nsquared calibrate --threads 1 --out one-thread.json && nsquared predict SmolLM2-135M --on one-thread.json`,
    )
    .action(async (options: Options) => {
      const path = options.out ?? localDevicePath(io.environment);
      say(io, "measuring this machine with ONNX Runtime's kernels; other work on it would be measured too");
      const { record, warnings } = await measureMachine(path, {
        quick: options.quick === true,
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

/** A line per round on standard error. */
export function roundLines(io: Io): (progress: CalibrateProgress) => void {
  let last = 0;
  return ({ round, elapsedSeconds }) => {
    if (round === last) return;
    last = round;
    say(io, `  round ${round}, ${seconds(elapsedSeconds)} so far`);
  };
}

/** What was found, in a few lines. */
function calibrateText(record: DeviceRecord, path: string): string {
  const { calibration } = record;
  const peak = record.peaks.float32?.value ?? 0;
  const lines = [
    `${record.vendor}${calibration === null ? "" : `, ${calibration.threads} threads, ${calibration.engine} ${calibration.engineVersion}, measured in ${seconds(calibration.seconds)}`}`,
    `  matrix products    ${si(peak, "FLOP/s")} in float32, for large ones`,
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
