import { Option } from "commander";
import { badInput } from "../base/errors.js";
import { parseLength, parseLengths } from "../base/lengths.js";
import { nodeAccess } from "../files/node.js";
import { loadModel } from "../model/load.js";
import type { LoadedModel } from "../model/stored.js";
import {
  type Axis,
  type ColumnChoice,
  parsePoint,
  readSamples,
  type SampleSet,
  type Series,
} from "../runs/import/index.js";
import type { DeviceRecord } from "../hardware/record.js";
import { loadDevice, localDeviceOfRun } from "../study/devices.js";
import type { FitQuestions } from "../study/fit.js";
import { chooseSeries, curveOfSeries, fitSeries, samplesDocument, scenariosDocumentOf } from "../study/fit-samples.js";
import type { MeasuredPhase } from "../study/measure.js";
import { modelAsRun } from "../study/run-model.js";
import { columnsOption, levelOption, noiseOption } from "./fit-options.js";
import { fitText, scenariosText } from "./fit-text.js";
import { type Io, type SetUp, emit, say, styleFor } from "./io.js";
import { duration, wholeNumber } from "./options.js";
import { modelArgument } from "./words.js";

interface Options {
  readonly point: readonly string[];
  readonly phase?: MeasuredPhase;
  readonly axis?: Axis;
  readonly batch?: number;
  readonly fixed?: number;
  readonly columns?: ColumnChoice;
  readonly at?: number[];
  readonly law: "auto" | "linear" | "quadratic";
  readonly noise?: number;
  readonly level?: number;
  readonly limit?: number;
  readonly next?: boolean;
  readonly time?: number;
  readonly plot: boolean;
  readonly model?: string;
  readonly on?: string;
  readonly json?: boolean;
}

export const setUpFit: SetUp = (command, io) => {
  command
    .description(
      "Finds the law that samples follow: constant + linear + quadratic and its rivals, with intervals that hold with few\n" +
        "repeats, the crossover, and what longer input would cost. It reads run files, CSV with a header, JSON lines, and the\n" +
        "results of llama-bench (-o json, jsonl, csv), vllm bench serve, GuideLLM and AIPerf. With --model it fits the physical\n" +
        "law instead: the model's own operators with a few free efficiencies, on a known device or on any.",
    )
    .argument("[files...]", "a run file of nsquared measure, or samples of another tool; several are put together")
    .addOption(
      new Option("--point <length=time>", "a measured point, as 512=2s or 8k=4.1k tok/s; may be repeated")
        .argParser((text: string, before: readonly string[]) => [...before, text])
        .default([], "none"),
    )
    .addOption(
      new Option("--phase <phase>", "which samples (default: the first there are)").choices([
        "prefill",
        "decode",
        "decode-uncached",
      ]),
    )
    .addOption(
      new Option("--axis <axis>", "over new tokens, or over tokens cached before them").choices(["length", "depth"]),
    )
    .addOption(
      new Option("--batch <b>", "samples of so many sequences, or requests, at once").argParser(
        wholeNumber(1, 2 ** 20),
      ),
    )
    .addOption(
      new Option(
        "--fixed <tokens>",
        "samples with this other length: cached tokens over the length, new ones over the depth",
      ).argParser((text: string) => (text === "0" ? 0 : parseLength(text, "--fixed"))),
    )
    .addOption(columnsOption())
    .addOption(
      new Option("--at <lengths>", "lengths to extrapolate to (default: 2, 4 and 8 times the longest)").argParser(
        (text: string) => parseLengths(text, "--at"),
      ),
    )
    .addOption(
      new Option("--law <kind>", "select, or fix the law").choices(["auto", "linear", "quadratic"]).default("auto"),
    )
    .addOption(noiseOption())
    .addOption(levelOption("95%"))
    .addOption(new Option("--limit <time>", "at which length does the time pass this, as 5s").argParser(duration))
    .option("--next", "what to measure next, so that the interval at the last --at narrows most within --time")
    .addOption(new Option("--time <limit>", "how long measuring may take, for --next, as 2m").argParser(duration))
    .option("--no-plot", "no picture")
    .option("--model <model>", `fit the physical law of ${modelArgument}`)
    .option(
      "--on <device>",
      "the device the samples were measured on, for the physical law, or unknown (default: this calibrated machine for its own runs, else unknown)",
    )
    .addHelpText(
      "after",
      `
Examples:
  nsquared fit runs/SmolLM2-135M-20261123-120000.json --at 8k,32k --limit 5s
  nsquared fit latencies.csv --columns length=prompt,time=latency:ms
  nsquared fit llama-bench.json --phase prefill --axis depth
  nsquared fit --point 512=2s --at 2k --model SmolLM2-135M
  nsquared fit vllm.json --model Llama-3.1-8B --on h100 --at 128k
  nsquared fit run.json --at 64k --next --time 2m
  nsquared fit run.json --phase decode --json`,
    )
    .action(async (paths: readonly string[], options: Options) => {
      const points = options.point.map((text) => parsePoint(text, (length) => parseLength(length, "--point")));
      const [only] = points;
      if (only !== undefined && points.length === 1 && paths.length === 0) {
        const model = options.model === undefined ? null : await loadModel(options.model, nodeAccess());
        const document = scenariosDocumentOf(only, options.at, model);
        emit(io, options.json, document, () => scenariosText(document));
        return;
      }
      if (paths.length === 0 && only === undefined) {
        throw badInput("no-samples", {
          key: "files",
          expected: "name a run or samples, or a measured point with --point 512=2s",
        });
      }
      const set =
        points.length > 0 ? setOfPoints(points, paths, options.phase) : await readSamples(paths, given(options));
      await fitAndShow(set, chooseSeries(set, options), options, io);
    });
};

