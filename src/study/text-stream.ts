import type { Tokenizer } from "./tokenizer.js";

/** Text of tokens that come one by one. */
export interface TextStream {
  add(token: number): void;
  /** Hands on what was held back, and gives the whole text. */
  end(): string;
}

/**
 * Hands text on as soon as it is whole: tokens may hold parts of a character. Only the tokens since the last but one stretch
 * are read again, so that a long answer takes no longer per token than a short one: what stands before a token decides about
 * its space, and no more of it than that stretch.
 */
export function textStream(tokenizer: Pick<Tokenizer, "decode">, write: (text: string) => void): TextStream {
  /** The last stretch that was handed on, then what was not yet. */
  let ids: number[] = [];
  let known = 0;
  let written = "";
  const decoded = (tokens: readonly number[]): string =>
    tokens.length === 0 ? "" : tokenizer.decode([...tokens], { skip_special_tokens: true });
  /** Whether there was anything to hand on. */
  const hand = (text: string): boolean => {
    const fresh = text.slice(decoded(ids.slice(0, known)).length);
    if (fresh === "") return false;
    write(fresh);
    written += fresh;
    return true;
  };
  return {
    add: (token) => {
      ids.push(token);
      const text = decoded(ids);
      if (text.endsWith("\uFFFD") || !hand(text)) return;
      ids = ids.slice(known);
      known = ids.length;
    },
    end: () => {
      hand(decoded(ids));
      return written;
    },
  };
}
