import { InvalidArgumentError, Option } from "commander";
import { badInput, exitCodes } from "../base/errors.js";
import { percent, seconds, significant, threadCount, tokens } from "../base/format.js";
import { parseLength, parseLengths } from "../base/lengths.js";
import { nodeAccess } from "../files/node.js";
import type { DeviceRecord } from "../hardware/record.js";
import { loadModel } from "../model/load.js";
import { table } from "../report/table.js";
import type { Recorded } from "../measure/record.js";
import { readRun } from "../runs/read.js";
import { type Run, cachedBefore, isOfServer, lengthOf } from "../runs/schema.js";
import { type LocalRuntime, localDevice } from "../study/devices.js";
import type { MeasureDocument, UntilDocument } from "../study/documents/measure.js";
import { staleness } from "../study/local-device.js";
import { measuredRows, serverSecondsOf } from "../study/measured-rows.js";
import { type MeasureOptions, contextWarnings, defaultMeasureOptions, measureModel } from "../study/measure.js";
import { measureUntil, startLengths } from "../study/measure-until.js";
import type { Goal } from "../study/until.js";
import type { LoadedModel } from "../model/stored.js";
import { isLocalGguf, measureGguf } from "../study/measure-gguf.js";
import { type Scaling, scaled, scalingOf } from "../variants/scale.js";
import { type Io, type SetUp, emit, say } from "./io.js";
import {
  type EndpointFlags,
  askServer,
  endpointOptions,
  isEndpoint,
  nothingMeasured,
  refuseStrangers,
} from "./measure-endpoint.js";
import { measureOptions, type MeasureFlags } from "./measure-options.js";
import { lengthsOption, scalingOptions, shareFrom } from "./options.js";
import { progressView } from "./progress.js";
import { modelArgument } from "./words.js";

interface Options extends MeasureFlags, EndpointFlags, Scaling {
  readonly lengths: number[];
  readonly depths: number[];
  readonly resume?: string;
  readonly until?: Goal;
  readonly encoderLength?: number;
  readonly runtime: "auto" | "onnx" | "llama";
  readonly json?: boolean;
}

