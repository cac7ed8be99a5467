/** Cosines or sines of rotary position embeddings (Su et al. 2021, arXiv:2104.09864): [positions, dims / 2]. */
export interface RotaryTable {
  readonly function: "cos" | "sin";
  readonly positions: number;
  readonly dims: number;
  readonly theta: number;
}

/** Entry (p, i) is cos or sin of p·theta^(−2i/dims). */
export function fillRotary(table: RotaryTable, target: Float32Array): void {
  const half = table.dims / 2;
  const f = table.function === "cos" ? Math.cos : Math.sin;
  for (let i = 0; i < half; i += 1) {
    const frequency = table.theta ** ((-2 * i) / table.dims);
    for (let position = 0; position < table.positions; position += 1) {
      target[position * half + i] = f(position * frequency);
    }
  }
}
