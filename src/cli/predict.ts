import { Option } from "commander";
import { exitCodes } from "../base/errors.js";
import type { Dtype } from "../base/units.js";
import { nodeAccess } from "../files/node.js";
import { engineNames } from "../hardware/engine.js";
import { devices as catalog } from "../hardware/catalog/devices.js";
import type { DeviceRecord } from "../hardware/record.js";
import { loadModel } from "../model/load.js";
import type { FileType } from "../model/storage.js";
import type { ModelDescription } from "../model/types.js";
import { deploy } from "../predict/deployment.js";
import type { LatencyWanted } from "../predict/latency.js";
import type { Request, Turns } from "../predict/requests.js";
import { loadDevice } from "../study/devices.js";
import { type SortKey, predictTable, sortKeys } from "../study/predict-table.js";
import { type PredictModelOptions, type Trace, predictModel } from "../study/predict.js";
import { type SetUp, commandLine, emit, styleFor } from "./io.js";
import {
  cacheDtypeOption,
  dtype,
  dtypeOption,
  lengthsOption,
  partialOption,
  shareFrom,
  wholeNumber,
} from "./options.js";
import { depth, durationOrNone, latencyWanted, length, names, positive, request, turns } from "./predict-options.js";
import { predictTableText } from "./predict-table-text.js";
import { predictText } from "./predict-text.js";
import { modelArgument } from "./words.js";

interface Options {
  readonly on: readonly string[];
  readonly engine?: readonly string[];
  readonly lengths?: number[];
  readonly batch: number;
  readonly depth: number;
  readonly chunk?: number | "none";
  readonly prefixCached: number;
  readonly request?: Request;
  readonly turns?: Turns;
  readonly trace?: string;
  readonly encoderLength?: number;
  readonly attention?: "fused" | "naive";
  readonly dtype?: Dtype | FileType;
  readonly kvDtype?: Dtype;
  readonly activationDtype?: Dtype;
  readonly tp: number;
  readonly pp: number;
  readonly ep: number;
  readonly cp: number;
  readonly interconnect?: number;
  readonly network?: number;
  readonly tokenizer?: number;
  readonly limit: readonly LatencyWanted[];
  readonly power?: number;
  readonly price?: number;
  readonly sort: SortKey;
  readonly operators?: boolean;
  readonly plot?: boolean;
  readonly html?: string;
  readonly mustFit?: boolean;
  readonly allowPartial?: boolean;
  readonly json?: boolean;
}

const count = (flag: string, what: string): Option =>
  new Option(`${flag} <devices>`, what).argParser(wholeNumber(1, 65_536)).default(1);

