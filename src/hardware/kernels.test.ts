import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { kernelFits } from "./kernel-tables.js";
import {
  type AttentionFit,
  type DecodeFit,
  type GemmFit,
  attentionSeconds,
  decodeSeconds,
  gemmSeconds,
} from "./kernels.js";

const size = fc.integer({ min: 1, max: 1 << 17 });
const gemms = kernelFits.devices.flatMap((one) => (one.kind === "gemm" ? [one.fit as GemmFit] : []));
const attentions = kernelFits.devices.flatMap((one) => (one.kind === "attention" ? [one.fit as AttentionFit] : []));
const decodes = kernelFits.devices.flatMap((one) => (one.kind === "decode" ? [one.fit as DecodeFit] : []));

/** Seconds of a product on a device of 1 PFLOP/s and 1 TB/s. */
function gemm(fit: GemmFit, m: number, n: number, k: number): number {
  const bytes = 2 * (m * k + n * k + m * n);
  return gemmSeconds(fit, (2 * m * n * k) / 1e15, bytes / 1e12, (2 * m * k) / 1e12, m, n, k);
}

describe("fitted kernels", () => {
  test("there are some of every kind", () => {
    expect(Math.min(gemms.length, attentions.length, decodes.length)).toBeGreaterThan(10);
  });

  test("no product is faster than its FLOPs and bytes allow, and none gets faster with a longer side", () => {
    fc.assert(
      fc.property(fc.constantFrom(...gemms), size, size, size, (fit, m, n, k) => {
        const seconds = gemm(fit, m, n, k);
        expect(seconds).toBeGreaterThanOrEqual((2 * m * n * k) / 1e15);
        expect(gemm(fit, 2 * m, n, k)).toBeGreaterThanOrEqual(seconds * (1 - 1e-9));
        expect(gemm(fit, m, 2 * n, k)).toBeGreaterThanOrEqual(seconds * (1 - 1e-9));
        expect(gemm(fit, m, n, 2 * k)).toBeGreaterThanOrEqual(seconds * (1 - 1e-9));
      }),
    );
  });

  test("attention takes longer over more queries, and ever less per FLOP", () => {
    const at = (fit: AttentionFit, n: number): number => attentionSeconds(fit, (n * n) / 1e12, n / 1e9, n, 32, 256);
    fc.assert(
      fc.property(fc.constantFrom(...attentions), size, (fit, n) => {
        expect(at(fit, 2 * n)).toBeGreaterThan(at(fit, n));
        expect(at(fit, 2 * n) / (4 * n * n)).toBeLessThanOrEqual((at(fit, n) / (n * n)) * (1 + 1e-9));
      }),
    );
  });

  test("attention takes longer over wider heads, but less per FLOP, and few heads leave a device unfilled", () => {
    for (const fit of attentions) {
      const at = (width: number, heads: number): number => attentionSeconds(fit, width * heads, 0, 1024, heads, width);
      expect(at(512, 32)).toBeGreaterThan(at(256, 32));
      expect(at(512, 32) / 2).toBeLessThanOrEqual(at(256, 32));
      expect(at(256, 8) * 4).toBeGreaterThanOrEqual(at(256, 32));
    }
  });

  test("decode attention never beats the bandwidth, and many readers use it better than one", () => {
    for (const fit of decodes) {
      expect(decodeSeconds(fit, 0, 1, 1)).toBeGreaterThanOrEqual(decodeSeconds(fit, 0, 1, 64));
      expect(decodeSeconds(fit, 0, 1, 1e9)).toBeGreaterThanOrEqual(1);
      expect(decodeSeconds(fit, 2000, 1, 1)).toBe(2000);
    }
  });
});
