import type { Emitter } from "../emitter.js";

/** How many blocks a sequence is cut into, int64 [1] each. */
export interface EvenBlocks {
  readonly blocks: string;
  /** Tokens of every block. */
  readonly rows: string;
  /** blocks·rows: what the sequence is filled up to. */
  readonly padded: string;
}

/** Cuts `tokens` into as few blocks of at most `most` as there can be, all of one size, so that little is filled up. */
export function evenBlocks(e: Emitter, tokens: string, most: string): EvenBlocks {
  const one = e.scope.builder.integers([1]);
  const ceil = (a: string, by: string): string => e.node("Div", [e.subtract(e.add(a, by), one), by]);
  const blocks = ceil(tokens, most);
  const rows = ceil(tokens, blocks);
  return { blocks, rows, padded: e.multiply(blocks, rows) };
}
