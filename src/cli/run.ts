import { Command, CommanderError } from "commander";
import { NsquaredError, exitCodes } from "../base/errors.js";
import { version } from "../base/version.js";
import type { Io, SetUp } from "./io.js";

/** Exit code of an error nobody foresaw (sysexits: internal software error). */
const internalError = 70;

interface Entry {
  readonly name: string;
  readonly summary: string;
  /** Loaded only when the command is the one asked for, so that each starts as fast as it can. */
  readonly load: () => Promise<SetUp>;
}

const entries: readonly Entry[] = [
  {
    name: "profile",
    summary: "the whole answer for a model on this machine: describe, predict, measure, fit, report",
    load: async () => (await import("./profile.js")).setUpProfile,
  },
  {
    name: "describe",
    summary: "what a model is: parameters, layers, cache",
    load: async () => (await import("./describe.js")).setUpDescribe,
  },
  {
    name: "cost",
    summary: "FLOPs, bytes and launches as exact functions of the length",
    load: async () => (await import("./cost.js")).setUpCost,
  },
  {
    name: "predict",
    summary: "seconds and memory over the length on given hardware",
    load: async () => (await import("./predict.js")).setUpPredict,
  },
  {
    name: "calibrate",
    summary: "measure this machine once, so that `--on local` knows it",
    load: async () => (await import("./calibrate.js")).setUpCalibrate,
  },
  {
    name: "measure",
    summary: "time the model for real, over lengths",
    load: async () => (await import("./measure.js")).setUpMeasure,
  },
  {
    name: "compare",
    summary: "variants of a model, or several models, run side by side: which is faster from which length on",
    load: async () => (await import("./compare.js")).setUpCompare,
  },
  {
    name: "generate",
    summary: "continue a prompt with a model's real weights, by the graph that is priced and timed",
    load: async () => (await import("./generate.js")).setUpGenerate,
  },
  {
    name: "fit",
    summary: "the law that samples follow, with intervals, and what longer input will cost",
    load: async () => (await import("./fit.js")).setUpFit,
  },
  {
    name: "check",
    summary: "a gate: exit code 1 where a run got slower than its baseline or misses a latency",
    load: async () => (await import("./check.js")).setUpCheck,
  },
  {
    name: "explain",
    summary: "what ails a run: cached prefixes, padding, queueing, unfused attention, …, or nothing",
    load: async () => (await import("./explain.js")).setUpExplain,
  },
  {
    name: "report",
    summary: "measured against predicted, as text and as a page with pictures",
    load: async () => (await import("./report.js")).setUpReport,
  },
  {
    name: "demo-server",
    summary: "a server with known times and faults, to try `measure` and `fit` on",
    load: async () => (await import("./demo-server.js")).setUpDemoServer,
  },
];

/**
 * Runs one command line.
 *
 * @param words without node and the script
 * @returns the exit code: 0, or one of `exitCodes`
 */
export async function run(words: readonly string[], io: Io): Promise<number> {
  let exitCode = 0;
  try {
    const program = new Command("nsquared")
      .description("How Transformer inference slows as the sequence grows, why, and what to do about it.")
      .version(version, "-V, --version")
      .showHelpAfterError("(add --help for the options and examples)")
      .configureOutput({ writeOut: io.out, writeErr: io.err })
      .exitOverride()
      .addHelpText(
        "after",
        "\nStart with: nsquared profile SmolLM2-135M\nEvery command takes --json, and --help shows its examples.",
      );
    const asked = words.find((word) => !word.startsWith("-"));
    const wanted = asked === "help" ? words[words.indexOf("help") + 1] : asked;
    for (const { name, summary, load } of entries) {
      const command = program.command(name).summary(summary).description(summary);
      if (name !== wanted) continue;
      const setUp = await load();
      setUp(command, io, (code) => (exitCode = code), words);
      command.option("--json", "one JSON document on standard output, nothing else").option("--debug", "stack traces");
    }
    await program.parseAsync(words, { from: "user" });
    return exitCode;
  } catch (error) {
    return report(error, io, words.includes("--debug"));
  }
}

function report(error: unknown, io: Io, debug: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.input;
  const stack = debug && error instanceof Error ? `${error.stack ?? ""}\n` : "";
  if (error instanceof NsquaredError) {
    io.err(`nsquared: ${error.message}\n${stack}`);
    return error.exitCode;
  }
  if (io.signal.aborted && error instanceof Error && error.name === "AbortError") {
    io.err(`nsquared: stopped before there was a result\n${stack}`);
    return exitCodes.interrupted;
  }
  const message = error instanceof Error ? error.message : String(error);
  const help = stack === "" ? "Run again with --debug for the details.\n" : stack;
  io.err(`nsquared: unexpected error: ${message}\n${help}`);
  return internalError;
}
