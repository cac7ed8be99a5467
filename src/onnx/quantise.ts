/** Bits of a weight in block-wise quantisation. */
export type QuantisedBits = 4 | 8;

/** Weights of one row that share a scale. */
export const quantisedBlock = 32;

/** Whole blocks that hold a row; the last one may be filled up. */
export function blocksOf(columns: number): number {
  return Math.ceil(columns / quantisedBlock);
}

/** Bytes of one packed block. */
export function blockBytes(bits: QuantisedBits): number {
  return (quantisedBlock * bits) / 8;
}

/**
 * Symmetric block-wise quantisation as MatMulNBits unpacks it: w ≈ scale·(q − 2^(bits−1)), q unsigned. The element of
 * the largest magnitude in a block is represented exactly at the wide end of the range, as llama.cpp's Q4_0 does.
 *
 * @param values row-major [rows, columns]
 * @param packed [rows, blocks, block bytes]: low nibble first; null where only scales are wanted
 * @param scales [rows, blocks]; null where only packed values are wanted
 */
export function quantise(
  values: Float32Array,
  columns: number,
  bits: QuantisedBits,
  packed: Uint8Array | null,
  scales: Float32Array | null,
): void {
  const blocks = blocksOf(columns);
  const rows = values.length / columns;
  const middle = 2 ** (bits - 1);
  const bytes = blockBytes(bits);
  for (let row = 0; row < rows; row += 1) {
    for (let block = 0; block < blocks; block += 1) {
      const from = row * columns + block * quantisedBlock;
      const to = Math.min(from + quantisedBlock, (row + 1) * columns);
      let extreme = 0;
      for (let i = from; i < to; i += 1) {
        const value = values[i] ?? 0;
        if (Math.abs(value) > Math.abs(extreme)) extreme = value;
      }
      const scale = Math.fround(extreme / -middle);
      const place = row * blocks + block;
      if (scales !== null) scales[place] = scale;
      if (packed === null) continue;
      for (let i = 0; i < quantisedBlock; i += 1) {
        const value = from + i < to ? (values[from + i] ?? 0) : 0;
        const level = scale === 0 ? middle : Math.min(2 * middle - 1, Math.max(0, Math.round(value / scale) + middle));
        if (bits === 8) packed[place * bytes + i] = level;
        else if (i % 2 === 0) packed[place * bytes + i / 2] = level;
        else {
          const at = place * bytes + (i - 1) / 2;
          packed[at] = (packed[at] ?? 0) | (level << 4);
        }
      }
    }
  }
}

/** What a matrix is once it was quantised: for those who check against it. */
export function dequantised(values: Float32Array, columns: number, bits: QuantisedBits): Float32Array {
  const blocks = blocksOf(columns);
  const rows = values.length / columns;
  const packed = new Uint8Array(rows * blocks * blockBytes(bits));
  const scales = new Float32Array(rows * blocks);
  quantise(values, columns, bits, packed, scales);
  const middle = 2 ** (bits - 1);
  return values.map((_, index) => {
    const [row, column] = [Math.floor(index / columns), index % columns];
    const place = row * blocks + Math.floor(column / quantisedBlock);
    const inside = column % quantisedBlock;
    const byte = packed[place * blockBytes(bits) + Math.floor((inside * bits) / 8)] ?? 0;
    const level = bits === 8 ? byte : inside % 2 === 0 ? byte & 15 : byte >> 4;
    return (scales[place] ?? 0) * (level - middle);
  });
}
