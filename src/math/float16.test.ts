import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { float16Bits, fromFloat16Bits } from "./float16.js";

/** The number that bits of a float16 stand for, as IEEE 754 defines them. */
function valueOf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -14 : sign * (1 + fraction) * 2 ** (exponent - 15);
}

/** All finite magnitudes, from the smallest up: the place of each is its bits. */
const magnitudes = Array.from({ length: 0x7c00 }, (_, bits) => valueOf(bits));

/** The bits of the nearest magnitude by looking at all, the even ones of two that are as near. */
function nearest(magnitude: number): number {
  let best = 0;
  for (let bits = 0; bits < magnitudes.length; bits += 1) {
    const [distance, least] = [bits, best].map((one) => Math.abs(magnitude - (magnitudes[one] ?? 0))) as [
      number,
      number,
    ];
    if (distance < least || (distance === least && bits % 2 === 0)) best = bits;
  }
  return best;
}

test("every float16 is the number that IEEE 754 says", () => {
  for (let bits = 0; bits <= 0xffff; bits += 1) expect(fromFloat16Bits(bits)).toBe(valueOf(bits));
});

describe("float16Bits", () => {
  test("is the nearest float16, the even one of two", () => {
    const exponents = fc.integer({ min: -27, max: 17 });
    const values = fc
      .tuple(fc.float({ min: 1, max: 2, noNaN: true }), exponents, fc.boolean())
      .map(([mantissa, exponent, negative]) => Math.fround((negative ? -1 : 1) * mantissa * 2 ** exponent));
    fc.assert(
      fc.property(values, (value) => {
        expect(float16Bits(value)).toBe(nearest(Math.abs(value)) | (value < 0 ? 0x8000 : 0));
      }),
      { numRuns: 500, seed: 16 },
    );
  });

  test("leaves what is a float16 as it is, and goes to the even one of two neighbours from their middle", () => {
    for (let bits = 0; bits < 0x7bff; bits += 1) {
      expect(float16Bits(valueOf(bits))).toBe(bits);
      const middle = (valueOf(bits) + valueOf(bits + 1)) / 2;
      expect(float16Bits(middle)).toBe(bits % 2 === 0 ? bits : bits + 1);
    }
  });

  test("keeps what is finite finite, and infinities and no numbers what they are", () => {
    expect([65519, 65520, 1e30].map(float16Bits)).toEqual([0x7bff, 0x7bff, 0x7bff]);
    expect([-65520, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map(float16Bits)).toEqual([
      0xfbff, 0x7c00, 0xfc00,
    ]);
    expect(valueOf(float16Bits(Number.NaN))).toBeNaN();
    expect(float16Bits(-0)).toBe(0x8000);
  });
});
