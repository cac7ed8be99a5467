const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Where float32 has no exponent bits of float16 left: 2⁻¹⁴, the smallest normal float16. */
const smallestNormal = 0x38800000;
/** From here on the nearest float16 would be infinite: 65520. */
const overflowing = 0x477ff000;
const infinite = 0x7f800000;

/**
 * The bits of the float16 nearest to a float32, the even one of two that are as near. What is finite stays finite: beyond the
 * largest, ±65504, it is that one, since one infinite weight would leave nothing of a model's answer.
 */
export function float16Bits(value: number): number {
  float[0] = value;
  const all = bits[0] ?? 0;
  const sign = (all >>> 16) & 0x8000;
  const magnitude = all & 0x7fffffff;
  if (magnitude > infinite) return sign | 0x7e00;
  if (magnitude === infinite) return sign | 0x7c00;
  if (magnitude >= overflowing) return sign | 0x7bff;
  // Below, steps are 2⁻²⁴ all the way; adding 2⁵² rounds a double to a whole number, to the even one of two.
  if (magnitude < smallestNormal) return sign | (Math.abs(value) * 2 ** 24 + 2 ** 52 - 2 ** 52);
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

/** The number that the bits of a float16 stand for (IEEE 754 binary16: one sign bit, five of exponent, ten of mantissa). */
export function fromFloat16Bits(half: number): number {
  const sign = half >> 15 === 0 ? 1 : -1;
  const exponent = (half >> 10) & 31;
  const mantissa = half & 1023;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}
