import { InvalidArgumentError, Option } from "commander";
import { badInput } from "../base/errors.js";
import { seconds } from "../base/format.js";
import { parseLength } from "../base/lengths.js";
import { type DemoLaw, diseaseUnits, healthyLaw } from "../demo/law.js";
import { type Quirk, isQuirk, quirks } from "../demo/quirks.js";
import { startDemoServer } from "../demo/server.js";
import type { DemoServerDocument } from "../study/documents/demo-server.js";
import { serveGguf } from "./demo-engine.js";
import { type Io, type SetUp, emit } from "./io.js";
import { duration, number, wholeNumber } from "./options.js";
import { cannotListen, tryIt, untilStopped } from "./serving.js";

interface Options {
  readonly host: string;
  readonly port: number;
  readonly gguf?: string;
  readonly threads?: number;
  readonly constant: number;
  readonly linear: number;
  readonly quadratic: number;
  readonly decode: number;
  readonly perContext: number;
  readonly jitter: number;
  readonly window?: number;
  readonly context: number;
  readonly modelName?: string;
  readonly seed: number;
  readonly quirk: readonly Quirk[];
  readonly disease: Readonly<Record<string, number>>;
  readonly stamps?: boolean;
  readonly json?: boolean;
}

const list = (names: readonly string[]): string => names.join(", ");

const amount = number((value) => value >= 0, "a number of 0 or more, as 4e-5");

function quirk(text: string, before: readonly Quirk[]): readonly Quirk[] {
  if (!isQuirk(text)) throw new InvalidArgumentError(`expected one of ${list(Object.keys(quirks))}.`);
  return [...before, text];
}

function disease(text: string, before: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const [name = "", strength = ""] = text.split("=");
  if (!Object.hasOwn(diseaseUnits, name)) {
    throw new InvalidArgumentError(`expected <name>=<strength>, with a name of ${list(Object.keys(diseaseUnits))}.`);
  }
  return { ...before, [name]: amount(strength) };
}

