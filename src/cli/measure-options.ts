import { InvalidArgumentError, Option } from "commander";
import { type Provider, providers } from "../onnx/provider.js";
import { type MeasuredPhase, defaultMeasureOptions } from "../study/measure.js";
import { type VariantWeights, weightFormats } from "../variants/variant.js";
import { duration, wholeNumber } from "./options.js";

/** What `measure` and `profile` share. */
export interface MeasureFlags {
  readonly phase: MeasuredPhase[];
  readonly batch: number;
  readonly repeat: number;
  readonly warmups: number;
  readonly time?: number;
  readonly threads?: number;
  readonly attention: "fused" | "naive";
  readonly provider: Provider;
  readonly weights: VariantWeights;
  readonly seed: number;
  readonly out?: string;
}

/** `prefill,decode`: some of the phases that can be asked for. */
export function phasesOf<T extends MeasuredPhase>(known: readonly T[]): (text: string) => T[] {
  return (text) =>
    text.split(",").map((word) => {
      const found = known.find((phase) => phase === word.trim());
      if (found !== undefined) return found;
      throw new InvalidArgumentError(`expected some of ${known.join(", ")}, with commas between.`);
    });
}

export function providerOption(): Option {
  return new Option("--provider <name>", "where ONNX Runtime executes: the processor, or a GPU through WebGPU")
    .choices([...providers])
    .default("cpu");
}

export function measureOptions(defaults = defaultMeasureOptions): Option[] {
  return [
    new Option("--phase <list>", "what to time: prefill, decode, decode-uncached")
      .argParser(phasesOf<MeasuredPhase>(["prefill", "decode", "decode-uncached"]))
      .default([...defaults.phases], defaults.phases.join(",")),
    new Option("--repeat <k>", "complete blocks").argParser(wholeNumber(1, 10_000)).default(defaults.repeat),
    new Option("--warmups <k>", "untimed runs of each length first")
      .argParser(wholeNumber(0, 100))
      .default(defaults.warmups),
    new Option("--time <limit>", "how long measuring may take, as 90s or 2m").argParser(duration),
    new Option("--threads <k>", "threads of one operator (default: the cores)").argParser(wholeNumber(1, 1024)),
    new Option("--attention <kernel>", "fused, or naive with n × n scores in memory")
      .choices(["fused", "naive"])
      .default(defaults.attention),
    providerOption(),
    new Option(
      "--weights <format>",
      "how matrices are stored: float32, float16 (WebGPU alone), or blocks of 8 or 4 bits",
    )
      .choices([...weightFormats])
      .default(defaults.weights),
    new Option("--batch <b>", "sequences at once").argParser(wholeNumber(1, 2 ** 16)).default(defaults.batch),
    new Option("--seed <s>", "of weights, tokens and order")
      .argParser(wholeNumber(0, 2 ** 32 - 1))
      .default(defaults.seed),
  ];
}
