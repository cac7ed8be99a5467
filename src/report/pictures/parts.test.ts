import { expect, test } from "vitest";
import { prefillReport } from "../../../test/fixtures/report-data.js";
import { bandShares, unnamedBands } from "./parts.js";

const points = prefillReport.prediction?.parts ?? [];

test("shares of every length are stacked from 0 to 1", () => {
  for (const { n } of points) {
    const own = bandShares(points).filter((share) => share.n === n);
    expect(own[0]?.below).toBe(0);
    expect(own.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
  }
});

test("every part of a graph belongs to a band", () => {
  const one = bandShares([{ n: 1, seconds: { embedding: 1, norm: 1, residual: 1 } }]).find(({ share }) => share > 0);
  expect(one?.share).toBe(1);
  const seconds = { embedding: 1, projection: 1, attention: 1, ffn: 1, norm: 1, residual: 1, head: 1 };
  expect(bandShares([{ n: 1, seconds }]).reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
});

test("what devices exchange is a band where there are several, and none otherwise", () => {
  const names = (seconds: { readonly attention: number; readonly network?: number }) =>
    bandShares([{ n: 1, seconds }]).map(({ name }) => name);
  expect(names({ attention: 1, network: 1 })).toContain("between devices");
  expect(names({ attention: 1 })).not.toContain("between devices");
});

test("bands too thin for their name are told for the caption, absent ones are not", () => {
  expect(unnamedBands(points)).toEqual(["output head"]);
  expect(unnamedBands([128, 1024].map((n) => ({ n, seconds: { attention: 1 } })))).not.toContain("FFN");
});
