import { NsquaredError, badInput } from "../base/errors.js";
import { threadCount } from "../base/format.js";
import { nodeAccess } from "../files/node.js";
import type { DeviceRecord } from "../hardware/record.js";
import { loadModel } from "../model/load.js";
import type { LoadedModel } from "../model/stored.js";
import type { ModelDescription } from "../model/types.js";
import { htmlReport } from "../report/html.js";
import type { ReportData } from "../report/data.js";
import { terminalReport } from "../report/terminal.js";
import { writeText } from "../runs/output.js";
import { readRun } from "../runs/read.js";
import { type Run, isOfServer } from "../runs/schema.js";
import { deviceOfRun, loadDevice, localDevice, localNames, localRuntimeOf } from "../study/devices.js";
import { reportData } from "../study/report-data.js";
import { reportDocumentOf } from "../study/report.js";
import { modelAsRun } from "../study/run-model.js";
import { type Io, type SetUp, commandLine, emit, say, styleFor } from "./io.js";
import { modelArgument } from "./words.js";

interface Options {
  readonly model?: string;
  readonly on?: string;
  readonly out?: string;
  readonly html: boolean;
  readonly json?: boolean;
}

export const setUpReport: SetUp = (command, io, _setExitCode, words) => {
  command
    .description(
      "Sets what was measured beside what was predicted, per length: a summary for the terminal and a self-contained HTML " +
        "page with pictures: time over length with law, prediction and intervals; shares by operator; memory.",
    )
    .argument("<run>", "a run file of nsquared measure")
    .option(
      "--model <model>",
      `the model of the run (default: as the run names it; a server's is optional): ${modelArgument}`,
    )
    .option(
      "--on <device>",
      "device to predict for: of the catalog, a file, `local` or `local-llama` (default: the calibration of what executed the run)",
    )
    .option("--out <file>", "where the page goes (default: beside the run, .html)")
    .option("--no-html", "the terminal summary only")
    .addHelpText(
      "after",
      `
Examples:
  nsquared report runs/SmolLM2-135M-20261123-120000.json
  nsquared report run.json --on local --out report.html
  nsquared report server-run.json --model Llama-3.1-8B --on h100
  nsquared report run.json --no-html --json`,
    )
    .action(async (path: string, options: Options) => {
      const run = await readRun(path);
      assertOneModel(run, path);
      const model = await modelFor(run, options.model);
      const device = await deviceFor(run, options, io);
      const data = reportData({
        run,
        path,
        model,
        device,
        created: new Date(),
        commands: [commandLine(words)],
      });
      const html = options.html ? await writePage(data, options.out ?? pageBeside(path)) : null;
      emit(io, options.json, reportDocumentOf(data, path, html), () => reportText(data, html, io));
    });
};

/** `runs/a.json` → `runs/a.html`. */
export function pageBeside(run: string): string {
  return `${run.replace(/(\.journal)?\.jsonl?$/, "")}.html`;
}

export async function writePage(data: ReportData, path: string): Promise<string> {
  await writeText(path, await htmlReport(data));
  return path;
}

export function reportText(data: ReportData, html: string | null, io: Io): string {
  const style = styleFor(io, io.outIsTerminal);
  const text = terminalReport(data, { style, columns: io.columns });
  return html === null ? text : `${text}\n\nreport: ${html}`;
}

/**
 * The model a run measured: as asked for, or where the run says it came from. It must be the same model. Null for a server,
 * which does not tell its model's architecture, where nobody else does.
 */
async function modelFor(run: Run, asked: string | undefined): Promise<ModelDescription | null> {
  if (isOfServer(run)) return asked === undefined ? null : loadModel(asked, nodeAccess());
  const tried = asked ?? (run.model.source.startsWith("built-in") ? run.model.name : run.model.source);
  let model: LoadedModel;
  try {
    model = await loadModel(tried, nodeAccess());
  } catch (error) {
    if (asked !== undefined || !(error instanceof NsquaredError)) throw error;
    throw badInput("model-not-found", {
      where: run.id,
      key: "model",
      found: run.model.source,
      expected: `it is no longer there (${error.message}); name it with --model`,
    });
  }
  return modelAsRun(model, run, tried);
}

/** @throws NsquaredError for the run of a comparison */
function assertOneModel({ samples }: Run, path: string): void {
  if (!samples.some(({ variant }) => variant !== undefined)) return;
  const expected = "the run of one model: nsquared compare writes the page of a comparison beside its run";
  throw badInput("several-variants", { where: path, key: "samples", found: "of several variants", expected });
}

/** The device asked for; without a wish this machine's record where there is one, else none. A server may be elsewhere. */
async function deviceFor(run: Run, { on, model }: Options, io: Io): Promise<DeviceRecord | null> {
  if (isOfServer(run) && (on === undefined) !== (model === undefined)) {
    const expected = "a server tells neither: a prediction needs both its model and its device";
    throw badInput("option-alone", { where: run.id, key: on === undefined ? "--on" : "--model", expected });
  }
  if (on !== undefined) return loadDevice(on, io.environment);
  if (isOfServer(run)) {
    say(io, "no prediction: name the server's model with --model and its device with --on");
    return null;
  }
  const runtime = localRuntimeOf(run);
  const local = await localDevice(io.environment, runtime);
  const own = deviceOfRun(run, local);
  if (own === null) {
    const command = runtime === "llama" ? "nsquared calibrate --runtime llama" : "nsquared calibrate";
    const why =
      local === null
        ? `this machine has not been measured yet; run ${command}, or name a device with --on`
        : notCalibrated(run);
    say(io, `no prediction: ${why}`);
  }
  return own;
}

/** Why this machine's record does not speak for a run. */
export function notCalibrated(run: Run): string {
  const { runtime } = run;
  const { name, threads, provider, options } = runtime;
  const format = options["format"] ?? "f32";
  const stored = format === "f32" ? "" : ` and matrices as ${String(format)}`;
  return `the calibration of this machine is not of ${name} on ${provider ?? "?"} with ${threads === null ? "these threads" : threadCount(threads)}${stored}; --on ${localNames[localRuntimeOf(run)]} takes it all the same`;
}
