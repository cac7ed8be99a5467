import { expect, test } from "vitest";
import { placeStarts } from "./disentangled.js";

test("distances share places where DeBERTa's logarithm says so", () => {
  for (const [reach, farthest] of [
    [256, 512],
    [32, 100],
    [6, 32],
  ] as const) {
    const mid = reach / 2;
    const starts = placeStarts(reach, farthest);
    for (let away = mid + 1; away < 2 * farthest; away += 1) {
      const logarithm = Math.log(away / mid) / Math.log((farthest - 1) / mid);
      const place = Math.min(reach, mid + Math.ceil(logarithm * (mid - 1) - 1e-9));
      expect(mid + starts.filter((start) => away >= start).length).toBe(place);
    }
  }
});
