import { Option } from "commander";
import { version } from "../base/version.js";
import { nodeAccess } from "../files/node.js";
import type { DeviceRecord } from "../hardware/record.js";
import type { Provider } from "../onnx/provider.js";
import { loadModel } from "../model/load.js";
import { comparisonPage, comparisonText } from "../report/compare.js";
import { writeText } from "../runs/output.js";
import { compareModels, comparedPeaks, defaultCompareOptions } from "../study/compare.js";
import { compareDocumentOf } from "../study/compare-result.js";
import { deviceOfComparison, loadDevice, localDevice } from "../study/devices.js";
import { contendersOf } from "../study/contenders.js";
import type { Scaling } from "../variants/scale.js";
import { type VariantWeights, variantWords, weightFormats } from "../variants/variant.js";
import { type Io, type SetUp, emit, say, styleFor } from "./io.js";
import { exitCodeOf, measureWithProgress } from "./measure.js";
import { phasesOf, providerOption } from "./measure-options.js";
import { duration, lengthsOption, scalingOptions, wholeNumber } from "./options.js";
import { request } from "./predict-options.js";
import { notCalibrated, pageBeside } from "./report.js";

interface Options extends Scaling {
  readonly like?: string;
  readonly lengths: number[];
  readonly phase: ("prefill" | "decode")[];
  readonly batch: number;
  readonly repeat: number;
  readonly warmups: number;
  readonly time?: number;
  readonly threads?: number;
  readonly seed: number;
  readonly provider: Provider;
  readonly weights?: VariantWeights;
  readonly request?: { readonly input: number; readonly output: number };
  readonly on?: string;
  readonly memory: boolean;
  readonly page: boolean;
  readonly out?: string;
  readonly json?: boolean;
}

export const setUpCompare: SetUp = (command, io, setExitCode) => {
  command
    .description(
      "Runs variants of a model, or several models, side by side on this machine in interleaved rounds, and says which is " +
        "faster from which length on: measured, with intervals, and predicted. Synthetic weights of the true shapes. Ctrl-C " +
        "keeps what was measured.",
    )
    .argument("<what...>", "variants of the model named with --like, or models; the others are compared with the first")
    .option("--like <model>", "the model that variants are made of")
    .addOption(lengthsOption("lengths to measure").default([...defaultCompareOptions.lengths], "128..2k"))
    .addOption(
      new Option("--phase <list>", "what to time: prefill, decode")
        .argParser(phasesOf(["prefill", "decode"] as const))
        .default([...defaultCompareOptions.phases], "prefill,decode"),
    );
  for (const option of scalingOptions()) command.addOption(option);
  command
    .addOption(
      new Option("--weights <format>", "how weights are stored where a variant does not say").choices([
        ...weightFormats,
      ]),
    )
    .addOption(new Option("--request <in:out>", "a document read and answered, as 16k:256").argParser(request))
    .addOption(
      new Option("--repeat <k>", "rounds").argParser(wholeNumber(1, 10_000)).default(defaultCompareOptions.repeat),
    )
    .addOption(
      new Option("--warmups <k>", "untimed runs of each length first").argParser(wholeNumber(0, 100)).default(1),
    )
    .addOption(new Option("--time <limit>", "how long measuring may take, as 90s or 5m").argParser(duration))
    .addOption(
      new Option("--threads <k>", "threads of one operator (default: the cores)").argParser(wholeNumber(1, 1024)),
    )
    .addOption(new Option("--batch <b>", "sequences at once").argParser(wholeNumber(1, 2 ** 16)).default(1))
    .addOption(
      new Option("--seed <s>", "of weights, tokens and order").argParser(wholeNumber(0, 2 ** 32 - 1)).default(1),
    )
    .addOption(providerOption())
    .option("--on <device>", "the device whose record predicts (default: this machine's, where it was calibrated)")
    .option("--no-memory", "do not measure each one's peak memory in a process of its own")
    .option("--no-page", "no page with pictures beside the run")
    .option("--out <file>", "where the run goes (default: runs/<names>-<time>.json)")
    .addHelpText(
      "after",
      `
Variants (joined with +, as window:1024+q8):
${variantWords()
  .map(({ usage, summary }) => `  ${usage.padEnd(24)} ${summary}`)
  .join("\n")}

Examples:
  nsquared compare full mqa window:1024 linear mamba2 lstm --like SmolLM2-135M --layers 6 --lengths 128..16k --time 5m
  nsquared compare full naive --like SmolLM2-135M --layers 2 --phase prefill --lengths 256..4k
  nsquared compare full uncached --like SmolLM2-135M --layers 4 --request 1k:128
  nsquared compare SmolLM2-135M Qwen2.5-0.5B --lengths 128..1k --json

Exit codes: 0 done, 2 bad input, 3 some cells failed, 130 stopped by Ctrl-C (what was measured is kept).`,
    )
    .action(async (what: string[], options: Options) => {
      const contenders = await contendersOf(
        what,
        { like: options.like ?? null, scaling: options, weights: options.weights ?? null },
        (location) => loadModel(location, nodeAccess()),
      );
      const named = options.on === undefined ? null : await loadDevice(options.on, io.environment);
      const local = await ownDevice(options, io);
      const compared = await measureWithProgress(io, (world) =>
        compareModels(
          contenders,
          {
            phases: options.phase,
            lengths: options.lengths,
            batch: options.batch,
            repeat: options.repeat,
            warmups: options.warmups,
            timeLimitSeconds: options.time ?? null,
            threads: options.threads ?? null,
            seed: options.seed,
            provider: options.provider,
            ...(options.out === undefined ? {} : { output: { file: options.out } }),
          },
          world,
        ),
      );
      // What a GPU holds is not resident memory.
      const measuresMemory = options.memory && options.provider === "cpu";
      const peaks = measuresMemory
        ? await comparedPeaks(
            compared,
            { threads: options.threads ?? null, seed: options.seed, batch: options.batch },
            { signal: io.signal, say: (text) => say(io, text) },
          )
        : null;
      const { run, path } = compared.recorded;
      const device = named ?? deviceOfComparison(run, local);
      if (device === null && local !== null) say(io, `no predicted seconds: ${notCalibrated(run)}`);
      const page = options.page ? pageBeside(path) : null;
      const document = compareDocumentOf(compared, {
        device,
        request:
          options.request === undefined ? null : { prompt: options.request.input, answer: options.request.output },
        peaks,
        page,
        seed: options.seed,
      });
      if (page !== null) await writeText(page, await comparisonPage(document, version, run.created));
      emit(io, options.json, document, () => {
        const text = comparisonText(document, { style: styleFor(io, io.outIsTerminal), columns: io.columns });
        return page === null ? text : `${text}\npage: ${page}`;
      });
      setExitCode(exitCodeOf(run));
    });
};

/** This machine's record, where nobody named a device and there is one; says so where there is not. */
async function ownDevice({ on, provider }: Options, io: Io): Promise<DeviceRecord | null> {
  if (on !== undefined) return null;
  if (provider !== "cpu") {
    say(io, "no predicted seconds: this machine's record is of its processor; name the GPU with --on");
    return null;
  }
  const local = await localDevice(io.environment);
  if (local === null) say(io, "no predicted seconds: this machine has not been measured yet (nsquared calibrate)");
  return local;
}