export const setUpMeasure: SetUp = (command, io, setExitCode) => {
  command
    .description(
      "Times a model in ONNX Runtime on this machine, with synthetic weights of the true shapes, a GGUF file in llama.cpp, " +
        "or an OpenAI-compatible server from outside, over a ladder of lengths: warm-ups apart, shuffled complete blocks, a reference workload " +
        "watched for drift. Each sample is on disk before the next starts; Ctrl-C keeps what was measured.",
    )
    .argument("<model>", `${modelArgument}; or a server's address, with --model-name`)
    .addOption(lengthsOption("lengths to measure").default([...defaultMeasureOptions.lengths], "128..2k"));
  command.addOption(
    new Option("--depths <list>", "tokens cached before each prefill, as 0,4k,16k: the law over both")
      .argParser(depthList)
      .default([0], "0"),
  );
  for (const option of [...measureOptions(), ...scalingOptions(), ...endpointOptions()]) command.addOption(option);
  command
    .addOption(
      new Option(
        "--until <share@length>",
        "measure whatever tells this length best, until its interval is this narrow or --time is spent, as 10%@32k; " +
          "of each --phase, for decode a context, and of prefills after each of --depths cached tokens",
      ).argParser(goal),
    )
    .addOption(
      new Option("--runtime <name>", "what executes it: auto is llama.cpp for a GGUF file, ONNX Runtime for the rest")
        .choices(["auto", "onnx", "llama"])
        .default("auto"),
    )
    .addOption(
      new Option(
        "--encoder-length <m>",
        "tokens of an encoder–decoder's encoder (default: as many as n, in decode as are cached)",
      ).argParser((text: string) => parseLength(text, "--encoder-length")),
    )
    .addOption(new Option("--resume <run>", "measure what a run that ended early lacks, as a new run that names it"))
    .addOption(new Option("--out <file>", "where the run goes (default: runs/<model>-<time>.json)"))
    .addHelpText(
      "after",
      `
Examples:
  nsquared measure SmolLM2-135M --lengths 128..2k --repeat 5
  nsquared measure ./config.json --phase prefill,decode --time 90s --threads 2
  nsquared measure SmolLM2-135M --attention naive --lengths 128..1k --json
  nsquared measure SmolLM2-135M --until 10%@32k --time 2m
  nsquared measure SmolLM2-135M --until 10%@32k --phase decode --time 2m
  nsquared measure SmolLM2-135M --until 10%@4k --depths 0,16k --time 2m
  nsquared measure ./t5/config.json --encoder-length 4k --lengths 64..1k --phase decode
  nsquared measure SmolLM2-135M --provider webgpu --lengths 128..8k
  nsquared measure ./model.gguf --lengths 128..4k --phase prefill,decode
  nsquared measure http://127.0.0.1:8000/v1 --model-name my-model --lengths 256..16k --phase prefill,decode --yes
  nsquared measure http://127.0.0.1:8000/v1 --model-name my-model --until 10%@32k --time 5m --yes
  nsquared measure http://127.0.0.1:8000/v1 --model-name my-model --lengths 256..4k --depths 0,8k,32k --yes
  nsquared measure SmolLM2-135M --resume runs/SmolLM2-135M-20261123-120000.json

Exit codes: 0 done, 2 bad input, 3 some cells failed, 130 stopped by Ctrl-C (what was measured is kept).`,
    )
    .action(async (location: string, options: Options) => {
      const resume = options.resume === undefined ? null : await readRun(options.resume);
      refuseStrangers(location, options);
      assertUntil(options);
      const aim = options.until;
      const chosen = command.getOptionValueSource("lengths") !== "default";
      const lengths = aim === undefined || chosen ? options.lengths : startLengths(aim);
      if (isEndpoint(location, options)) {
        refuseEncoderLength(location, options);
        const answered = await askServer(location, { ...options, lengths }, resume, io);
        if (answered === null) {
          say(io, "nothing was measured");
          setExitCode(nothingMeasured(io));
          return;
        }
        const document = { ...measureDocumentOf(answered), ...untilParts(answered.until ?? []) };
        emit(io, options.json, document, () => measureText(answered, document, options.resume));
        setExitCode(exitCodeOf(answered.run));
        return;
      }
      const model = scaled(await loadModel(location, nodeAccess()), options);
      const scaling = scalingOf(options);
      const { encoderLength } = options;
      const plain = {
        ...plainOptions(options),
        ...(scaling === null ? {} : { scaling }),
        ...(encoderLength === undefined ? {} : { encoderLength }),
      };
      for (const note of model.notes.filter((text) => text.startsWith("scaled"))) say(io, note);
      const llama = options.runtime === "llama" || (options.runtime === "auto" && runsInLlama(model, options));
      if (llama) refuseEncoderLength(location, options);
      const deepest = Math.max(...options.depths);
      const asked = aim === undefined ? lengths : [...lengths, aim.n];
      const doubts = contextWarnings(
        model,
        asked.map((length) => length + deepest),
      );
      for (const { message } of doubts) say(io, `warning: ${message}`);
      if (aim !== undefined) {
        const runtime = llama ? "llama" : "onnx";
        const device = await freshDevice(runtime, options, io);
        const { recorded, until } = await measureWithProgress(io, (world) => {
          const wanted = { ...plain, lengths, depths: options.depths, timeLimitSeconds: options.time ?? 0 };
          return measureUntil(model, wanted, aim, { runtime, device }, world);
        });
        const document = { ...measureDocumentOf(recorded, doubts), ...untilParts(until) };
        emit(io, options.json, document, () => measureText(recorded, document, options.resume));
        setExitCode(exitCodeOf(recorded.run));
        return;
      }
      const wanted = {
        ...plain,
        lengths,
        depths: options.depths,
        ...(resume === null ? {} : { resume }),
      };
      const recorded = await measureWithProgress(io, (world) =>
        llama ? measureGguf(model, wanted, world) : measureModel(model, wanted, world),
      );
      const document = measureDocumentOf(recorded, doubts);
      emit(io, options.json, document, () => measureText(recorded, document, options.resume));
      setExitCode(exitCodeOf(recorded.run));
    });
};