export const setUpPredict: SetUp = (command, io, setExitCode, words) => {
  command
    .description(
      "Predicts prefill seconds, decode seconds per token and memory over the length, with intervals, split by operator, " +
        "with the crossover, the length at which attention takes half, and the longest length that fits.",
    )
    .argument("<model>", modelArgument)
    .addOption(
      new Option(
        "--on <devices>",
        "a device of the catalog (h100, a100-80gb, l4, rtx4090, m2-ultra), a device file, `local` after nsquared calibrate, `local-llama` after nsquared calibrate --runtime llama; several with commas between, or `all`, for a table",
      )
        .argParser(names)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option(
        "--engine <engines>",
        `runtime: ${engineNames.join(", ")}; several with commas between for a table (default: llama.cpp for GGUF types; else vllm on GPUs and accelerators, llama.cpp on Apple's and on processors)`,
      ).argParser(names),
    )
    .addOption(lengthsOption("lengths to predict at"))
    .addOption(new Option("--batch <b>", "sequences at once").argParser(wholeNumber(1, 2 ** 20)).default(1))
    .addOption(new Option("--depth <c>", "tokens already cached before the prefill").argParser(depth).default(0))
    .addOption(
      new Option(
        "--chunk <n>",
        "prefill in chunks of that many tokens, or none (default: as the engine does)",
      ).argParser((text) => (text === "none" ? text : length("--chunk")(text))),
    )
    .addOption(
      new Option("--prefix-cached <share>", "share of the prompt whose keys and values are cached")
        .argParser(shareFrom(0))
        .default(0),
    )
    .addOption(new Option("--request <in:out>", "a whole request, as 4k:512").argParser(request))
    .addOption(new Option("--turns <k>x<in>:<out>", "a conversation, as 10x500:200").argParser(turns))
    .option("--trace <csv>", "lengths of many requests: columns input and, if known, output")
    .addOption(
      new Option("--encoder-length <m>", "tokens of an encoder's input (default: as long as n)").argParser(
        length("--encoder-length"),
      ),
    )
    .addOption(
      new Option(
        "--attention <kernel>",
        "fused, or naive with n × n scores in memory (default: as the engine does)",
      ).choices(["fused", "naive"]),
    )
    .addOption(dtypeOption())
    .addOption(cacheDtypeOption())
    .addOption(
      new Option(
        "--activation-dtype <type>",
        "of activations; fp8 or int8: what they are cast to before products with weights (default: as --dtype)",
      ).argParser(dtype),
    )
    .addOption(count("--tp", "devices that split heads and widths of every layer"))
    .addOption(count("--pp", "stages of a pipeline of layers"))
    .addOption(count("--ep", "devices that split the experts"))
    .addOption(count("--cp", "devices that split the sequence"))
    .addOption(
      new Option("--interconnect <GB/s>", "between devices, one direction (default: the catalog's)").argParser(
        positive("GB/s"),
      ),
    )
    .addOption(new Option("--network <time>", "there and back; with it TTFT is given").argParser(durationOrNone))
    .addOption(new Option("--tokenizer <time>", "of the prompt; with it TTFT is given").argParser(durationOrNone))
    .addOption(
      new Option("--limit <latency>", 'the longest length within "ttft<5s" or "tpot<50ms"; may be repeated')
        .argParser((text: string, before: readonly LatencyWanted[]) => [...before, latencyWanted(text)])
        .default([], "none"),
    )
    .addOption(
      new Option("--power <W>", "of one device, for energy (default: the catalog's TDP)").argParser(positive("watts")),
    )
    .addOption(
      new Option("--price <per hour>", "of one device for an hour, in any currency").argParser(
        positive("a price per hour"),
      ),
    )
    .addOption(new Option("--sort <key>", "order of a table").choices(sortKeys).default("seconds"))
    .option("--operators", "with --json: list every operator at every length")
    .option("--plot", "draw seconds over the length")
    .option("--html <file>", "write a page with pictures: time, shares and memory over the length")
    .option("--must-fit", "exit code 1 where a length asked for does not fit in memory")
    .addOption(partialOption())
    .addHelpText(
      "after",
      `
Examples:
  nsquared predict Llama-3.1-8B --on h100 --lengths 128..128k --plot
  nsquared predict Llama-3.1-8B --on rtx4090 --dtype Q4_K_M --kv-dtype fp8 --request 4k:512
  nsquared predict Llama-3.1-8B --on h100 --tp 4 --limit "ttft<2s" --limit "tpot<20ms" --network 20ms
  nsquared predict Llama-3.1-8B --on h100,a100-80gb,l4 --lengths 8k --price 2.5
  nsquared predict Llama-3.1-8B --on rtx4090 --engine vllm,llama.cpp-cuda --lengths 2k,8k
  nsquared predict Llama-3.1-8B --on all --lengths 8k,64k --request 8k:256 --sort energy
  nsquared calibrate && nsquared predict SmolLM2-135M --on local
  nsquared predict ./config.json --on my-device.json --json

Devices:
${wrapped(catalog.map(({ name }) => name))}`,
    )
    .action(async (location: string, options: Options) => {
      const model = await loadModel(location, nodeAccess(), { allowPartial: options.allowPartial === true });
      const trace = options.trace === undefined ? null : await traceOf(options.trace);
      const asked = { ...optionsOf(options), trace };
      const style = styleFor(io, io.outIsTerminal);
      const [only] = options.on;
      const engines = options.engine ?? [];
      if (options.on.length === 1 && engines.length < 2 && only !== undefined && only.toLowerCase() !== "all") {
        const device = await loadDevice(only, io.environment);
        const document = predictModel(model, device, asked);
        const [from, to] = [document.points[0]?.n ?? 1, document.points.at(-1)?.n ?? 1];
        const draw = options.plot === true && to > from ? (await import("./predict-plot.js")).predictPlot : null;
        emit(io, options.json, document, () =>
          predictText(document, {
            style,
            picture: draw === null ? "" : draw(deploy(model, device, asked), from, to, io.columns, style),
          }),
        );
        if (options.html !== undefined) {
          await writePage(model, device, asked, options.html, commandLine(words));
        }
        if (options.mustFit === true && document.exceeded !== null) setExitCode(exitCodes.gate);
        return;
      }
      const all = options.on.some((name) => name.toLowerCase() === "all");
      const devices = all ? catalog : await Promise.all(options.on.map((name) => loadDevice(name, io.environment)));
      const document = predictTable(model, devices, { ...asked, engines, sort: options.sort });
      emit(io, options.json, document, () => predictTableText(document, style));
      if (options.mustFit === true && !document.rows.some(({ memory }) => memory.fits)) setExitCode(exitCodes.gate);
    });
};

