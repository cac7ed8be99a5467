import { expect, test } from "vitest";
import { seededRandom } from "../base/random.js";
import { dequantised, quantise } from "./quantise.js";

test.each([4, 8] as const)("%i bits are off by half a step at most, but at the narrow end of the range", (bits) => {
  const random = seededRandom(3);
  const values = Float32Array.from({ length: 5 * 70 }, () => 2 * random() - 1);
  const back = dequantised(values, 70, bits);
  values.forEach((value, index) => {
    // Steps are at most 1 / 2^(bits − 1) wide; a value of the other sign than the extreme may be a whole one off.
    expect(Math.abs(value - (back[index] ?? Number.NaN))).toBeLessThanOrEqual(1.0001 / 2 ** (bits - 1));
  });
});

test("packs two levels to a byte, the first one low, and zeros to the middle", () => {
  const values = new Float32Array(32);
  values[0] = -8;
  values[1] = 7;
  values[2] = 1;
  const packed = new Uint8Array(16);
  const scales = new Float32Array(1);
  quantise(values, 32, 4, packed, scales);
  expect(scales[0]).toBe(1);
  expect([...packed.subarray(0, 3)]).toEqual([0x0 | (15 << 4), 9 | (8 << 4), 0x88]);
  expect([...dequantised(values, 32, 4)]).toEqual([...values]);
  expect(dequantised(new Float32Array(32), 32, 8).every((value) => Math.abs(value) === 0)).toBe(true);
});
