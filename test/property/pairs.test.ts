import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addedKeys, attentionPairs, keptTokens, rectanglePairs, touchedKeys } from "../../src/cost/pairs.js";
import { c, m, n } from "../../src/math/expression.js";
import type { KeySpan } from "../../src/model/types.js";

const exact = { causal: "exact", mac: 2 } as const;

/** Keys that the query at position `query` (from 1) of a causal decoder meets, one by one. */
function keysOf(span: KeySpan, query: number): number {
  let keys = 0;
  if (span.kind === "compressed") {
    for (let group = 1; group * span.ratio <= query; group += 1) {
      if (span.chosen === null || keys < span.chosen) keys += 1;
    }
    return keys;
  }
  for (let key = 1; key <= query; key += 1) {
    switch (span.kind) {
      case "window":
        if (query - key < span.size || key <= (span.first ?? 0)) keys += 1;
        break;
      case "chosen":
        if (keys < span.size) keys += 1;
        break;
      case "chunk":
        if (Math.floor((query - 1) / span.size) === Math.floor((key - 1) / span.size)) keys += 1;
        break;
      case "strided": {
        // The mean over as many heads as the stride has phases.
        const back = Math.floor((query - 1) / span.size) - Math.floor((key - 1) / span.size);
        const block = Math.floor((key - 1) / span.size);
        for (let head = 0; head < span.stride; head += 1) {
          if (back < span.local || (block + head + 1) % span.stride === 0) keys += 1 / span.stride;
        }
        break;
      }
      case "full":
      case "buckets":
      case "blocks":
      case "ranked":
        keys += 1;
    }
  }
  return keys;
}

const spans = fc.oneof(
  fc.constant({ kind: "full" } as const),
  fc.integer({ min: 1, max: 60 }).map((size) => ({ kind: "window", size }) as const),
  fc
    .record({ size: fc.integer({ min: 1, max: 40 }), first: fc.integer({ min: 1, max: 20 }) })
    .map(({ size, first }) => ({ kind: "window", size, first }) as const),
  fc.integer({ min: 1, max: 60 }).map((size) => ({ kind: "chunk", size }) as const),
  fc.integer({ min: 1, max: 60 }).map((size) => ({ kind: "chosen", size }) as const),
  fc
    .record({ ratio: fc.integer({ min: 1, max: 12 }), chosen: fc.option(fc.integer({ min: 1, max: 9 })) })
    .map(({ ratio, chosen }) => ({ kind: "compressed", ratio, chosen }) as const),
  fc
    .record({
      size: fc.integer({ min: 1, max: 12 }),
      local: fc.integer({ min: 1, max: 5 }),
      stride: fc.integer({ min: 1, max: 6 }),
    })
    .map((sizes) => ({ kind: "strided", ...sizes }) as const),
);

describe("pairs of causal attention equal a count query by query", () => {
  test("for every span, with and without a cache, at n and at 2n", () => {
    fc.assert(
      fc.property(spans, fc.integer({ min: 1, max: 90 }), fc.integer({ min: 0, max: 90 }), (span, length, cached) => {
        const pairs = attentionPairs(span, true, exact);
        for (const count of [length, 2 * length]) {
          let counted = 0;
          for (let query = cached + 1; query <= cached + count; query += 1) counted += keysOf(span, query);
          expect(pairs.at({ n: count, c: cached })).toBeCloseTo(counted, 6);
        }
      }),
      { seed: 20261123, numRuns: 500 },
    );
  });

  test("and never fall as the prompt grows", () => {
    fc.assert(
      fc.property(spans, fc.integer({ min: 1, max: 200 }), (span, length) => {
        const pairs = attentionPairs(span, true, exact);
        expect(pairs.at({ n: length + 1 })).toBeGreaterThanOrEqual(pairs.at({ n: length }));
      }),
      { seed: 20261123, numRuns: 500 },
    );
  });
});

test("a window that reaches to both sides counts what an encoder's query sees", () => {
  for (const size of [1, 2, 5, 40]) {
    const pairs = rectanglePairs({ kind: "window", size }, false, { queries: n, keys: n }, exact);
    for (const length of [1, 3, 10, 64]) {
      let counted = 0;
      for (let query = 0; query < length; query += 1) {
        for (let key = 0; key < length; key += 1) if (Math.abs(query - key) < size) counted += 1;
      }
      expect(pairs.at({ n: length })).toBe(counted);
    }
  }
});

test("global tokens of an encoder see everything and are seen by everything", () => {
  for (const size of [1, 3, 8]) {
    for (const first of [1, 2, 10]) {
      const pairs = rectanglePairs({ kind: "window", size, first }, false, { queries: n, keys: n }, exact);
      for (const length of [1, 2, 9, 10, 11, 50]) {
        let counted = 0;
        for (let query = 0; query < length; query += 1) {
          for (let key = 0; key < length; key += 1) {
            if (query < first || key < first || Math.abs(query - key) < size) counted += 1;
          }
        }
        expect(pairs.at({ n: length })).toBe(counted);
      }
    }
  }
});