export const setUpDemoServer: SetUp = (command, io) => {
  const { constant, linear, quadratic, decode, jitter, contextLimit } = healthyLaw;
  command
    .description(
      "Serves an OpenAI-compatible API whose times are known exactly: a prefill of n tokens takes constant + linear·n + " +
        "quadratic·n², a decode step at context c takes decode + per-context·c. It computes nothing. Quirks are what real " +
        "servers do differently; diseases are what makes them slower than their model. With --gguf a real model answers " +
        "instead, in llama.cpp on this machine's CPU: one request at a time, the likeliest token always. Ctrl-C ends it.",
    )
    .addOption(new Option("--port <port>", "0 lets the system choose").argParser(wholeNumber(0, 65_535)).default(8000))
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("--model-name <name>", "the model it says it serves (default: demo, or the file's name)")
    .option("--gguf <file>", "serve this model, computed in llama.cpp, instead of times of a law")
    .addOption(new Option("--threads <k>", "with --gguf: threads (default: the cores)").argParser(wholeNumber(1, 1024)))
    .addOption(new Option("--constant <time>", "of each prefill").argParser(duration).default(constant, "20ms"))
    .addOption(new Option("--linear <s>", "seconds per token").argParser(amount).default(linear))
    .addOption(new Option("--quadratic <s>", "seconds per token squared").argParser(amount).default(quadratic))
    .addOption(new Option("--decode <time>", "of each decode step").argParser(duration).default(decode.constant, "8ms"))
    .addOption(new Option("--per-context <s>", "seconds per cached token").argParser(amount).default(decode.linear))
    .addOption(new Option("--jitter <share>", "spread of the times").argParser(amount).default(jitter))
    .addOption(
      new Option("--window <tokens>", "window of the model's attention").argParser((text: string) =>
        parseLength(text, "--window"),
      ),
    )
    .addOption(
      new Option("--context <tokens>", "longest prompt and answer (default with --gguf: the model's, at most 8k)")
        .argParser((text: string) => parseLength(text, "--context"))
        .default(contextLimit),
    )
    .addOption(
      new Option("--quirk <name>", "behave as some server does; may be repeated").argParser(quirk).default([], "none"),
    )
    .addOption(
      new Option("--disease <name=strength>", "be ill in a known way; may be repeated")
        .argParser(disease)
        .default({}, "none"),
    )
    .option("--stamps", "put the time of sending into every chunk")
    .addOption(new Option("--seed <number>", "of jitter and chance").argParser(wholeNumber(0, 2 ** 31)).default(1))
    .addHelpText(
      "after",
      `
Examples:
  nsquared demo-server --port 8000
  nsquared measure http://127.0.0.1:8000/v1 --model-name demo --lengths 256..8k --yes
  nsquared demo-server --disease unfused=6 --disease padding=512
  nsquared demo-server --quirk rate-limited --quirk role-first
  nsquared demo-server --gguf model.gguf --context 4k --threads 2

Quirks:
${Object.entries(quirks)
  .map(([name, meaning]) => `  ${name.padEnd(19)}${meaning}`)
  .join("\n")}

Diseases, with the unit of their strength:
${Object.entries(diseaseUnits)
  .map(([name, meaning]) => `  ${name.padEnd(19)}${meaning}`)
  .join("\n")}`,
    )
    .action(async (options: Options) => {
      const chosen = (name: string): boolean => command.getOptionValueSource(name) !== "default";
      if (options.gguf === undefined) {
        if (options.threads !== undefined) {
          throw badInput("option-alone", {
            where: "--threads",
            key: "--gguf",
            expected: "a law's times need no threads",
          });
        }
        await serveLaw(options, io);
        return;
      }
      const stranger = ofLaws.find((name) => options[name] !== undefined && chosen(name));
      if (stranger !== undefined) {
        const expected = "a real model's times are its own: leave one of the two out";
        throw badInput("option-alone", { where: flagOf(stranger), key: "--gguf", found: options.gguf, expected });
      }
      const { gguf, threads = null, modelName = null, context, port, host, json = false } = options;
      const contextLength = chosen("context") ? context : null;
      await serveGguf({ gguf, modelName, threads, contextLength, port, host, json }, io);
    });
};

/** Options that say how long a law's requests take, or how they go wrong. */
const ofLaws = [
  "constant",
  "linear",
  "quadratic",
  "decode",
  "perContext",
  "jitter",
  "window",
  "quirk",
  "disease",
  "stamps",
  "seed",
] as const satisfies readonly (keyof Options)[];

function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

async function serveLaw(options: Options, io: Io): Promise<void> {
  const model = options.modelName ?? "demo";
  const law: DemoLaw = {
    constant: options.constant,
    linear: options.linear,
    quadratic: options.quadratic,
    decode: { constant: options.decode, linear: options.perContext },
    jitter: options.jitter,
    window: options.window ?? null,
    contextLimit: options.context,
    chunk: healthyLaw.chunk,
    diseases: options.disease,
  };
  const { seed, quirk: quirksWanted, port, host } = options;
  const server = await startDemoServer({
    law,
    seed,
    quirks: quirksWanted,
    model,
    port,
    host,
    stamps: options.stamps === true,
  }).catch((cause: unknown) => {
    throw cannotListen(cause, options);
  });
  const document: DemoServerDocument = {
    schema: "nsquared/demo-server@1",
    url: server.url,
    model,
    engine: null,
    law: { ...law, diseases: { ...options.disease } },
  };
  emit(io, options.json, document, () =>
    [
      `serving ${model} at ${server.url}`,
      `prefill ${seconds(law.constant)} + ${law.linear}·n + ${law.quadratic}·n² s; decode ${seconds(law.decode.constant)} + ${law.decode.linear}·c s`,
      tryIt(server.url, model),
    ].join("\n"),
  );
  await untilStopped(server, io);
}
