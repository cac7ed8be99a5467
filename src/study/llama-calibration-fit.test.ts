import { describe, expect, test } from "vitest";
import { normalDeviate, seededRandom } from "../base/random.js";
import { fitLlama } from "./llama-calibration-fit.js";
import { type LlamaCell, type LlamaShapes, llamaPlan } from "./llama-calibration-plan.js";

/** A machine whose vector work takes no time: 100 GFLOP/s, 40 GB/s, half a millisecond to start. */
const truth = {
  perMac: 2e-11,
  perWeightByte: 2.5e-11,
  perPairDim: 8e-12,
  perPair: 6e-10,
  perCached: 4e-11,
  perRun: 5e-4,
};

/** Multiply-adds, by hand: the last layer's feed-forward part and the head are for one token. */
function seconds(shapes: LlamaShapes, { n, depth }: LlamaCell): number {
  const { layers, hidden, heads, kvHeads, headDim, ffn, vocabulary } = shapes;
  const product = (rows: number, k: number, columns: number): number =>
    Math.max(rows * k * columns * truth.perMac, 2 * k * columns * truth.perWeightByte);
  const attending = 2 * product(n, hidden, heads * headDim) + 2 * product(n, hidden, kvHeads * headDim);
  const feeding = (rows: number): number => 3 * product(rows, hidden, ffn);
  const pairs = heads * (n * depth + (n * (n + 1)) / 2);
  const attention =
    n === 1
      ? kvHeads * (depth + 1) * 2 * headDim * truth.perCached
      : pairs * (2 * headDim * truth.perPairDim + truth.perPair);
  const all = layers * (attending + attention) + (layers - 1) * feeding(n) + feeding(1);
  return truth.perRun + all + product(1, hidden, vocabulary);
}

function timed(size: "full" | "quick", scatter: number, disturbed: number) {
  const random = seededRandom(7);
  return llamaPlan(size).flatMap(({ shapes, cells }) =>
    cells.map((cell) => {
      const noise = Math.exp(scatter * normalDeviate(random));
      const held = random() < disturbed ? 0.012 : 0;
      return { shapes, cell, seconds: seconds(shapes, cell) * noise + held };
    }),
  );
}

const ofPair = (headDim: number, rates: { perPairDim: number; perPair: number }): number =>
  2 * headDim * rates.perPairDim + rates.perPair;

describe("the rates of llama.cpp from the times of tiny models", () => {
  test.each([
    ["full", 0, 0, 0.02],
    ["full", 0.03, 0, 0.05],
    ["quick", 0.03, 0, 0.06],
    // Every fifth size was held up each time that it ran.
    ["full", 0.03, 0.2, 0.06],
    ["quick", 0.03, 0.2, 0.08],
  ] as const)("%s, %d of scatter, %d of the sizes disturbed", (size, scatter, disturbed, within) => {
    const { gemm, attention, decodeAttention, perRun, streams, spreads } = fitLlama(timed(size, scatter, disturbed));
    const off = (found: number, wanted: number): number => Math.abs(Math.log(found / wanted));
    expect(off(gemm.perMac, truth.perMac)).toBeLessThan(within);
    expect(off(ofPair(64, attention), ofPair(64, truth))).toBeLessThan(within);
    expect(off(ofPair(128, attention), ofPair(128, truth))).toBeLessThan(within);
    expect(off(gemm.perWeightByte, truth.perWeightByte)).toBeLessThan(4 * within + 0.1);
    expect(off(perRun, truth.perRun)).toBeLessThan(4 * within);
    // After 8192 tokens in two heads of 64, as one layer has them.
    const cache = 2 * 8192 * 128;
    const decode = cache * decodeAttention.perCachedDim + 8 * 8192 * decodeAttention.perPair;
    if (disturbed === 0) expect(off(decode, cache * truth.perCached)).toBeLessThan(0.4);
    // Of a byte that a model of these shapes moves beside its products.
    expect(streams.scale[0]?.secondsPerByte ?? 1).toBeLessThan(1e-10);
    expect(spreads.gemm).toBeLessThan(0.2);
    expect(spreads.attention).toBeLessThan(0.2);
  });

  test("refuses to make rates of nothing", () => {
    expect(() => fitLlama([])).toThrow("no product was timed");
  });
});
