import { seededRandom } from "../base/random.js";

/** Numbers that are drawn; the rest repeats them, since arithmetic does not depend on the values. */
const drawn = 65_536;
/** Float32s in the longest cache line. */
const line = 32;
/** Uniform on ± this: products with weights of 640 and 1792 rows in turn keep the size of what they multiply. */
const largest = (9 / (640 * 1792)) ** (1 / 4);

/**
 * Random numbers of ordinary size (no denormals) for the weights and inputs of many models, all in the same memory: to touch
 * memory for the first time takes longer than what is timed with it. Nothing may write to them.
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
      const random = seededRandom(1);
      this.filled = Math.min(drawn, this.all.length);
      for (let i = 0; i < this.filled; i += 1) this.all[i] = (2 * random() - 1) * largest;
    }
    while (this.filled < end) {
      const more = Math.min(this.filled, end - this.filled);
      this.all.copyWithin(this.filled, 0, more);
      this.filled += more;
    }
  }
}
