import type { Emitter } from "../emitter.js";

/**
 * The real part of a Fourier transform over channels and tokens (FNet, arXiv:2105.03824), [b, n, hidden] → the same.
 * Channels, of a fixed number, are transformed by one product with a table, which is faster than ONNX Runtime's DFT on a
 * processor; tokens by DFT, in n log n, each channel's side by side in memory.
 */
export function addFourierMixing(e: Emitter, input: string, hidden: number): string {
  const { builder } = e.scope;
  const last = builder.integers([-1]);
  const both = e.matmul(input, e.scope.layout.fourier(hidden));
  const pairs = e.transpose(e.reshape(both, [0, 0, hidden, 2]), [0, 2, 1, 3]);
  const transformed = e.node("DFT", [pairs, "", builder.integer(2)]);
  return e.transpose(e.node("Squeeze", [e.slice(transformed, 3, 0, 1), last]), [0, 2, 1]);
}
