import type { Rotary, RotaryScaling } from "../model/types.js";

/** Cosines or sines of rotary position embeddings (Su et al. 2021, arXiv:2104.09864): [positions, dims / 2]. */
export interface RotaryTable extends Pick<Rotary, "dims" | "theta" | "scaling"> {
  readonly function: "cos" | "sin";
  readonly positions: number;
}

/** Entry (p, i) is cos or sin of p·frequencyᵢ, frequencyᵢ = theta^(−2i/dims) where nothing scales it. */
export function fillRotary(table: RotaryTable, target: Float32Array): void {
  const { scaling } = table;
  const half = table.dims / 2;
  const f = table.function === "cos" ? Math.cos : Math.sin;
  const amplitude = scaling?.kind === "yarn" ? scaling.amplitude : 1;
  for (let i = 0; i < half; i += 1) {
    const frequency = scaledFrequency(table, i);
    for (let position = 0; position < table.positions; position += 1) {
      target[position * half + i] = amplitude * f(position * frequency);
    }
  }
}

function scaledFrequency({ theta, dims, scaling }: Pick<Rotary, "dims" | "theta" | "scaling">, i: number): number {
  const frequency = theta ** ((-2 * i) / dims);
  if (scaling === undefined) return frequency;
  const stretched = frequency / scaling.factor;
  const kept = keptShare(scaling, frequency, i, { theta, dims });
  return kept * frequency + (1 - kept) * stretched;
}

/** How much of a dimension's frequency is left as it was: 1 for the fastest, 0 for the slowest. */
function keptShare(scaling: RotaryScaling, frequency: number, i: number, { theta, dims }: RotaryBase): number {
  switch (scaling.kind) {
    case "linear":
      return 0;
    case "llama3": {
      const turns = (scaling.original * frequency) / (2 * Math.PI);
      return clamp((turns - scaling.low) / (scaling.high - scaling.low));
    }
    case "yarn": {
      const dimensionOf = (turns: number): number =>
        (dims * Math.log(scaling.original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
      const [first, last] = [dimensionOf(scaling.fast), dimensionOf(scaling.slow)];
      const from = Math.max(0, scaling.whole ? Math.floor(first) : first);
      const to = Math.min(dims - 1, scaling.whole ? Math.ceil(last) : last);
      return 1 - clamp((i - from) / (to > from ? to - from : 0.001));
    }
  }
}

type RotaryBase = Pick<Rotary, "dims" | "theta">;

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}
