import { describe, expect, test } from "vitest";
import type { Sample } from "../runs/schema.js";
import { prefillReport } from "../../test/fixtures/report-data.js";
import { median } from "../math/median.js";
import { agreement, measuredLengths } from "./measured.js";

function sample(change: Partial<Sample>): Sample {
  return {
    phase: "prefill",
    n: 128,
    depth: 0,
    batch: 1,
    seconds: 0.1,
    steps: 1,
    block: 0,
    warmup: false,
    rejected: null,
    at: 0,
    ...change,
  };
}

test("the median is the middle value, or the mean of the two middle ones", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([])).toBeNaN();
});

describe("measured lengths", () => {
  test("are sorted, with median, spread and repeats, and without warm-ups", () => {
    const samples = [
      sample({ n: 256, seconds: 0.4 }),
      sample({ seconds: 9, warmup: true, block: -1 }),
      ...[0.3, 0.1, 0.2].map((seconds) => sample({ seconds })),
    ];
    expect(measuredLengths(samples, "prefill")).toEqual([
      { n: 128, samples: [0.3, 0.1, 0.2], median: 0.2, fastest: 0.1, slowest: 0.3, rejected: 0 },
      { n: 256, samples: [0.4], median: 0.4, fastest: 0.4, slowest: 0.4, rejected: 0 },
    ]);
  });

  test("count samples that were rejected or failed, and leave lengths without a usable one out", () => {
    const samples = [
      sample({}),
      sample({ rejected: "the machine slept" }),
      sample({ seconds: null, rejected: "timed out" }),
      sample({ n: 512, seconds: null, rejected: "out of memory" }),
    ];
    expect(measuredLengths(samples, "prefill").map(({ n, rejected }) => ({ n, rejected }))).toEqual([
      { n: 128, rejected: 2 },
    ]);
  });

  test("of decode are contexts, and other phases and batches stay apart", () => {
    const samples = [
      sample({ phase: "decode", n: 1, depth: 1024 }),
      sample({ phase: "decode", n: 1, depth: 2048, batch: 4 }),
      sample({ phase: "reference", n: 64 }),
    ];
    expect(measuredLengths(samples, "decode").map(({ n }) => n)).toEqual([1024]);
    expect(measuredLengths(samples, "decode", 4).map(({ n }) => n)).toEqual([2048]);
  });
});

describe("agreement", () => {
  test("is the measured median over the predicted time, and whether the interval holds the median", () => {
    const found = agreement(prefillReport);
    expect(found?.rows.map((row) => row.ratio)).toHaveLength(7);
    expect(found?.rows[0]?.ratio).toBeCloseTo(0.084 / (0.018 + 6.1e-4 * 128 + 1.38e-7 * 128 ** 2), 12);
    expect(found?.rows.map((row) => row.inside)).toEqual([false, true, true, true, true, true, true]);
    expect(found?.inside).toBe(6);
  });

  test("leaves lengths out that were not predicted, and is null where none was", () => {
    const { prediction } = prefillReport;
    const two = prediction === null ? null : { ...prediction, points: prediction.points.slice(0, 2) };
    expect(agreement({ ...prefillReport, prediction: two })?.rows.map((row) => row.measured.n)).toEqual([128, 256]);
    expect(agreement({ ...prefillReport, prediction: null })).toBeNull();
    expect(agreement({ ...prefillReport, measured: [] })).toBeNull();
  });
});
