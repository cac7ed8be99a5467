import { type Sequence, at } from "./vectors.js";

/** Re Σₛ Σₕ x[s, h]·exp(−2πi(s·k/n + h·j/d)), term by term (FNet, arXiv:2105.03824). */
export function runFourier(inputs: Sequence, hidden: number): Sequence {
  const n = inputs.length;
  return inputs.map((_, k) =>
    Float64Array.from({ length: hidden }, (_unused, j) => {
      let sum = 0;
      inputs.forEach((x, s) => {
        for (let h = 0; h < hidden; h += 1) sum += at(x, h) * Math.cos(2 * Math.PI * ((s * k) / n + (h * j) / hidden));
      });
      return sum;
    }),
  );
}
