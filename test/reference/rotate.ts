import type { Rotary } from "../../src/model/types.js";
import { type Vector, at } from "./vectors.js";

/** Frequencies as the papers have them, each scaling in its own words; and what the turned pairs are multiplied by. */
function frequencies({ dims, theta, scaling }: Rotary): { readonly each: number[]; readonly amplitude: number } {
  const plain = Array.from({ length: dims / 2 }, (_, i) => 1 / theta ** ((2 * i) / dims));
  if (scaling === undefined) return { each: plain, amplitude: 1 };
  const { factor } = scaling;
  if (scaling.kind === "linear") return { each: plain.map((f) => f / factor), amplitude: 1 };
  if (scaling.kind === "llama3") {
    const { low, high, original } = scaling;
    const each = plain.map((f) => {
      const wavelength = (2 * Math.PI) / f;
      if (wavelength < original / high) return f;
      if (wavelength > original / low) return f / factor;
      const smooth = (original / wavelength - low) / (high - low);
      return ((1 - smooth) * f) / factor + smooth * f;
    });
    return { each, amplitude: 1 };
  }
  // YaRN: dimension d turns r(d) = original / wavelength times; a ramp over d between r = fast and r = slow.
  const dimensionOf = (turns: number): number =>
    (dims * Math.log(scaling.original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const low = Math.max(0, scaling.whole ? Math.floor(dimensionOf(scaling.fast)) : dimensionOf(scaling.fast));
  const high = Math.min(dims - 1, scaling.whole ? Math.ceil(dimensionOf(scaling.slow)) : dimensionOf(scaling.slow));
  const each = plain.map((f, i) => {
    const ramp = Math.min(1, Math.max(0, (i - low) / (high === low ? 0.001 : high - low)));
    return (f / factor) * ramp + f * (1 - ramp);
  });
  return { each, amplitude: scaling.amplitude };
}

/** Turns pairs of the first `dims` dimensions by position·frequencyᵢ. */
export function rotate(head: Vector, position: number, rotary: Rotary | null): Vector {
  if (rotary === null) return head;
  const result = head.slice();
  const half = rotary.dims / 2;
  const { each, amplitude } = frequencies(rotary);
  for (let i = 0; i < half; i += 1) {
    const [first, second] = rotary.interleaved ? [2 * i, 2 * i + 1] : [i, i + half];
    const angle = position * at(each, i);
    const [cos, sin] = [amplitude * Math.cos(angle), amplitude * Math.sin(angle)];
    result[first] = at(head, first) * cos - at(head, second) * sin;
    result[second] = at(head, second) * cos + at(head, first) * sin;
  }
  return result;
}
