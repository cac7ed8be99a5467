import { type Random, shuffled } from "../base/random.js";
import type { Prompt } from "./openai-request.js";

/** Short words that are one token in nearly every vocabulary; each stretch of them has short ones and longer. */
const words =
  "the they then by up made an may be so most had two with out even or some was if me from new as no man have time it more our this only for will such are can that she over at them is her now but into in all my his than to were like he its and you any not what of one do on said".split(
    " ",
  );

/** Words after which they repeat: prompts of whole cycles show best how many tokens a word is. */
export const wordCycle = words.length;

/** Ids that every vocabulary has and that are no special tokens in known ones. */
const firstId = 300;
const lastId = 4000;

/** `count` random token ids. */
function randomIds(count: number, random: Random): number[] {
  return Array.from({ length: count }, () => firstId + Math.floor(random() * (lastId - firstId)));
}

/**
 * `count` words with spaces between, each cycle of them in random order. Which words they are depends on the count alone:
 * where a vocabulary splits some of them, two prompts of so many words are as many tokens all the same. Of two counts from
 * the same seed the longer prompt begins with the whole cycles of the shorter.
 */
function randomWords(count: number, random: Random): string {
  const cycles = Array.from({ length: Math.ceil(count / words.length) }, (_, cycle) =>
    shuffled(words.slice(0, count - cycle * words.length), random),
  );
  return cycles.flat().join(" ");
}

/** How many of a server's tokens so many words, or ids, are: tokens = perUnit·units + extra. */
export interface TokenScale {
  readonly perUnit: number;
  /** Beginning of sequence, chat template. */
  readonly extra: number;
}

export const plainScale: TokenScale = { perUnit: 1, extra: 0 };

/** The scale that two counted prompts show; plain where they cannot be right. */
export function scaleOf(short: readonly [units: number, tokens: number], long: typeof short): TokenScale {
  const perUnit = (long[1] - short[1]) / (long[0] - short[0]);
  if (!(perUnit > 0.2 && perUnit < 20)) return plainScale;
  return { perUnit, extra: short[1] - perUnit * short[0] };
}

/** Words or ids that make a prompt of so many tokens; at least one. */
export function unitsFor(tokens: number, { perUnit, extra }: TokenScale): number {
  return Math.max(1, Math.round((tokens - extra) / perUnit));
}

export function randomPrompt(kind: "ids" | "text", units: number, random: Random): Prompt {
  return kind === "ids" ? randomIds(units, random) : randomWords(units, random);
}
