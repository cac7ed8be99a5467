import { Expression, b, n } from "../../math/expression.js";
import type { DenseFfn, Dtypes } from "../../model/types.js";
import type { BlockBuilder } from "../block-builder.js";

/**
 * A dense feed-forward network: down(act(up(x))), or gated: down(act(gate(x)) · up(x)). [b, n, hidden] → the same.
 *
 * @returns name of the output value
 */
export function addDenseFfn(
  block: BlockBuilder,
  prefix: string,
  input: string,
  ffn: DenseFfn,
  hidden: number,
  dtypes: Dtypes,
): string {
  const wide = [b, n, Expression.constant(ffn.width)];
  const linear = (side: "gate" | "up" | "down", from: string, inWidth: number, outWidth: number): string =>
    block.add({
      kind: "linear",
      name: `${prefix}.${side}_projection`,
      part: "ffn",
      input: from,
      weight: block.weight(`${prefix}.${side}.weight`, [outWidth, inWidth], dtypes.weights, "matrix"),
      bias: ffn.bias ? block.weight(`${prefix}.${side}.bias`, [outWidth], dtypes.weights, "bias") : null,
      output: block.value(`${prefix}.${side}`, [b, n, Expression.constant(outWidth)], dtypes.activations),
    });
  const activate = (from: string): string =>
    block.add({
      kind: "elementwise",
      name: `${prefix}.activation`,
      part: "ffn",
      function: ffn.activation,
      inputs: [from],
      parameter: null,
      output: block.value(`${prefix}.activated`, wide, dtypes.activations),
    });
  if (!ffn.gated) return linear("down", activate(linear("up", input, hidden, ffn.width)), ffn.width, hidden);
  const gate = activate(linear("gate", input, hidden, ffn.width));
  const up = linear("up", input, hidden, ffn.width);
  const product = block.add({
    kind: "elementwise",
    name: `${prefix}.gating`,
    part: "ffn",
    function: "multiply",
    inputs: [gate, up],
    parameter: null,
    output: block.value(`${prefix}.gated`, wide, dtypes.activations),
  });
  return linear("down", product, ffn.width, hidden);
}
