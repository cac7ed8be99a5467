import { z } from "zod";

/** What a value must be, and how to say so. */
export interface Check<T> {
  readonly schema: z.ZodType<T>;
  readonly expected: string;
}

/** Most layers a model may have; the deepest real one executes some 130. */
const mostLayers = 10_000;

function wholeNumber(least: number, most: number): Check<number> {
  return {
    schema: z.number().int().min(least).max(most),
    expected: `expected a whole number from ${least} to ${most.toLocaleString("en-US").replaceAll(",", "_")}`,
  };
}

/** Widths and counts inside a layer: hidden_size, heads, experts. */
export const size: Check<number> = wholeNumber(1, 2 ** 24);
/** Like `size`, where 0 means none. */
export const sizeOrZero: Check<number> = wholeNumber(0, 2 ** 24);
export const layerCount: Check<number> = wholeNumber(1, mostLayers);
export const layerCountOrZero: Check<number> = wholeNumber(0, mostLayers);
/** Numbers of tokens: context length, window, vocabulary. */
export const tokenCount: Check<number> = wholeNumber(1, 2 ** 31);
export const integer: Check<number> = wholeNumber(-(2 ** 31), 2 ** 31);
export const flag: Check<boolean> = { schema: z.boolean(), expected: "expected true or false" };
export const real: Check<number> = { schema: z.number().min(-1e15).max(1e15), expected: "expected a number" };
export const text: Check<string> = { schema: z.string().max(1000), expected: "expected a text" };

export function listOf<T>(item: Check<T>): Check<T[]> {
  return {
    schema: z.array(item.schema).max(mostLayers),
    expected: `expected a list in which each item is right (${item.expected.replace(/^expected /, "")})`,
  };
}

export function oneOf<const T extends string>(names: readonly T[]): Check<T> {
  return { schema: z.enum(names), expected: `expected one of ${names.join(", ")}` };
}
