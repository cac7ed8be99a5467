import { badInput } from "../../base/errors.js";
import type { ByteSource } from "../../files/byte-source.js";

/** Bytes that are fetched at a time: the first block holds most headers without a large vocabulary. */
const firstBlock = 1024 * 1024;
const largestBlock = 8 * 1024 * 1024;

/**
 * Reads a source from front to back in blocks. What is skipped is not kept; nothing beyond `limit` is asked for.
 * Every method throws bad input when the source ends before what it wants.
 */
export class ForwardReader {
  /** Where the next byte is read. */
  position = 0;
  littleEndian = true;
  private window: DataView = new DataView(new ArrayBuffer(0));
  private windowStart = 0;
  private block = firstBlock;
  private end: number | null;

  constructor(
    private readonly source: ByteSource,
    private readonly limit: number,
  ) {
    this.end = source.size;
  }

  /** Where the source ends, where that is known by now. */
  get size(): number | null {
    return this.end;
  }

  /** Makes `count` bytes from the position readable. */
  async need(count: number): Promise<void> {
    if (this.position + count <= this.windowStart + this.window.byteLength && this.position >= this.windowStart) return;
    this.checkRoom(count);
    const to = Math.min(this.position + Math.max(count, this.block), this.limit);
    const bytes = await this.source.read(this.position, to);
    this.block = Math.min(2 * this.block, largestBlock);
    this.window = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.windowStart = this.position;
    if (bytes.length < to - this.position) this.end = this.position + bytes.length;
    this.checkRoom(count);
  }

  /** Only after `need`. */
  uint32(): number {
    const value = this.window.getUint32(this.position - this.windowStart, this.littleEndian);
    this.position += 4;
    return value;
  }

  /** Only after `need`. Above 2⁵³ the value is rounded, which no limit lets pass. */
  uint64(): number {
    const at = this.position - this.windowStart;
    const [low, high] = this.littleEndian ? [0, 4] : [4, 0];
    this.position += 8;
    return (
      this.window.getUint32(at + high, this.littleEndian) * 2 ** 32 + this.window.getUint32(at + low, this.littleEndian)
    );
  }

  /** The next `count` bytes, copied. */
  async take(count: number): Promise<Uint8Array> {
    await this.need(count);
    const bytes = new Uint8Array(this.window.buffer, this.window.byteOffset + this.position - this.windowStart, count);
    this.position += count;
    return bytes.slice();
  }

  skip(count: number): void {
    this.checkRoom(count);
    this.position += count;
  }

  /** Skips `count` texts, each with its length before it. */
  async skipTexts(count: number): Promise<void> {
    let left = count;
    while (left > 0) {
      await this.need(8);
      const { window, windowStart, littleEndian } = this;
      const last = window.byteLength - 8;
      const [low, high] = littleEndian ? [0, 4] : [4, 0];
      let at = this.position - windowStart;
      while (left > 0 && at <= last) {
        at += 8 + window.getUint32(at + high, littleEndian) * 2 ** 32 + window.getUint32(at + low, littleEndian);
        left -= 1;
      }
      this.position = windowStart + at;
    }
    this.checkRoom(0);
  }

  private checkRoom(count: number): void {
    const wanted = this.position + count;
    if (this.end !== null && wanted > this.end) {
      throw badInput("truncated", {
        where: this.source.name,
        key: "length in bytes",
        found: this.end,
        expected: `the header goes on to byte ${wanted} at least; the file is cut off or damaged`,
      });
    }
    if (wanted > this.limit) {
      throw badInput("header-too-long", {
        where: this.source.name,
        key: "length of the header",
        found: wanted,
        expected: `at most ${this.limit} bytes are read`,
      });
    }
  }
}