test("a stack of a share of the tokens, and queries among the keys of another stack", () => {
  const share = { queries: n.times(1 / 4), keys: n.times(1 / 4), earlier: c.times(1 / 4) };
  const pairs = rectanglePairs({ kind: "full" }, true, share, exact);
  for (const [fresh, cached] of [
    [4, 0],
    [32, 0],
    [4, 64],
    [32, 20],
  ] as const) {
    let counted = 0;
    for (let query = cached / 4; query < (cached + fresh) / 4; query += 1) counted += query + 1;
    expect(pairs.at({ n: fresh, c: cached })).toBe(counted);
  }
  const across = rectanglePairs({ kind: "chunk", size: 2 }, false, { queries: n, keys: n.times(1 / 2) }, exact);
  expect(across.at({ n: 32 })).toBe(32 * 2);
  const full = { ...exact, causal: "full" } as const;
  const whole = rectanglePairs({ kind: "chunk", size: 2 }, false, { queries: n, keys: n.times(1 / 2) }, full);
  expect(whole.at({ n: 32 })).toBe(32 * 16);
});

describe("BigBird", () => {
  const pairs = rectanglePairs({ kind: "blocks", size: 64, random: 3 }, false, { queries: n, keys: n }, exact);

  test("is full attention up to 704 tokens, cheaper from there on, and linear", () => {
    expect(pairs.at({ n: 704 })).toBe(704 ** 2);
    expect(pairs.at({ n: 768 })).toBeLessThan(704 ** 2);
    expect(pairs.at({ n: 8192 }) - pairs.at({ n: 8128 })).toBe(pairs.at({ n: 4096 }) - pairs.at({ n: 4032 }));
  });

  test("goes by the length that it sees, the encoder's where that is another than the new tokens'", () => {
    const read = rectanglePairs({ kind: "blocks", size: 64, random: 3 }, false, { queries: m, keys: m }, exact);
    for (const length of [512, 704, 768, 4096]) {
      for (const tokens of [1, 8192]) expect(read.at({ n: tokens, m: length })).toBe(pairs.at({ n: length }));
    }
  });

  test("counts the blocks that each block of queries meets", () => {
    const blocks = 20;
    let counted = 0;
    for (let block = 0; block < blocks; block += 1) {
      const edge = Math.min(block, blocks - 1 - block);
      const met = edge === 0 ? blocks : edge === 1 ? 4 + 3 : 5 + 3;
      counted += met * 64 * 64;
    }
    expect(pairs.at({ n: blocks * 64 })).toBe(counted);
  });
});

test("MRA computes the pairs of blocks that rank best, whole, and all of them while they are few", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 900 }), fc.integer({ min: 1, max: 90 }), (length, count) => {
      let counted = 0;
      let left = count;
      for (let row = 0; row < length; row += 32) {
        for (let column = 0; column < length && left > 0; column += 32, left -= 1) counted += 32 * 32;
      }
      const span = { kind: "ranked", size: 32, count, coarse: true } as const;
      const pairs = rectanglePairs(span, false, { queries: n, keys: n }, exact).at({ n: length });
      // Between ⌊√count⌋² and count pairs of blocks there is no length of whole blocks.
      expect(pairs).toBe(counted);
    }),
  );
});

test("caches keep what the next step needs", () => {
  const kept = (span: KeySpan): number => keptTokens(span).at({ n: 1000 });
  expect(kept({ kind: "full" })).toBe(1000);
  expect(kept({ kind: "chosen", size: 10 })).toBe(1000);
  expect(kept({ kind: "window", size: 10 })).toBe(10);
  expect(kept({ kind: "window", size: 10, first: 4 })).toBe(14);
  expect(kept({ kind: "chunk", size: 10 })).toBe(10);
  expect(kept({ kind: "compressed", ratio: 128, chosen: null })).toBe(7);
});

test("one token touches as many compressed keys as it meets, and leaves one where it ends a group", () => {
  const ratio = 4;
  for (const chosen of [null, 3]) {
    const span = { kind: "compressed", ratio, chosen } as const;
    for (let cached = 0; cached < 40; cached += 1) {
      const ends = (cached + 1) % ratio === 0 ? 1 : 0;
      const at = { n: 1, c: cached };
      expect(addedKeys(span).at(at)).toBe(ends);
      expect(touchedKeys(span).at(at)).toBe(Math.min(Math.floor(cached / ratio), chosen ?? Infinity) + ends);
    }
    expect(addedKeys(span).at({ n: 30, c: 10 })).toBe(8);
  }
});
