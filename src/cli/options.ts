import { InvalidArgumentError, Option } from "commander";
import { parseLengths } from "../base/lengths.js";
import { type Dtype, dtypes } from "../base/units.js";
import { type FileType, fileTypes } from "../model/storage.js";

/** A whole number in a range, as commander wants its parsers: it names the option and the value itself. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isInteger(value) || value < least || value > most) {
      throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}.`);
    }
    return value;
  };
}

const secondsPer: Record<string, number> = { ms: 1e-3, s: 1, min: 60, m: 60, h: 3600 };

/** A duration: `90s`, `350ms`, `2m`, `1h`; a plain number is seconds. */
export function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|min|m|h)?$/.exec(text.trim());
  const value = match?.[1] === undefined ? Number.NaN : Number(match[1]) * (secondsPer[match[2] ?? "s"] ?? Number.NaN);
  if (!(value > 0)) throw new InvalidArgumentError("expected a duration such as 90s, 350ms, 2m or 1h.");
  return value;
}

/** `--layers`, `--hidden`, `--vocabulary`. */
export function scalingOptions(): Option[] {
  const count = (flags: string, text: string, most: number): Option =>
    new Option(flags, text).argParser(wholeNumber(1, most));
  return [
    count("--layers <k>", "so many layers of the model's own pattern instead of all", 10_000),
    count("--hidden <width>", "another hidden size, with as many heads as fill it", 2 ** 20),
    count("--vocabulary <words>", "another vocabulary", 2 ** 24),
  ];
}

/** A finite number that `accepts` takes; `expected` completes "expected …". */
export function number(accepts: (value: number) => boolean, expected: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value) || !accepts(value)) {
      throw new InvalidArgumentError(`expected ${expected}.`);
    }
    return value;
  };
}

/** `--lengths`. */
export const lengthsOption = (description: string): Option =>
  new Option("--lengths <list>", `${description}: 128..8k (doubling) or 512,2k,8k`).argParser((text: string) =>
    parseLengths(text),
  );

const shortNames: Record<string, Dtype> = {
  fp64: "float64",
  fp32: "float32",
  fp16: "float16",
  bf16: "bfloat16",
  fp8: "float8",
  fp4: "float4",
};

/** A number format by its short or long name. */
export function dtype(text: string): Dtype {
  return plainDtype(text) ?? refuse([]);
}

function plainDtype(text: string): Dtype | undefined {
  const wanted = text.toLowerCase();
  return shortNames[wanted] ?? dtypes.find((name) => name === wanted);
}

/** A number format, or a GGUF file type in any case. */
function weightFormat(text: string): Dtype | FileType {
  return fileTypes.find((name) => name === text.toUpperCase()) ?? plainDtype(text) ?? refuse(fileTypes);
}

/** @throws InvalidArgumentError with the short names, and what else would do */
function refuse(others: readonly string[]): never {
  const plain = [...Object.keys(shortNames), ...dtypes.filter((name) => name.startsWith("int"))];
  throw new InvalidArgumentError(`expected one of ${[...plain, ...others].join(", ")}.`);
}

/** `--dtype`, where a GGUF file type will do too. */
export const dtypeOption = (): Option =>
  new Option(
    "--dtype <type>",
    `bf16, fp16, fp32, fp8, int8, int4 or fp4 (default: the model's own): below 16 bits of the weights, and of operands where engines multiply those; or a GGUF file type of the weights: ${fileTypes.join(", ")}`,
  ).argParser(weightFormat);

/** `--kv-dtype`. */
export const cacheDtypeOption = (): Option => new Option("--kv-dtype <type>", "of the KV cache alone").argParser(dtype);

/** `--allow-partial`. */
export const partialOption = (): Option =>
  new Option("--allow-partial", "price a model that is not understood by its sizes alone, and list the rest");

/** A share as `3%` or `0.03`, from `least` (itself allowed only where it is 0) to below 1. */
export function shareFrom(least: number): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?)\s*(%?)$/.exec(text.trim());
    const value = Number(match?.[1] ?? Number.NaN) / (match?.[2] === "%" ? 100 : 1);
    if (!(value >= least && value < 1)) {
      throw new InvalidArgumentError("expected a share such as 3% or 0.03, below 1.");
    }
    return value;
  };
}
