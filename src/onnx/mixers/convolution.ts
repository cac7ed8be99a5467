import type { Emitter } from "../emitter.js";
import { int, microsoft, string } from "../proto.js";

/**
 * Causal depthwise convolution over the tokens, [b, n, width] → the same: y_t = Σ_i w_i·x_{t−k+1+i} + bias. The k − 1
 * tokens before are a state, zeros at the beginning.
 */
export function addConvolution(
  e: Emitter,
  input: string,
  name: string,
  { width, kernel, activation = "none" }: { width: number; kernel: number; activation?: "none" | "silu" },
): string {
  const state = e.scope.state([width, kernel - 1]);
  const bias = e.has(`${name}.bias`) ? e.weight(`${name}.bias`) : "";
  const inputs = [e.transpose(input, [0, 2, 1]), e.weight(`${name}.weight`), bias, state.past];
  const output = e.fresh("convolution");
  e.tagged(() =>
    e.scope.builder.nodeWithOutputs(output, "CausalConvWithState", inputs, [output, state.present], {
      domain: microsoft,
      attributes: { ndim: int(1), activation: string(activation) },
    }),
  );
  return e.transpose(output, [0, 2, 1]);
}
