import { describe, expect, test } from "vitest";
import { findDevice } from "./catalog/devices.js";
import { engineOf } from "./engine.js";
import { peakPerJoule, powerLimit } from "./power.js";

describe("power", () => {
  test("is stated per joule of 8-bit operations, twice those of 16 bits where there are none, and not at all without a data sheet's watts", () => {
    const h100 = findDevice("h100");
    const { int8, ...others } = h100.peaks;
    expect(peakPerJoule(h100)).toBeCloseTo((int8?.value ?? 0) / (h100.tdp?.value ?? 1) / 1e12, 9);
    expect(peakPerJoule({ ...h100, peaks: others })).toBeCloseTo(
      (2 * (h100.peaks.float16?.value ?? 0)) / (h100.tdp?.value ?? 1) / 1e12,
      9,
    );
    expect(peakPerJoule({ ...h100, tdp: null })).toBeNull();
  });

  test("slows nothing far below what is sustained, and far above it in proportion to the peak", () => {
    expect(powerLimit(null, 1.5)).toBe(1);
    expect(powerLimit(3, 0)).toBe(1);
    expect(powerLimit(0.3, 1.5)).toBeCloseTo(1, 2);
    expect(powerLimit(15, 1.5)).toBeCloseTo(10, 2);
    for (const at of [0.5, 1, 2, 4]) expect(powerLimit(2 * at, 1.5)).toBeGreaterThan(powerLimit(at, 1.5));
  });

  test("makes products of llama.cpp slower on the board that draws less, of two with one chip", () => {
    const full = { ...findDevice("rtx-4090"), name: "a board without runs of its own" };
    const half = { ...full, name: "half of its power", tdp: { value: 225, source: "made up", uncertain: false } };
    const slow = (device: typeof full): number => engineOf(device, "llama.cpp-cuda").slowProducts;
    expect(slow(half) / slow(full)).toBeGreaterThan(1.2);
    expect(slow(half) / slow(full)).toBeLessThan(2);
  });
});
