import { fnv1a } from "../base/hash.js";
/** Letters that one token of the demo's vocabulary stands for at most: its own, and one that splits many words. */
const lettersPerToken = 4;
export const fewLetters = 2;
const mostTokens = 1 << 22;

/** A prompt as the demo server's tokens: its ids, or pieces of at most so many letters of each word. */
export function tokensOf(prompt: string | readonly number[], most = lettersPerToken): string[] {
  if (typeof prompt !== "string") return prompt.slice(0, mostTokens).map(String);
  const pieces: string[] = [];
  for (const [word] of prompt.matchAll(/\S+/gu)) {
    const letters = [...word];
    for (let from = 0; from < letters.length && pieces.length < mostTokens; from += most) {
      pieces.push(letters.slice(from, from + most).join(""));
    }
  }
  return pieces;
}

/** Tokens that a chat template puts around the messages. */
export const templateTokens = 7;

const block = 16;
const mostBlocks = 50_000;

/** Prompts seen before, in blocks of sixteen tokens, as servers with prefix caching keep them. */
export class PrefixCache {
  private readonly seen = new Set<string>();

  /** Tokens at the front of the prompt that are known, the last one never among them; remembers the prompt. */
  take(tokens: readonly string[]): number {
    let known = 0;
    let key = "";
    let unbroken = true;
    for (let from = 0; from + block <= tokens.length; from += block) {
      key = digest(`${key} ${tokens.slice(from, from + block).join(" ")}`);
      if (unbroken && this.seen.has(key)) known = from + block;
      else unbroken = false;
      this.seen.add(key);
    }
    while (this.seen.size > mostBlocks) {
      const [oldest] = this.seen;
      if (oldest === undefined) break;
      this.seen.delete(oldest);
    }
    return Math.min(known, Math.max(0, tokens.length - 1));
  }
}

/** Two hashes, enough to tell prompts of a demo apart. */
function digest(text: string): string {
  return `${fnv1a(text).toString(36)}.${fnv1a(text, 1).toString(36)}`;
}
