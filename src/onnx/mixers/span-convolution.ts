import type { Attention } from "../../model/types.js";
import type { Emitter } from "../emitter.js";
import { ints, int } from "../proto.js";

/** Whether half of the heads' place is taken by a convolution whose kernels depend on the tokens (ConvBERT). */
export function convolvesSpans(e: Emitter): boolean {
  return e.scope.hasWeight("extra.kernel_depthwise");
}

/**
 * Span-based dynamic convolution (ConvBERT, arXiv:2008.02496): a separable convolution of the input, times the queries,
 * gives each token and head a kernel (softmax over its taps) that mixes the projected tokens around it.
 *
 * @param query rows of the attention's queries, [b, n, heads·keyDim]
 * @returns the projected mixture, [b, n, hidden]
 */
export function addSpanConvolution(
  e: Emitter,
  input: string,
  query: string,
  { heads, keyDim }: Pick<Attention, "heads" | "keyDim">,
): string {
  const extra = e.beside("extra");
  const [channels = 1, , taps = 1] = e.scope.weight("extra.kernel_depthwise").weight.shape;
  const side = Math.floor(taps / 2);
  const around = e.node("Conv", [e.transpose(input, [0, 2, 1]), extra.weight("kernel_depthwise")], {
    group: int(channels),
    kernel_shape: ints([taps]),
    pads: ints([side, taps - 1 - side]),
  });
  const spans = extra.linear("kernel_pointwise", e.transpose(around, [0, 2, 1]));
  const raw = extra.linear("kernel", e.multiply(spans, query));
  const kernels = e.softmax(e.reshape(raw, [0, 0, heads, taps]));
  const each = e.nodes("Split", [kernels], taps, { axis: int(3), num_outputs: int(taps) });
  const values = extra.linear("convolved", input);
  const padded = e.node("Pad", [values, e.list([0, side, 0, 0, taps - 1 - side, 0])]);
  const n = e.length(input, 1);
  const parts = each.map((kernel, tap) => {
    const from = e.list([tap]);
    const shifted = e.slice(padded, 1, from, e.add(from, n));
    return e.multiply(e.reshape(shifted, [0, 0, heads, keyDim]), kernel);
  });
  const mixed = parts.reduce((sum, part) => e.add(sum, part));
  return extra.linear("convolved_out", e.reshape(mixed, [0, 0, heads * keyDim]));
}