/** Names with commas between, in lines as wide as the rest of the help. */
function wrapped(all: readonly string[]): string {
  const lines: string[] = [];
  for (const name of all) {
    const last = lines.at(-1);
    if (last === undefined || last.length + name.length > helpWidth) lines.push(`  ${name}`);
    else lines[lines.length - 1] = `${last}, ${name}`;
  }
  return lines.join(",\n");
}
const helpWidth = 76;

/** What reads tables is loaded only here, too. */
async function traceOf(path: string): Promise<Trace> {
  const { readTrace } = await import("../study/trace.js");
  return readTrace(path);
}

/** What draws is loaded only here: a prediction without a page starts without it. */
async function writePage(
  model: ModelDescription,
  device: DeviceRecord,
  asked: PredictModelOptions,
  path: string,
  line: string,
): Promise<void> {
  const [{ predictionReport }, { htmlReport }, { writeText }] = await Promise.all([
    import("../study/prediction-report.js"),
    import("../report/html.js"),
    import("../runs/output.js"),
  ]);
  const data = predictionReport(model, device, asked, {
    created: new Date(),
    commands: [line],
  });
  await writeText(path, await htmlReport(data));
}

function optionsOf(options: Options): PredictModelOptions {
  const { network, tokenizer } = options;
  return {
    ...(options.lengths === undefined ? {} : { lengths: options.lengths }),
    batch: options.batch,
    depth: options.depth,
    ...(options.chunk === undefined ? {} : { chunk: options.chunk === "none" ? null : options.chunk }),
    cachedShare: options.prefixCached,
    ...(options.attention === undefined ? {} : { attention: options.attention }),
    engineName: options.engine?.[0] ?? null,
    dtype: options.dtype ?? null,
    kvDtype: options.kvDtype ?? null,
    activationDtype: options.activationDtype ?? null,
    encoderLength: options.encoderLength ?? null,
    parallel: { tensor: options.tp, pipeline: options.pp, expert: options.ep, context: options.cp },
    interconnect: options.interconnect === undefined ? null : options.interconnect * 1e9,
    terms:
      network === undefined && tokenizer === undefined ? null : { network: network ?? 0, tokenizer: tokenizer ?? 0 },
    limits: options.limit,
    request: options.request ?? null,
    turns: options.turns ?? null,
    power: options.power ?? null,
    price: options.price ?? null,
    operators: options.operators === true,
  };
}