function given({ columns }: Options): { columns?: ColumnChoice } {
  return columns === undefined ? {} : { columns };
}

/** Points of the command line as a series of their own. */
function setOfPoints(
  points: readonly { n: number; seconds: number }[],
  paths: readonly string[],
  phase: MeasuredPhase = "prefill",
): SampleSet {
  if (paths.length > 0) {
    throw badInput("points-and-files", {
      where: "--point",
      key: "files",
      found: paths.join(", "),
      expected: "either points or files, not both",
    });
  }
  const series: Series = {
    phase,
    axis: phase === "decode" ? "depth" : "length",
    fixed: phase === "decode" ? 1 : 0,
    batch: 1,
    points,
    count: points.length,
    lengths: new Set(points.map(({ n }) => n)).size,
    spread: null,
  };
  return {
    path: "--point",
    format: "points",
    model: null,
    identity: {},
    units: ["as given"],
    series: [series],
    notes: [],
    run: null,
  };
}

async function fitAndShow(set: SampleSet, series: Series, options: Options, io: Io): Promise<void> {
  const model = await modelFor(set, options, io);
  const physical = model === null ? null : { model, device: await deviceOf(set, options, io) };
  const curve = physical === null ? null : curveOfSeries(set, series, physical.model, physical.device);
  const fit = fitSeries(series, {
    law: options.law,
    ...(options.noise === undefined ? {} : { assumedNoise: options.noise }),
    ...(options.level === undefined ? {} : { level: options.level }),
    ...(curve === null ? {} : { curve }),
  });
  const document = samplesDocument(set, series, fit, questionsOf(options, fit.blind.range.to), physical);
  emit(io, options.json, document, () =>
    fitText(document, fit, {
      style: styleFor(io, io.outIsTerminal),
      columns: io.columns,
      plot: options.plot,
    }),
  );
}

/** The model asked for; of a run of ours in the shape that it was measured in. */
async function modelFor({ run }: SampleSet, { model: asked }: Options, io: Io): Promise<LoadedModel | null> {
  if (asked === undefined) return null;
  const whole = await loadModel(asked, nodeAccess());
  if (run === null) return whole;
  const model = modelAsRun(whole, run, asked);
  for (const note of model.notes.filter((text) => text.startsWith("scaled"))) say(io, `as the run was made, ${note}`);
  return model;
}

/** What the samples were measured on, as far as anybody knows. */
async function deviceOf(set: SampleSet, { on }: Options, { environment }: Io): Promise<DeviceRecord | null> {
  if (on !== undefined) return on.toLowerCase() === "unknown" ? null : loadDevice(on, environment);
  return set.run === null ? null : localDeviceOfRun(set.run, environment);
}

const defaultTargetFactor = 8;

function questionsOf(options: Options, longest: number): FitQuestions {
  const { at, limit, next, time } = options;
  if (next !== true && time !== undefined) {
    throw badInput("option-alone", { where: "--time", found: time, expected: "goes with --next" });
  }
  if (next === true && time === undefined) {
    throw badInput("option-alone", { where: "--next", key: "--time", expected: "how long may measuring take, as 2m" });
  }
  return {
    ...(at === undefined ? {} : { at }),
    ...(limit === undefined ? {} : { limit }),
    ...(time === undefined ? {} : { next: { target: at?.at(-1) ?? longest * defaultTargetFactor, seconds: time } }),
  };
}
