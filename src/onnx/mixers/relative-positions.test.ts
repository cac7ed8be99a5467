import { describe, expect, test } from "vitest";
import { bucketStarts } from "./relative-positions.js";

describe("bucketStarts", () => {
  // 32 buckets up to 128: the values of T5's `relative_position_bucket`, both ways (16 a side) and back only.
  test("begins T5's wide buckets where its logarithm does", () => {
    expect(bucketStarts(8, 8, 128)).toEqual([12, 16, 23, 32, 46, 64, 91]);
    expect(bucketStarts(16, 16, 128)).toEqual([19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113]);
  });

  test("agrees with the logarithm at every distance", () => {
    for (const [exact, wide, reach] of [
      [8, 8, 128],
      [16, 16, 128],
      [4, 5, 37],
      [1, 3, 10],
    ] as const) {
      const starts = bucketStarts(exact, wide, reach);
      for (let away = exact; away < 2 * reach; away += 1) {
        const bucket = Math.min(
          wide - 1,
          Math.floor((Math.log(away / exact) / Math.log(reach / exact)) * wide + 1e-12),
        );
        expect(starts.filter((start) => away >= start)).toHaveLength(bucket);
      }
    }
  });
});
