import { InvalidArgumentError, Option } from "commander";
import { percent, scientific, seconds, significant, tokens } from "../base/format.js";
import { parseLengths } from "../base/lengths.js";
import { nodeAccess } from "../files/node.js";
import { loadModel } from "../model/load.js";
import { table } from "../report/table.js";
import { readRun } from "../runs/read.js";
import { loadDevice } from "../study/devices.js";
import type { FitDocument } from "../study/documents/fit.js";
import { fitDocumentOf, fitRun } from "../study/fit.js";
import type { MeasuredPhase } from "../study/measure.js";
import { physicalCurve } from "../study/physical.js";
import { type SetUp, emit } from "./io.js";
import { modelArgument } from "./words.js";

interface Options {
  readonly phase?: MeasuredPhase;
  readonly at?: number[];
  readonly law: "auto" | "linear" | "quadratic";
  readonly noise?: number;
  readonly model?: string;
  readonly on: string;
  readonly json?: boolean;
}

function share(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(%?)$/.exec(text.trim());
  const value = Number(match?.[1] ?? Number.NaN) / (match?.[2] === "%" ? 100 : 1);
  if (!(value > 0 && value < 1)) throw new InvalidArgumentError("expected a share such as 3% or 0.03.");
  return value;
}

export const setUpFit: SetUp = (command, io) => {
  command
    .description(
      "Finds the law that a run's samples follow: constant + linear + quadratic and its rivals, with intervals that hold\n" +
        "with few repeats, the crossover, and what longer input would cost. With --model it fits the physical law instead:\n" +
        "the model's own operators, timed on the calibrated machine, with a few free efficiencies.",
    )
    .argument("<run>", "a run file of nsquared measure")
    .addOption(
      new Option("--phase <phase>", "which samples (default: the first the run has)").choices([
        "prefill",
        "decode",
        "decode-uncached",
      ]),
    )
    .addOption(
      new Option("--at <lengths>", "lengths to extrapolate to (default: 2, 4 and 8 times the longest)").argParser(
        (text: string) => parseLengths(text, "--at"),
      ),
    )
    .addOption(
      new Option("--law <kind>", "select, or fix the law").choices(["auto", "linear", "quadratic"]).default("auto"),
    )
    .addOption(new Option("--noise <share>", "noise assumed where there are no repeats, as 3%").argParser(share))
    .option("--model <model>", `fit the physical law of ${modelArgument}`)
    .option("--on <device>", "the device the run was measured on, for the physical law", "local")
    .addHelpText(
      "after",
      `
Examples:
  nsquared fit runs/SmolLM2-135M-20261123-120000.json --at 8k,32k
  nsquared fit run.json --model SmolLM2-135M --on local --at 8k
  nsquared fit run.json --phase decode --json`,
    )
    .action(async (path: string, options: Options) => {
      const run = await readRun(path);
      const curve =
        options.model === undefined
          ? null
          : physicalCurve(
              run,
              await loadModel(options.model, nodeAccess()),
              await loadDevice(options.on, io.environment),
              options.phase,
            );
      const fit = fitRun(run, {
        law: options.law,
        ...(options.phase === undefined ? {} : { phase: options.phase }),
        ...(options.noise === undefined ? {} : { assumedNoise: options.noise }),
        ...(curve === null ? {} : { curve }),
      });
      const document = fitDocumentOf(run, path, fit, options.at);
      emit(io, options.json, document, () => fitText(document));
    });
};

function fitText(document: FitDocument): string {
  const { law, crossover } = document;
  const { constant, linear, quadratic } = law.coefficients;
  const coefficient = (name: string, unit: string, one: { value: number; low: number; high: number }): string[] => [
    name,
    scientific(one.value),
    `${scientific(one.low)} – ${scientific(one.high)}`,
    unit,
  ];
  const variable = document.phase === "decode" ? "c" : "n";
  const bound = (value: number | null): string => (value === null ? "any length" : tokens(Math.round(value)));
  const lines = [
    `${document.model}, ${document.phase}: ${document.samples} samples at ${tokens(document.range.from)} … ${tokens(document.range.to)}, noise ${percent(document.noise.relative)}${document.noise.assumed ? " (assumed)" : ""}, ${percent(document.level)} intervals`,
    `law              ${law.kind}${law.kind === "physical" ? "" : `: ${law.expression} seconds`}`,
    "",
    table(
      [`${law.coefficientsOf} law`, "value", "interval", "unit"],
      [
        coefficient("constant", "s", constant),
        coefficient("linear", "s/token", linear),
        coefficient("quadratic", "s/token²", quadratic),
      ],
    ),
  ];
  if (law.efficiencies !== undefined) {
    lines.push(
      "",
      table(
        ["seconds over predicted", "factor", "interval", "told by the samples"],
        law.efficiencies.map((one) => [
          one.name,
          significant(one.value),
          `${significant(one.low)} – ${significant(one.high)}`,
          percent(one.informed),
        ]),
      ),
    );
  }
  lines.push(
    "",
    crossover === null
      ? "crossover        none: no quadratic part was found"
      : `crossover        ${variable} = ${tokens(Math.round(crossover.n))} (${bound(crossover.low)} – ${bound(crossover.high)}): the quadratic part equals the rest`,
    `local exponent   ${document.exponents.map(({ n, exponent }) => `${significant(exponent)} at ${tokens(n)}`).join(", ")}`,
    "",
    table(
      [variable, "extrapolated", "interval", "× the longest measured", ""],
      document.extrapolation.map((point) => [
        tokens(point.n),
        seconds(point.seconds),
        `${seconds(point.low)} – ${seconds(point.high)}`,
        significant(point.factor),
        point.canTell ? "" : "can't tell",
      ]),
    ),
  );
  if (document.warnings.length > 0) lines.push("", ...document.warnings.map(({ message }) => `warning: ${message}`));
  return lines.join("\n");
}
