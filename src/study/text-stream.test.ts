import { describe, expect, test } from "vitest";
import { textStream } from "./text-stream.js";

/**
 * A tokenizer like SentencePiece's: words bring a space with them but for the first of what is decoded, single bytes make
 * characters together, and ids from 900 on are special. Counts the tokens that it reads.
 */
function words() {
  let read = 0;
  const bytes = new Map([
    [500, 0xf0],
    [501, 0x9f],
    [502, 0x8d],
    [503, 0x8b],
  ]);
  const decode = (ids: readonly number[]): string => {
    read += ids.length;
    const pieces = ids.flatMap((id) => {
      if (id >= 900) return [];
      const byte = bytes.get(id);
      return byte === undefined ? [Buffer.from(` w${id}`)] : [Buffer.from([byte])];
    });
    return Buffer.concat(pieces).toString("utf8").replace(/^ /, "");
  };
  return { decode, tokensRead: () => read };
}

function told(ids: readonly number[]) {
  const tokenizer = words();
  const pieces: string[] = [];
  const stream = textStream(tokenizer, (text) => pieces.push(text));
  for (const id of ids) stream.add(id);
  const whole = stream.end();
  return { whole, pieces, read: tokenizer.tokensRead() };
}

describe("the text of a stream of tokens", () => {
  test.each([
    ["words", [1, 2, 3]],
    ["special tokens between them", [1, 900, 2, 901, 902, 3]],
    ["special tokens first", [900, 901, 1, 2]],
    ["a character of several tokens", [1, 500, 501, 502, 503, 2]],
    ["half a character at the end", [1, 2, 500, 501]],
    ["nothing", []],
  ])("is that of all tokens together: %s", (_what, ids) => {
    const { whole, pieces } = told(ids);
    expect(whole).toBe(words().decode(ids));
    expect(pieces.join("")).toBe(whole);
  });

  test("holds a character back until it is whole", () => {
    expect(told([1, 500, 501, 502, 503, 2]).pieces).toEqual(["w1", "🍋", " w2"]);
  });

  test("reads a long answer no more often than a short one", () => {
    const ids = Array.from({ length: 1000 }, (_, index) => index % 400);
    expect(told(ids).read / 1000).toBeLessThan(6);
  });
});
