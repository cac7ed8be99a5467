import type { Random } from "../base/random.js";
import type { Prompt } from "./openai-request.js";

/** Short words that are one token in nearly every vocabulary. */
const words =
  "the of and to in is that for it as was with be by on not he his but at are this have from or had an they one you were all her she will more no if out so up said what its than into them can only time new some two may then do any like my now over such our man me even most made".split(
    " ",
  );

/** Ids that every vocabulary has and that are no special tokens in known ones. */
const firstId = 300;
const lastId = 4000;

/** `count` random token ids. */
function randomIds(count: number, random: Random): number[] {
  return Array.from({ length: count }, () => firstId + Math.floor(random() * (lastId - firstId)));
}

/** `count` random words with spaces between. */
function randomWords(count: number, random: Random): string {
  return Array.from({ length: count }, () => words[Math.floor(random() * words.length)] ?? "the").join(" ");
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
