import { Option } from "commander";
import { NsquaredError } from "../base/errors.js";
import { bytes, parameterCount, seconds, tokens } from "../base/format.js";
import { nodeAccess } from "../files/node.js";
import type { DeviceRecord } from "../hardware/record.js";
import { loadModel } from "../model/load.js";
import { costOfModel } from "../study/cost.js";
import { describeModel } from "../study/describe.js";
import { loadDevice, localDevicePath } from "../study/devices.js";
import type { ProfileDocument } from "../study/documents/profile.js";
import { fitDocumentOf, fitRun, measuredPhases } from "../study/fit.js";
import { measureMachine, staleness } from "../study/local-device.js";
import { contextWarnings, defaultMeasureOptions, measureModel } from "../study/measure.js";
import { physicalCurve } from "../study/physical.js";
import { predictModel } from "../study/predict.js";
import { reportData } from "../study/report-data.js";
import { reportDocumentOf } from "../study/report.js";
import { roundLines } from "./calibrate.js";
import { type Io, type SetUp, emit, say, styleFor } from "./io.js";
import { type MeasureFlags, measureOptions } from "./measure-options.js";
import { exitCodeOf, measureDocumentOf, measureWithProgress, plainOptions } from "./measure.js";
import { lengthsOption } from "./options.js";
import { pageBeside, reportText, writePage } from "./report.js";
import { modelArgument } from "./words.js";

interface Options extends MeasureFlags {
  readonly lengths: number[];
  readonly recalibrate?: boolean;
  readonly json?: boolean;
}

/** Both phases, up to a length that shows the square; in a minute on two cores for a model of 135M parameters. */
const defaults = {
  ...defaultMeasureOptions,
  phases: ["prefill", "decode"] as const,
  lengths: [128, 256, 512, 1024, 2048, 4096],
};
const defaultTimeLimit = 70;

export const setUpProfile: SetUp = (command, io, setExitCode) => {
  command
    .description(
      "The whole answer for a model on this machine: describes and prices it, calibrates the machine (once a day), predicts, " +
        "measures, fits and reports. Ends with the answer in three sentences and the path of a page with pictures.",
    )
    .argument("<model>", modelArgument)
    .addOption(lengthsOption("lengths to measure").default(defaults.lengths, "128..4k"));
  for (const option of measureOptions(defaults)) {
    command.addOption(option.long === "--time" ? option.default(defaultTimeLimit, "70s") : option);
  }
  command
    .addOption(new Option("--out <file>", "where the run goes (default: runs/<model>-<time>.json; the page beside it)"))
    .option("--recalibrate", "measure the machine again even if its record is fresh")
    .addHelpText(
      "after",
      `
Examples:
  nsquared profile SmolLM2-135M
  nsquared profile ./config.json --lengths 128..1k --time 30s
  nsquared profile Qwen2.5-0.5B --phase prefill --threads 2 --json`,
    )
    .action(async (location: string, options: Options) => {
      const step = stepper(io);
      const model = await loadModel(location, nodeAccess());
      const describe = describeModel(model);
      step(
        "describe",
        `${model.name}: ${parameterCount(describe.parameters.total)} parameters, ${describe.layers} layers, KV cache ${bytes(describe.cache.bytesPerToken)} per token`,
      );
      const cost = costOfModel(model, { lengths: options.lengths, attention: options.attention, batch: options.batch });
      const crossing =
        cost.crossover === null
          ? "no square that overtakes"
          : `the square overtakes at n = ${tokens(Math.round(cost.crossover.n))}`;
      step("cost", `prefill takes ${cost.flops.expression} FLOPs: ${crossing}`);
      const device = await localDevice(options, io, step);
      const predict = predictModel(model, device, {
        lengths: options.lengths,
        batch: options.batch,
        attention: options.attention,
      });
      const last = predict.points.at(-1);
      if (last !== undefined) {
        step(
          "predict",
          `prefill of ${tokens(last.n)} tokens in ${seconds(last.prefill.seconds)} (${seconds(last.prefill.low)} – ${seconds(last.prefill.high)})${last.decode === null ? "" : `, decode in ${seconds(last.decode.seconds)} per token`}`,
        );
      }
      const doubts = contextWarnings(model, options.lengths);
      for (const { message } of doubts) say(io, `warning: ${message}`);
      step(
        "measure",
        `${options.phase.join(" and ")} at ${options.lengths.map(tokens).join(", ")}, ${options.repeat} blocks`,
      );
      const recorded = await measureWithProgress(io, (world) =>
        measureModel(model, { ...plainOptions(options), lengths: options.lengths }, world),
      );
      const { run, path } = recorded;
      const fits = measuredPhases(run).map((phase) =>
        fitDocumentOf(run, path, fitRun(run, { phase, curve: physicalCurve(run, model, device, phase) })),
      );
      step("fit", fits.map((fit) => `${fit.phase}: ${fit.law.kind} law of ${fit.samples} samples`).join("; "));
      const data = reportData({
        run,
        path,
        model,
        device,
        created: new Date(),
        commands: [`nsquared profile ${location}`, `nsquared report ${path}`],
      });
      const html = await writePage(data, pageBeside(path));
      step("report", html);
      const document: ProfileDocument = {
        schema: "nsquared/profile@1",
        describe,
        cost,
        predict,
        measure: measureDocumentOf(recorded, doubts),
        fits,
        report: reportDocumentOf(data, path, html),
      };
      emit(io, options.json, document, () => `\n${reportText(data, html, io)}`);
      setExitCode(exitCodeOf(run));
    });
};

/** Says which step is reached and what it found. */
function stepper(io: Io): (name: string, text: string) => void {
  const style = styleFor(io, io.errIsTerminal);
  return (name, text) => {
    say(io, `${style("bold", name.padEnd(10))} ${text}`);
  };
}

/** This machine's record: the kept one while it speaks for the machine as it is, else a new one. */
async function localDevice(
  options: Options,
  io: Io,
  step: (name: string, text: string) => void,
): Promise<DeviceRecord> {
  const path = localDevicePath(io.environment);
  const now = new Date();
  const kept = options.recalibrate === true ? null : await keptDevice(io);
  const reason = kept === null ? null : await staleness(kept, options.threads, now);
  if (kept !== null && reason === null) {
    step("calibrate", `using this machine's record of ${kept.calibration?.measured ?? "?"} (${path})`);
    return kept;
  }
  const why = reason === null ? "" : ` again, because ${reason}`;
  step("calibrate", `measuring this machine${why}: about 25 s, kept for a day in ${path}`);
  const { record, warnings } = await measureMachine(path, {
    quick: false,
    date: now,
    signal: io.signal,
    onProgress: roundLines(io),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
  });
  for (const { message } of warnings) say(io, `warning: ${message}`);
  return record;
}

async function keptDevice(io: Io): Promise<DeviceRecord | null> {
  try {
    return await loadDevice("local", io.environment);
  } catch (error) {
    // A record that is missing, or was written by another version, is simply measured again.
    if (error instanceof NsquaredError) return null;
    throw error;
  }
}