/** This machine's record of a runtime; says so where there is none, or it does not speak for what is measured now. */
async function freshDevice(runtime: LocalRuntime, options: Options, io: Io): Promise<DeviceRecord | null> {
  const device = await localDevice(io.environment, runtime);
  const alone = "the interval will be of the samples alone";
  if (device === null) {
    const of = runtime === "llama" ? " for llama.cpp (nsquared calibrate --runtime llama)" : "";
    say(io, `this machine is not calibrated${of}: ${alone}`);
    return null;
  }
  if (runtime === "onnx") return device;
  const reason = await staleness(device, options.threads, new Date());
  if (reason === null) return device;
  say(io, `the calibration with llama.cpp is left aside, because ${reason}: ${alone}`);
  return null;
}

function refuseEncoderLength(location: string, { encoderLength }: Options): void {
  if (encoderLength === undefined) return;
  const expected = "an encoder–decoder that ONNX Runtime executes here";
  throw badInput("option-alone", { where: "--encoder-length", key: "measured", found: location, expected });
}

/** Depths are lengths, and none. */
function depthList(text: string): number[] {
  const words = text.split(",").map((word) => word.trim());
  const found = words.flatMap((word) => (word === "0" ? [0] : parseLengths(word, "--depths")));
  return [...new Set(found)].sort((left, right) => left - right);
}

/** `10%@32k`. */
function goal(text: string): Goal {
  const [share = "", length] = text.split("@");
  if (length === undefined) throw new InvalidArgumentError("expected share@length, such as 10%@32k.");
  return { halfWidth: shareFrom(leastHalfWidth)(share), n: parseLength(length, "--until") };
}

const leastHalfWidth = 1e-4;

function assertUntil(options: Options): void {
  const { until, time, resume } = options;
  if (until === undefined) return;
  const wrong = (key: string, expected: string) => badInput("option-alone", { where: "--until", key, expected });
  if (time === undefined) throw wrong("--time", "how long may measuring take at most, as 2m");
  if (resume !== undefined) throw wrong("--resume", "a run that decides its own lengths is not resumed; leave one out");
}

/** A GGUF file goes to llama.cpp as it is, unless its shapes or weights are asked for in another form. */
function runsInLlama(model: LoadedModel, flags: Options): boolean {
  return isLocalGguf(model) && flags.weights === "f32" && !model.notes.some((note) => note.startsWith("scaled"));
}

/** The flags as the study wants them. */
export function plainOptions(flags: MeasureFlags): Partial<MeasureOptions> {
  return {
    phases: flags.phase,
    batch: flags.batch,
    repeat: flags.repeat,
    warmups: flags.warmups,
    timeLimitSeconds: flags.time ?? null,
    threads: flags.threads ?? null,
    attention: flags.attention,
    provider: flags.provider,
    weights: flags.weights,
    seed: flags.seed,
    ...(flags.out === undefined ? {} : { output: { file: flags.out } }),
  };
}

/** Measures with a bar, or lines, on standard error. */
export async function measureWithProgress<T>(
  io: Io,
  measure: (world: Parameters<typeof measureModel>[2]) => Promise<T>,
): Promise<T> {
  const view = progressView(io);
  try {
    return await measure({
      created: new Date(),
      signal: io.signal,
      progress: (event) => {
        view.update(event);
      },
      say: (text) => {
        say(io, text);
      },
    });
  } finally {
    view.stop();
  }
}

export function exitCodeOf(run: Run): number {
  if (run.status === "interrupted") return exitCodes.interrupted;
  return run.status === "incomplete" ? exitCodes.incomplete : 0;
}

export function measureDocumentOf({ run, path }: Recorded, doubts: MeasureDocument["warnings"] = []): MeasureDocument {
  return {
    schema: "nsquared/measure@1",
    run: path,
    id: run.id,
    status: run.status,
    seconds: run.seconds,
    samples: run.samples.map((sample) => ({
      phase: sample.phase,
      n: lengthOf(sample),
      cached: cachedBefore(sample),
      batch: sample.batch,
      seconds: sample.seconds,
      serverSeconds: serverSecondsOf(sample),
      steps: sample.steps,
      block: sample.block,
      warmup: sample.warmup,
      rejected: sample.rejected,
    })),
    lengths: measuredRows(run),
    warnings: [...doubts, ...run.warnings],
  };
}

