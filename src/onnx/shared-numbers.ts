import { seededRandom } from "../base/random.js";

/** Numbers that are drawn; longer arrays repeat them, since arithmetic does not depend on the values. */
const drawn = 65_536;
/** Float32s in the longest cache line. */
const line = 32;

/** Numbers uniform on ±scale, in memory of their own. */
export function uniform(length: number, scale: number, seed: number): Float32Array {
  const random = seededRandom(seed);
  const data = new Float32Array(length);
  const own = Math.min(length, drawn);
  for (let i = 0; i < own; i += 1) data[i] = (2 * random() - 1) * scale;
  for (let filled = own; filled < length; filled *= 2) data.copyWithin(filled, 0, Math.min(filled, length - filled));
  return data;
}

/**
 * Numbers uniform on ±1 for the inputs of many models, all in the same memory: to touch memory for the first time takes longer than
 * what is timed with it. Nothing may write to them. Weights are not for it: those that must come from memory would be timed as if
 * a cache had them (docs/performance.md).
 */
export class SharedNumbers {
  private filled = 0;
  private all: Float32Array;

  /** @param reserved numbers that one model takes, about; memory is touched only as far as it is drawn from */
  constructor(reserved = drawn) {
    this.all = new Float32Array(reserved);
  }

  /** Arrays for one model: none of them shares a number with another. */
  draw(): (elements: number) => Float32Array {
    let used = 0;
    return (elements) => {
      const end = used + elements;
      this.fill(end);
      const data = this.all.subarray(used, end);
      used = Math.ceil(end / line) * line;
      return data;
    };
  }

  private fill(end: number): void {
    if (end > this.all.length) {
      this.all = new Float32Array(Math.max(end, 2 * this.all.length));
      this.filled = 0;
    }
    if (this.filled === 0) {
      const first = uniform(Math.min(drawn, this.all.length), 1, 1);
      this.all.set(first);
      this.filled = first.length;
    }
    while (this.filled < end) {
      const more = Math.min(this.filled, end - this.filled);
      this.all.copyWithin(this.filled, 0, more);
      this.filled += more;
    }
  }
}
