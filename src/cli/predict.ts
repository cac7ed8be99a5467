import { Option } from "commander";
import { bytes, percent, seconds, significant, tokens } from "../base/format.js";
import type { Dtype } from "../base/units.js";
import { nodeAccess } from "../files/node.js";
import { loadModel } from "../model/load.js";
import { table } from "../report/table.js";
import { loadDevice } from "../study/devices.js";
import type { PredictDocument } from "../study/documents/predict.js";
import { predictModel } from "../study/predict.js";
import { type SetUp, emit } from "./io.js";
import { dtype, lengthsOption, wholeNumber } from "./options.js";
import { modelArgument } from "./words.js";

interface Options {
  readonly on: string;
  readonly lengths?: number[];
  readonly batch: number;
  readonly depth: number;
  readonly attention: "fused" | "naive";
  readonly dtype?: Dtype;
  readonly json?: boolean;
}

export const setUpPredict: SetUp = (command, io) => {
  command
    .description(
      "Predicts prefill seconds, decode seconds per token and memory over the length, with intervals, split by operator, " +
        "with the crossover, the length at which attention takes half, and the longest length that fits.",
    )
    .argument("<model>", modelArgument)
    .requiredOption(
      "--on <device>",
      "a device of the catalog (h100, a100-80gb, l4, rtx4090, m2-ultra), a device file, or `local` after nsquared calibrate",
    )
    .addOption(lengthsOption("lengths to predict at"))
    .addOption(new Option("--batch <b>", "sequences at once").argParser(wholeNumber(1, 2 ** 20)).default(1))
    .addOption(
      new Option("--depth <c>", "tokens already cached before the prefill")
        .argParser(wholeNumber(0, 2 ** 40))
        .default(0),
    )
    .addOption(
      new Option("--attention <kernel>", "fused, or naive with n × n scores in memory")
        .choices(["fused", "naive"])
        .default("fused"),
    )
    .addOption(
      new Option("--dtype <type>", "of weights, cache and activations (default: the model's own)").argParser(dtype),
    )
    .addHelpText(
      "after",
      `
Examples:
  nsquared predict Llama-3.1-8B --on h100 --lengths 128..128k
  nsquared calibrate && nsquared predict SmolLM2-135M --on local
  nsquared predict ./config.json --on my-device.json --json`,
    )
    .action(async (location: string, options: Options) => {
      const model = await loadModel(location, nodeAccess());
      const device = await loadDevice(options.on, io.environment);
      const document = predictModel(model, device, {
        ...(options.lengths === undefined ? {} : { lengths: options.lengths }),
        batch: options.batch,
        depth: options.depth,
        attention: options.attention,
        dtype: options.dtype ?? null,
      });
      emit(io, options.json, document, () => predictText(document));
    });
};

function predictText(document: PredictDocument): string {
  const range = (point: { seconds: number; low: number; high: number }): string =>
    `${seconds(point.low)} – ${seconds(point.high)}`;
  const where = (at: { n: number; low?: number | null; high?: number | null } | null): string => {
    if (at === null) return "none";
    const ends = at.low === undefined ? "" : ` (${end(at.low, "0")} – ${end(at.high ?? null, "beyond any length")})`;
    return `n = ${tokens(Math.round(at.n))}${ends}`;
  };
  const end = (value: number | null, otherwise: string): string =>
    value === null ? otherwise : tokens(Math.round(value));
  const points = table(
    ["n", "prefill", "interval", "exponent", "decode / token", "interval", "memory", "fits"],
    document.points.map(({ n, prefill, decode, memory }) => [
      tokens(n),
      seconds(prefill.seconds),
      range(prefill),
      significant(prefill.exponent),
      seconds(decode.seconds),
      range(decode),
      bytes(memory.bytes),
      memory.fits ? "yes" : "no",
    ]),
  );
  const names = document.points[0]?.prefill.parts.map((part) => part.name) ?? [];
  const shares = table(
    ["share of prefill", ...names],
    document.points.map(({ n, prefill }) => [
      tokens(n),
      ...names.map((name) => percent(prefill.parts.find((part) => part.name === name)?.share ?? 0)),
    ]),
  );
  const basis =
    document.data.basis === "calibrated"
      ? `calibrated on this machine up to ${tokens(document.data.range?.to ?? 0)} tokens`
      : "from its data sheet and what devices of its class reach";
  const limit = (at: { n: number } | null, otherwise: string): string =>
    at === null ? otherwise : `n = ${tokens(at.n)}`;
  return [
    `${document.name} on ${document.device} (${document.engine}, ${document.dtype}, batch ${document.batch}): ${basis}; ${percent(document.level)} intervals`,
    "",
    points,
    "",
    shares,
    "",
    `crossover        FLOPs ${where(document.crossover.flops)}; seconds ${where(document.crossover.seconds)}`,
    `attention half   FLOPs ${where(document.attentionHalf.flops)}; seconds ${where(document.attentionHalf.seconds)}`,
    `longest          memory ${limit(document.limits.memory, "no limit")}; the model's context ${limit(document.limits.context, "not stated")}`,
    ...document.notes.map((note) => `note: ${note}`),
  ].join("\n");
}
