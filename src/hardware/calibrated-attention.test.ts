import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { attentionFeatures, workedPairs } from "./calibrated-attention.js";

describe("workedPairs", () => {
  /** Row by row, as the kernel goes. */
  function counted(newTokens: number, cached: number, tile: number): number {
    const total = cached + newTokens;
    let pairs = 0;
    for (let i = cached + 1; i <= total; i += 1) pairs += Math.min(total, tile === 0 ? i : tile * Math.ceil(i / tile));
    return pairs;
  }

  test("agrees with counting row by row", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 0, max: 300 }),
        fc.constantFrom(0, 1, 7, 16, 64, 1000),
        (newTokens, cached, tile) => {
          expect(workedPairs(newTokens, cached + newTokens, tile)).toBe(counted(newTokens, cached, tile));
        },
      ),
      { seed: 1, numRuns: 500 },
    );
  });

  test("is the whole square while one tile holds all keys, and about half of it with many tiles", () => {
    expect(workedPairs(256, 256, 512)).toBe(256 ** 2);
    expect(workedPairs(65_536, 65_536, 512) / (65_536 ** 2 / 2)).toBeCloseTo(1.008, 3);
  });
});

describe("attentionFeatures", () => {
  /** Pairs of the busiest thread times the threads, row by row: rows of all heads one after the other, in equal runs. */
  function dealt(heads: number, n: number, cached: number, tile: number, threads: number): number {
    const rows = heads * n;
    const of = Array.from({ length: threads }, () => 0);
    for (let row = 0; row < rows; row += 1) {
      const seen = Math.min(cached + n, tile * Math.ceil((cached + (row % n) + 1) / tile));
      const thread = Math.floor((row * threads) / rows);
      of[thread] = (of[thread] ?? 0) + seen;
    }
    return threads * Math.max(...of);
  }

  const growth = { exponent: 0, from: 1024, to: 8192 };
  const sizes = { kvHeads: 1, keyDim: 64, valueDim: 64, batch: 1, causal: true };

  test("count what the busiest thread works on, as counting row by row does", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 20 }),
        fc.constantFrom(0, 30, 256),
        fc.constantFrom(1, 2, 4, 6),
        (heads, twelfths, cached, threads) => {
          // A number of rows that is dealt evenly, so that no row is split.
          const n = 12 * twelfths;
          const [, worked] = attentionFeatures(
            { ...sizes, heads, newTokens: n, totalTokens: cached + n },
            { tileElements: 16 * 128, threads, growth },
          );
          expect(worked).toBeCloseTo(dealt(heads, n, cached, 16, threads), 6);
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });

  test("charge heads that threads cannot share evenly for the one that sees more", () => {
    const ratio = (heads: number): number => {
      const of = (threads: number) =>
        attentionFeatures(
          { ...sizes, heads, newTokens: 8192, totalTokens: 8192 },
          { tileElements: 0, threads, growth },
        )[1] ?? 0;
      return of(2) / of(1);
    };
    expect(ratio(2)).toBe(1);
    expect(ratio(14)).toBe(1);
    // One and a half heads each, of which the second thread has the half that sees three quarters of the pairs.
    expect(ratio(3)).toBeCloseTo(1.75 / 1.5, 3);
    expect(ratio(9)).toBeCloseTo(4.75 / 4.5, 3);
  });

  test("without a causal mask count every key for every row, of as many keys as there are", () => {
    const kernel = { tileElements: 16 * 128, threads: 2, growth };
    const of = (newTokens: number, totalTokens: number): number =>
      attentionFeatures({ ...sizes, heads: 9, causal: false, newTokens, totalTokens }, kernel)[1] ?? 0;
    expect(of(300, 300)).toBe(9 * 300 * 300);
    expect(of(300, 40)).toBe(9 * 300 * 40);
  });

  test("let a pair take longer among more keys, between the lengths where that was seen", () => {
    const of = (totalTokens: number, exponent: number): number => {
      const kernel = { tileElements: 0, threads: 1, growth: { ...growth, exponent } };
      return attentionFeatures({ ...sizes, heads: 1, newTokens: totalTokens, totalTokens }, kernel)[0] ?? 0;
    };
    const grown = (totalTokens: number): number => of(totalTokens, 0.1) / of(totalTokens, 0);
    expect(grown(512)).toBe(1);
    expect(grown(2048)).toBeCloseTo(2 ** 0.1, 12);
    expect(grown(65_536)).toBeCloseTo(8 ** 0.1, 12);
  });
});