function runtimeText(run: Run): string {
  const { runtime, model } = run;
  if (isOfServer(run)) return `${model.source}, time to the first token and per further token`;
  return `${runtime.name} ${runtime.version}, ${runtime.threads === null ? "? threads" : threadCount(runtime.threads)}, ${runtime.attention ?? "?"} attention`;
}

/**
 * One row per phase, length and what else was varied. Of a server that tells its own times, these stand beside the client's.
 */
function samplesTable(run: Run, rows: MeasureDocument["lengths"]): string {
  const batches = new Set(run.plan.cells.map(({ batch }) => batch)).size > 1;
  const depths = rows.some(({ cached }) => cached > 0);
  const own = rows.some(({ serverSeconds }) => serverSeconds !== null);
  const optional = (shown: boolean, text: string): string[] => (shown ? [text] : []);
  return table(
    [
      "phase",
      ...optional(batches, isOfServer(run) ? "at once" : "batch"),
      ...optional(depths, "cached"),
      "n",
      "median",
      ...optional(own, "server's own"),
      "spread",
      "samples",
    ],
    rows.map((row) => [
      row.phase,
      ...optional(batches, String(row.batch)),
      ...optional(depths, tokens(row.cached)),
      tokens(row.n),
      seconds(row.seconds),
      ...optional(own, row.serverSeconds === null ? "–" : seconds(row.serverSeconds)),
      percent((row.high - row.low) / row.seconds),
      String(row.samples),
    ]),
  );
}

function measureText({ run, path }: Recorded, document: MeasureDocument, resumed: string | undefined): string {
  return [
    `${run.model.name}: ${runtimeText(run)}, ${run.status} in ${seconds(run.seconds)}`,
    "",
    samplesTable(run, document.lengths),
    "",
    ...(document.until === undefined ? [] : [...(document.untilEach ?? [document.until]).map(untilText), ""]),
    ...document.warnings.map(({ message }) => `warning: ${message}`),
    `run: ${path}`,
    ...(run.status === "complete" || document.until !== undefined
      ? []
      : [`to measure what it lacks: the same command with --resume ${path}`]),
    `next: nsquared fit ${resumed === undefined ? "" : `${resumed} `}${path}`,
  ].join("\n");
}

const stopped = {
  reached: "reached",
  time: "not reached: the time is spent",
  "no-better-length": "not reached: no length that can be measured in the time left would narrow it",
  interrupted: "not reached: stopped by hand",
} as const;

/** Of several laws the least known stands for all. */
function untilParts(each: readonly UntilDocument[]): Pick<MeasureDocument, "until" | "untilEach"> {
  const width = ({ reached, halfWidth }: UntilDocument): number =>
    (halfWidth ?? Number.POSITIVE_INFINITY) + (reached ? 0 : 1e6);
  const [least] = [...each].sort((left, right) => width(right) - width(left));
  if (least === undefined) return {};
  return { until: least, ...(each.length > 1 ? { untilEach: [...each] } : {}) };
}

/** Whether the wanted interval was reached, and of which law it is. */
function untilText({ phase, n, cached, wanted, reason, law, ...at }: UntilDocument): string {
  const after = cached === 0 ? "" : ` after ${tokens(cached)} cached`;
  const head = `${phase}, ±${percent(wanted)} at ${tokens(n)}${after}: ${stopped[reason]}`;
  if (at.seconds === null || at.low === null || at.high === null || at.halfWidth === null) return head;
  const far = at.factor !== null && at.factor > 1 ? `, ${significant(at.factor)} times the longest measured` : "";
  const doubt = at.canTell ? "" : "; but the samples can't tell (nsquared fit says why)";
  const whose =
    law === "physical"
      ? "physical law (the model's operators on this machine)"
      : `${law ?? ""} law of the samples alone`;
  return `${head}; ${seconds(at.seconds)} (${seconds(at.low)} – ${seconds(at.high)}, ±${percent(at.halfWidth)})${far}, by the ${whose}${doubt}`;
}
